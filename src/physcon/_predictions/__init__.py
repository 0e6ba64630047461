"""A mean and its spread, or an ensemble, in a file: which array and axis is what."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from physcon._predictions.law import Law, check, check_reach
from physcon._predictions.names import Arrays, Dimensions, Names

if TYPE_CHECKING:
    from physcon._predictions.changes import Report, joined
    from physcon._predictions.fields import Predictions, Spread, batch_shape
    from physcon._predictions.read import read_predictions
    from physcon._predictions.totals import target

__all__ = [
    "Arrays",
    "Dimensions",
    "Law",
    "Names",
    "Predictions",
    "Report",
    "Spread",
    "batch_shape",
    "check",
    "check_reach",
    "joined",
    "read_predictions",
    "target",
]

#: Where the names are whose modules import JAX.
_HOMES = {
    "Predictions": "fields",
    "Report": "changes",
    "Spread": "fields",
    "batch_shape": "fields",
    "joined": "changes",
    "read_predictions": "read",
    "target": "totals",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'physcon._predictions' has no attribute {name!r}")
    return getattr(import_module(f"physcon._predictions.{_HOMES[name]}"), name)
