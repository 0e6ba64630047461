"""Dimensions that can be divided although laws sum over them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from physcon.datasets._axes import angles, is_time
from physcon.datasets._edges import WIDTHS, bounds_of
from physcon.datasets._laws import AnyLaw, Budget, Laws, Total
from physcon.datasets._layers import thickness
from physcon.datasets._names import ensemble_dims
from physcon.datasets._rows import summed_dims
from physcon.datasets._shared import Cut, is_shared
from physcon.datasets._sphere_cells import horizontal_sizes
from physcon.datasets._where import cell_measure, cell_sizes


def addable(data: Any, laws: Laws, names: Sequence[str], dimension: str) -> bool:
    """Whether the laws can be added up over parts of a dimension."""
    tied = [law for law in laws.laws if dimension in summed_dims(law, data)]
    every = all(dimension in data[name].dims for name in names)
    shared = all(is_shared(law, data, dimension) for law in tied)
    shared &= not any(getattr(law, "equals", None) == "initial" for law in laws.laws)
    budgets = [law for law in tied if isinstance(law, Budget)]
    short = all(law.per == "total" for law in budgets)
    members = dimension in ensemble_dims(data, laws)
    if not (every and shared and short) or members:
        return False
    return not any(_in_layers(data, law, dimension, laws) for law in tied)


def cut_of(data: Any, laws: Laws, outer: str, start: int, stop: int) -> Cut:
    """Return a chunk; a budget sees one more time before and after it."""
    budget = any(isinstance(law, Budget) and law.time == outer for law in laws.laws)
    count = data.sizes[outer]
    before = int(budget and start > 0)
    after = int(budget and stop < count)
    return Cut(outer, start, stop, before, after, count)


def with_sizes(data: Any, laws: Laws, outer: str) -> Any:
    """State the sizes of cells for totals over the divided dimension.

    They are computed from all coordinates here, since the cells at the ends of a part
    can't be told from its own coordinates.
    """
    for number, law in enumerate(laws.laws):
        if not isinstance(law, Total) or not _needs_sizes(data, law, outer):
            continue
        if _on_sphere(data, law, outer):
            data = _with_areas(data, law, laws, f"_cells_{number}")
            continue
        widths = cell_sizes(data, law.of, (outer,), None, laws)
        if widths.dims == (outer,) and bounds_of(data, data[outer]) is None:
            pair = np.stack([np.zeros_like(widths.values), widths.values], -1)
            data = data.assign({f"{outer}_bnds": ((outer, WIDTHS), pair)})
    return data


def _needs_sizes(data: Any, law: Total, outer: str) -> bool:
    """Whether cell sizes along a dimension follow from its coordinate."""
    if law.weights is not None or outer not in (law.over or ()):
        return False
    measure = cell_measure(data, law.of, tuple(law.over or ()))
    return measure is None or outer not in measure.dims


def _on_sphere(data: Any, law: Total, outer: str) -> bool:
    """Whether a dimension is one of latitudes or longitudes of a law's variable."""
    both = angles(data, law.of, "latitude") + angles(data, law.of, "longitude")
    return any(outer in a.dims and set(a.dims) <= set(law.over or ()) for a in both)


def _with_areas(data: Any, law: Total, laws: Laws, name: str) -> Any:
    """Add the areas of cells as a cell measure of the variable of a law."""
    found = horizontal_sizes(data, law.of, tuple(law.over or ()), laws)
    assert found is not None
    array = data[law.of]
    old = array.attrs.get("cell_measures", array.encoding.get("cell_measures", ""))
    stated = array.assign_attrs(cell_measures=f"{old} area: {name}".strip())
    return data.assign({name: found[0], law.of: stated})


def _in_layers(data: Any, law: AnyLaw, dimension: str, laws: Laws) -> bool:
    """Whether a law integrates over layers whose thickness needs all of them."""
    if not isinstance(law, Total) or law.weights is not None:
        return False
    if is_time(data, dimension) or dimension not in data[law.of].dims:
        return False
    if _on_sphere(data, law, dimension):
        return False
    rest = {d: slice(0, 1) for d in data[law.of].dims if d != dimension}
    return thickness(data.isel(rest), law.of, dimension, laws) is not None
