"""Which arrays are numbers, and the sentence about an array that is not."""

import numpy as np

from physcon._require import NO_REAL_NUMBERS

_KINDS = {**NO_REAL_NUMBERS, "V": "records", "b": "true and false"}


def is_number(dtype: np.dtype) -> bool:
    """Whether values are booleans, integers, floating-point or complex numbers.

    NumPy counts durations (timedelta64) as numbers; physcon does not, because their
    values depend on a unit that arithmetic ignores.
    """
    return dtype.kind in "biufc"


def is_floating(dtype: np.dtype) -> bool:
    """Whether values are real floating-point numbers of any size and byte order."""
    return dtype.kind == "f"


def describe(dtype: np.dtype) -> str:
    """Return what values of this type are, in words."""
    return f"{_KINDS.get(dtype.kind, 'numbers')} ({dtype})"
