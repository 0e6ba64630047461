"""Rows given by their nonzero entries, and several operators as one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import is_traced, require, require_shape
from physcon._numerics.sparse import Pattern, TooFull, analyse, index_array
from physcon._typing import Array, Bool, Float, Shape, UInt
from physcon.linear_map.basic import LinearMap, size


class GramPattern(eqx.Module):
    """The origin of each entry of G Σ Gᵀ, for independent errors.

    Attributes:
        pattern: of G Gᵀ, analysed for elimination.
        first, second: ``(q,)``, pairs of entries of G in the same column.
        entry: ``(q,)``, the stored entry of the pattern to which a pair contributes.
    """

    pattern: Pattern
    first: UInt[Array, " q"]
    second: UInt[Array, " q"]
    entry: UInt[Array, " q"]


class Sparse(LinearMap):
    """Rows over a field, given by their nonzero entries; build it with `Sparse.of`.

    Attributes:
        entries: ``(k,)``.
        row, column: ``(k,)``; the column counts the points of the flattened field.
        shape: of the field.
        count: the number of rows.
        gram: what a sparse factorisation needs of the pattern; None where elimination
            would fill most of the matrix.
    """

    entries: Float[Array, " k"]
    row: UInt[Array, " k"]
    column: UInt[Array, " k"]
    shape: Shape = eqx.field(static=True)
    count: int = eqx.field(static=True)
    gram: GramPattern | None = None

    @classmethod
    def of(
        cls,
        entries: Float[Array, " k"],
        row: np.ndarray,
        column: np.ndarray,
        shape: Shape,
        count: int,
    ) -> "Sparse":
        """The operator, with its pattern analysed on the host."""
        row = np.asarray(row, np.int64)
        column = np.asarray(column, np.int64)
        gram = _gram_pattern(row, column, count)
        return cls(
            entries, index_array(row), index_array(column), tuple(shape), count, gram
        )

    @property
    def in_shape(self) -> Shape:
        return self.shape

    @property
    def out_shape(self) -> Shape:
        return (self.count,)

    def mv(self, x: Float[Array, "*x"]) -> Float[Array, " m"]:
        require_shape(x, self.shape, "the field")
        return self._sum(self.entries * self._at(x))

    def rmv(self, y: Float[Array, " m"]) -> Float[Array, "*x"]:
        require_shape(y, self.out_shape, "the row values")
        terms = self.entries * y.at[self.row].get(mode="promise_in_bounds")
        points = size(self.shape)
        return jax.ops.segment_sum(terms, self.column, points).reshape(self.shape)

    def magnitude(self, x: Float[Array, "*x"]) -> Float[Array, " m"]:
        return self._sum(jnp.abs(self.entries * self._at(x)))

    def measured(self, x: Float[Array, "*x"]) -> tuple[Array, Array]:
        terms = self.entries * self._at(x)
        both = self._sum(jnp.stack([terms, jnp.abs(terms)], axis=1))
        return both[:, 0], both[:, 1]

    def present(self) -> Bool[Array, " m"]:
        """Which rows have a nonzero entry."""
        if not is_traced(self.entries) and not is_traced(self.row):
            used = np.asarray(self.row)[np.asarray(self.entries) != 0]
            return jnp.asarray(np.bincount(used, minlength=self.count) > 0)
        return self._sum((self.entries != 0).astype(self.entries.dtype)) > 0

    def _at(self, x: Float[Array, "*x"]) -> Float[Array, " k"]:
        return x.reshape(-1).at[self.column].get(mode="promise_in_bounds")

    def _sum(self, terms: Float[Array, "k *n"]) -> Float[Array, "m *n"]:
        return jax.ops.segment_sum(terms, self.row, self.count)


def _gram_pattern(
    row: np.ndarray, column: np.ndarray, count: int
) -> GramPattern | None:
    order = np.argsort(column, kind="stable")
    lengths = np.bincount(column)
    lengths = lengths[lengths > 0]
    starts = np.cumsum(lengths) - lengths
    # Entry a of a column is paired with those from a on.
    place = np.arange(order.size) - np.repeat(starts, lengths)
    partners = np.repeat(lengths, lengths) - place
    total = int(partners.sum())
    require(
        total < 2**31,
        "rows of which few see the same point",
        f"{total} pairs of entries in common columns",
        "condition on the rows that see everything last: stack(sparse, integral(...))",
    )
    first = np.repeat(np.arange(order.size), partners)
    offsets = np.arange(total) - np.repeat(np.cumsum(partners) - partners, partners)
    second = order[first + offsets]
    first = order[first]
    try:
        pattern = analyse(count, row[first], row[second])
    except TooFull:
        return None
    low = np.minimum(row[first], row[second])
    high = np.maximum(row[first], row[second])
    stored = np.asarray(pattern.row, np.int64) * count + np.asarray(pattern.column)
    sorter = np.argsort(stored)
    entry = sorter[np.searchsorted(stored, high * count + low, sorter=sorter)]
    return GramPattern(
        pattern, index_array(first), index_array(second), index_array(entry)
    )


class Layout(eqx.Module):
    """The places of several operators' outputs in one array.

    Attributes:
        order: ``(m,)``, for each row its place in the concatenation of the outputs.
        inverse: ``(m,)``, the inverse permutation.
        shapes: of the outputs.
    """

    order: UInt[Array, " m"]
    inverse: UInt[Array, " m"]
    shapes: tuple[Shape, ...] = eqx.field(static=True)

    def split(self, y: Array) -> list[Array]:
        """The row values of each operator, in its own shape."""
        require_shape(y, self.order.shape, "the row values")
        y = y.at[self.inverse].get(mode="promise_in_bounds")
        pieces: list[Array] = []
        start = 0
        for shape in self.shapes:
            stop = start + size(shape)
            pieces.append(y[start:stop].reshape(shape))
            start = stop
        return pieces

    def join(self, pieces: list[Array]) -> Float[Array, " m"]:
        """The inverse of `split`."""
        flat = jnp.concatenate([p.reshape(-1) for p in pieces])
        return flat.at[self.order].get(mode="promise_in_bounds")


class Stack(LinearMap):
    """Several operators on one field; their outputs are flattened into one array."""

    parts: tuple[LinearMap, ...]
    layout: Layout

    @classmethod
    def of(cls, parts: tuple[LinearMap, ...], order: np.ndarray) -> "Stack":
        """The operator whose row r is row ``order[r]`` of the concatenated parts."""
        shapes = tuple(tuple(p.out_shape) for p in parts)
        return cls(
            parts, Layout(index_array(order), index_array(np.argsort(order)), shapes)
        )

    @property
    def in_shape(self) -> Shape:
        return self.parts[0].in_shape

    @property
    def out_shape(self) -> Shape:
        return self.layout.order.shape

    def mv(self, x: Array) -> Float[Array, " m"]:
        return self.layout.join([p.mv(x) for p in self.parts])

    def rmv(self, y: Float[Array, " m"]) -> Array:
        pairs = zip(self.parts, self.layout.split(y), strict=True)
        terms = [part.rmv(piece) for part, piece in pairs]
        return sum(terms[1:], terms[0])

    def rows(self) -> Float[Array, "m *x"]:
        rows = jnp.concatenate([p.rows() for p in self.parts])
        return rows.at[self.layout.order].get(mode="promise_in_bounds")

    def magnitude(self, x: Array) -> Float[Array, " m"]:
        return self.layout.join([p.magnitude(x) for p in self.parts])
