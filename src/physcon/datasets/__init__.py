"""Laws about the named variables of xarray datasets: audit them, and constrain them.

>>> import numpy as np, xarray as xr
>>> import physcon.datasets as pcd
>>> lat = xr.Variable("lat", [-60.0, 0.0, 60.0], {"units": "degrees_north"})
>>> lon = xr.Variable("lon", [0.0, 120.0, 240.0], {"units": "degrees_east"})
>>> data = xr.Dataset({"tas": (("lat", "lon"), np.full((3, 3), 280.0))})
>>> data = data.assign_coords(lat=lat, lon=lon)
>>> fixed = pcd.constrain(data, "mean: {of: tas, equals: 288}", spread="uniform")
>>> bool(np.allclose(fixed.tas, 288))
True
"""

from typing import TYPE_CHECKING, Any

from physcon.datasets._accessor import PhysconAccessor
from physcon.datasets._constrain import audit, constrain
from physcon.datasets._laws import (
    Between,
    BlockMean,
    Budget,
    DryAir,
    Laws,
    Mean,
    Order,
    Sum,
    Total,
    Values,
)
from physcon.datasets._parse import laws
from physcon.datasets._report import Along, Cell, LawReport, Report, VariableReport
from physcon.datasets._tidy import Term

if TYPE_CHECKING:
    from physcon.datasets.rollouts import Fixer, FixerState, fixer

__all__ = [
    "Along",
    "Between",
    "BlockMean",
    "Budget",
    "Cell",
    "DryAir",
    "Fixer",
    "FixerState",
    "LawReport",
    "Laws",
    "Mean",
    "Order",
    "PhysconAccessor",
    "Report",
    "Sum",
    "Term",
    "Total",
    "Values",
    "VariableReport",
    "audit",
    "constrain",
    "fixer",
    "laws",
]


def __getattr__(name: str) -> Any:
    if name not in ("Fixer", "FixerState", "fixer"):
        raise AttributeError(f"module 'physcon.datasets' has no attribute {name!r}")
    from physcon.datasets import rollouts  # imports JAX, which the others do without

    return getattr(rollouts, name)


def __dir__() -> list[str]:
    return sorted(__all__)
