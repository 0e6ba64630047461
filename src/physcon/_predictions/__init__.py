"""A mean and its spread, or an ensemble, in a file: which array and axis is what."""

from physcon._predictions.changes import Report, joined
from physcon._predictions.fields import Predictions, Spread, batch_shape
from physcon._predictions.law import Law, check, check_reach
from physcon._predictions.names import Arrays, Dimensions, Names
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
