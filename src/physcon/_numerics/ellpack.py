"""Sparse matrices with equally many stored entries per row, for products by gathers."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float, UInt


class Ellpack(eqx.Module):
    """An m-by-n matrix; the rows are padded with zeros to k entries each.

    A product is a gather and a sum, which XLA runs faster than a scatter.

    Attributes:
        entries: ``(m, k)``.
        column: ``(m, k)``.
    """

    entries: Float[Array, "m k"]
    column: UInt[Array, "m k"]

    @classmethod
    def of(cls, matrix: Any) -> "Ellpack":
        """From a SciPy sparse matrix, on the host."""
        rows = matrix.tocsr()
        counts = np.diff(rows.indptr)
        width = int(counts.max(initial=1))
        row = np.repeat(np.arange(rows.shape[0]), counts)
        place = np.arange(row.size) - np.repeat(rows.indptr[:-1], counts)
        entries = np.zeros((rows.shape[0], width))
        column = np.zeros((rows.shape[0], width), np.uint32)
        entries[row, place] = rows.data
        column[row, place] = rows.indices
        return cls(jnp.asarray(entries, jnp.result_type(float)), jnp.asarray(column))

    def mv(self, x: Float[Array, " n"]) -> Float[Array, " m"]:
        """The product with a vector."""
        taken = x.at[self.column].get(mode="promise_in_bounds")
        return jnp.sum(self.entries * taken, axis=1)
