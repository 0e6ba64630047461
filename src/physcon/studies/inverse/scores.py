"""Scores that the inverse studies share."""

import numpy as np

from physcon._typing import Array


def root_mean_square(error: Array | np.ndarray, axis: int | None = None) -> np.ndarray:
    """The root mean square over all entries, or along an axis, in float64."""
    return np.sqrt(np.mean(np.asarray(error, np.float64) ** 2, axis=axis))
