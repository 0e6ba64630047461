"""The accessor ``dataset.physcon``, registered by importing `physcon.datasets`."""

from typing import TYPE_CHECKING, Any

from physcon._extras import needs
from physcon.datasets._constrain import audit, constrain
from physcon.datasets._report import Report

with needs("data"):
    import xarray as xr

if TYPE_CHECKING:
    from physcon.datasets.rollouts import Fixer


@xr.register_dataset_accessor("physcon")
class PhysconAccessor:
    """Methods of an `xarray.Dataset`: ``data.physcon.constrain(laws, spread=...)``."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def audit(self, laws: Any, **options: Any) -> Report:
        """Return how far the dataset is from obeying laws: `physcon.datasets.audit`."""
        return audit(self._data, laws, **options)

    def constrain(self, laws: Any, spread: Any = None, **options: Any) -> Any:
        """Return the dataset that obeys laws: `physcon.datasets.constrain`."""
        return constrain(self._data, laws, spread, **options)

    def fixer(self, laws: Any, spread: Any = None, **options: Any) -> "Fixer":
        """Return functions for a roll-out, with the dataset as their template."""
        from physcon.datasets.rollouts import fixer

        return fixer(laws, self._data, spread, **options)
