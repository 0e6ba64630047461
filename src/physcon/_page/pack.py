"""Arrays as short text: rounded numbers, or one byte per value."""

import base64
from typing import Any

import numpy as np

_LEVELS = 254  # 255 marks a missing value


def packed(values: np.ndarray, low: float, high: float) -> str:
    """Return values as base64 of one byte each, from 0 at `low` to 254 at `high`.

    Values beyond the ends get the ends; 255 is a missing value.
    """
    missing = ~np.isfinite(values)
    span = high - low if high > low else 1.0
    share = np.clip((np.where(missing, low, values) - low) / span, 0.0, 1.0)
    levels = np.where(missing, 255, np.rint(share * _LEVELS)).astype(np.uint8)
    return base64.b64encode(levels.tobytes()).decode("ascii")


def numbers(values: Any, digits: int = 5) -> list:
    """Return nested lists of numbers with few digits; None for a missing one."""
    array = np.asarray(values, np.float64)
    if array.ndim > 1:
        return [numbers(row, digits) for row in array]
    return [rounded(v, digits) for v in array.tolist()]


def rounded(value: float, digits: int = 5) -> float | None:
    """Return a number with few significant digits, or None if it is not finite."""
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None


def limits(values: np.ndarray, *, centred: bool) -> tuple[float, float]:
    """Return the ends of a colour scale, which the outer hundredths are beyond.

    Args:
        values: all values that the scale is for, with NaN for missing ones.
        centred: whether zero is the middle of the scale.
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0:
        return (-1.0, 1.0) if centred else (0.0, 1.0)
    if centred:
        reach = float(np.percentile(np.abs(finite), 99)) or float(np.abs(finite).max())
        return (-reach, reach) if reach > 0 else (-1.0, 1.0)
    low, high = (float(v) for v in np.percentile(finite, [1, 99]))
    if low == high:
        low, high = float(finite.min()), float(finite.max())
    if low == high:
        margin = 0.5 * abs(low) or 0.5
        return low - margin, high + margin
    return low, high


def factors(shape: tuple[int, int], most: int) -> tuple[int, int]:
    """Return by how much to coarsen both axes of a map to at most `most` pixels."""
    factor = 1
    while -(-shape[0] // factor) * -(-shape[1] // factor) > most:
        factor += 1
    return min(factor, shape[0]), min(factor, shape[1])


def coarsened(field: np.ndarray, by: tuple[int, int]) -> np.ndarray:
    """Return means over blocks of the last two axes, without missing values."""
    if by == (1, 1):
        return field
    present = np.isfinite(field)
    sums = _block_sums(np.where(present, field, 0.0), by)
    counts = _block_sums(present.astype(np.float64), by)
    return np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)


def _block_sums(field: np.ndarray, by: tuple[int, int]) -> np.ndarray:
    rows = np.arange(0, field.shape[-2], by[0])
    columns = np.arange(0, field.shape[-1], by[1])
    return np.add.reduceat(np.add.reduceat(field, rows, -2), columns, -1)
