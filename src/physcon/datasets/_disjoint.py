"""Rows that share no value: laid out in lines of equal length, for JAX."""

from typing import Any

import numpy as np

from physcon.datasets._scaled_rows import Rows

LEAST = 100_000  # terms; compiling a program is not worth it for fewer


def on_accelerator() -> bool:
    """Whether JAX's default device is another one than the CPU."""
    import jax

    chosen = getattr(jax.config, "jax_default_device", None)
    platform = getattr(chosen, "platform", chosen) or jax.default_backend()
    return platform != "cpu"


def is_for_device(rows: Rows) -> bool:
    """Whether an accelerator solves rows: long ones of like lengths, without overlap.

    On a CPU, NumPy and SciPy take the same time and less memory.
    """
    matrix = rows.matrix.tocsr()
    if matrix.nnz < LEAST or rows.upper_only.any():
        return False
    if not on_accelerator():
        return False
    longest = int(np.diff(matrix.indptr).max())
    if _padded(longest) * _padded(matrix.shape[0]) > 4 * matrix.nnz:
        return False
    return int(np.bincount(matrix.indices).max()) <= 1


def solved(
    mean: np.ndarray, std: np.ndarray, lower: np.ndarray, upper: np.ndarray, rows: Rows
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Return values, unmet parts of rows, chi-squared, and which rows are good.

    The arrays go to JAX's default device. They are padded to one of a few sizes, so
    that a block which misses other values than the one before it needs no new program.
    """
    import jax

    from physcon.datasets._row_equations import Lines, solved_rows

    matrix = rows.matrix.tocsr()
    lengths = np.diff(matrix.indptr)
    count = len(lengths)
    shape = (_padded(count), _padded(int(lengths.max())))
    line = np.repeat(np.arange(count), lengths)
    place = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], lengths)
    at = line * shape[1] + place

    def laid_out(values: np.ndarray, rest: float) -> Any:
        found = np.full(shape[0] * shape[1], rest)
        found[at] = values
        return found.reshape(shape)

    columns = matrix.indices
    lines = Lines(
        laid_out(mean[columns], 0.0),
        laid_out(std[columns], 0.0),
        laid_out(lower[columns], -np.inf),
        laid_out(upper[columns], np.inf),
        laid_out(matrix.data, 0.0),
        _extended(rows.value, shape[0]),
        _extended(rows.std, shape[0]),
    )
    with jax.enable_x64(True):
        found = jax.device_get(solved_rows(lines))
    moved = std > 0
    u = np.where(moved, np.clip(mean, lower, upper), mean)
    alone = np.ones(len(mean), bool)
    alone[columns] = False
    far = (u - mean)[moved & alone] / std[moved & alone]
    u[columns] = found.values.ravel()[at]
    chi_squared = float(found.chi_squared) + float(far @ far)
    return u, found.unmet[:count], chi_squared, found.good[:count]


def _padded(count: int) -> int:
    """Return the least of a few sizes that is not below a number."""
    step = 1 << max(0, count.bit_length() - 4)
    return -(-count // step) * step


def _extended(values: np.ndarray, size: int) -> Any:
    found = np.zeros(size)
    found[: len(values)] = values
    return found
