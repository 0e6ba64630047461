"""The pattern of a sparse symmetric matrix, analysed once on the host.

The result holds index arrays only: they are leaves, so that another matrix of the same
padded sizes uses the same compiled program.

Source: multifrontal elimination, Duff and Reid, ACM Trans. Math. Softw. 9 (1983) 302.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._numerics.sparse.ordering import Dissection, Ints, dissections
from physcon._typing import Array, UInt


class Level(eqx.Module):
    """The fronts of one depth of the tree, padded to p pivots and b further unknowns.

    Attributes:
        pivots: ``(k, p)``, unknowns eliminated here; the number of unknowns if padding.
        entries: ``(k, p, p + b)``, which stored entry stands there; their number s if
            none, where a zero follows them, and s + 1 on the diagonal of padding, where
            a one does.
        take: ``(2 k, p + b)``, where a front's unknowns stand among the further
            unknowns of each of its two children; their number if nowhere.
        place: ``(k, b)``, where the further unknowns stand in the parent's front.
    """

    pivots: UInt[Array, "k p"]
    entries: UInt[Array, "k p f"]
    take: UInt[Array, "two_k f"]
    place: UInt[Array, "k b"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of fronts, and twice the number of pivots in each."""
        k, p = self.pivots.shape
        return k, p, p

    @property
    def coupling_shape(self) -> tuple[int, int, int]:
        """Number of fronts, pivots, and further unknowns."""
        k, p = self.pivots.shape
        return k, p, self.place.shape[1]


class Pattern(eqx.Module):
    """A symmetric pattern of size m with s stored entries (lower triangle, diagonal).

    Attributes:
        row, column: ``(s,)``, with row >= column; the first m entries are the diagonal.
        levels: from the root to the leaves.
        position: ``(s,)``, where each entry stands in the flattened ``(k, p, p + b)``
            arrays of all levels, one after the other.
        unknown: ``(m,)``, where each unknown stands in the flattened `pivots`.
    """

    row: UInt[Array, " s"]
    column: UInt[Array, " s"]
    levels: tuple[Level, ...]
    position: UInt[Array, " s"]
    unknown: UInt[Array, " m"]

    @property
    def size(self) -> int:
        """The number of unknowns, m."""
        return self.unknown.shape[0]

    @property
    def factor_size(self) -> int:
        """The number of values in a factor, padding included."""
        shapes = [(level.shape, level.coupling_shape) for level in self.levels]
        return sum(math.prod(shape) for pair in shapes for shape in pair)


class _Fronts(NamedTuple):
    """Sorted keys ``node * (m + 1) + unknown`` of one depth, and their local places."""

    pivot: Ints
    pivot_place: Ints
    further: Ints
    further_place: Ints
    p: int
    b: int


#: Values in all fronts, padding included, above which a factor is not worth having.
MOST = 2**28


class TooFull(ValueError):
    """The fronts would have more than `MOST` values."""


def analyse(size: int, first: Ints, second: Ints, leaf: int = 20) -> Pattern:
    """Order the unknowns and find the fronts of a matrix, from where its entries are.

    Args:
        first, second: unknowns that share an entry, in either order; repeated pairs and
            the diagonal may be left out or given.

    Raises:
        TooFull: elimination fills the matrix.
    """
    low = np.minimum(first, second).astype(np.int64)
    high = np.maximum(first, second).astype(np.int64)
    keys = np.unique((high * size + low)[high != low])
    row = np.concatenate([np.arange(size), keys // max(size, 1)])
    column = np.concatenate([np.arange(size), keys % max(size, 1)])
    i, j = row[size:], column[size:]
    ends = np.concatenate([i, j]), np.concatenate([j, i])
    trees = [(t, _symbolic(size, t, i, j)) for t in dissections(size, *ends, leaf)]
    tree, fronts = min(trees, key=lambda pair: _work(pair[1]))
    if sum(2**d * (f.p + f.b) ** 2 for d, f in enumerate(fronts)) > MOST:
        raise TooFull
    levels: list[Level] = []
    position = np.zeros(row.size, np.int64)
    offset, pivots = 0, 0
    unknown = np.zeros(size, np.int64)
    for d, front in enumerate(fronts):
        count, width = 2**d, front.p + front.b
        child = fronts[d + 1] if d < tree.levels else None
        parent = fronts[d - 1] if d else None
        entries, where, own = _entries(size, tree, d, front, row, column)
        position[own] = offset + where
        node, vertex = np.divmod(front.pivot, size + 1)
        unknown[vertex] = pivots + node * front.p + front.pivot_place
        table = np.full((count, front.p), size)
        table[node, front.pivot_place] = vertex
        levels.append(
            Level(
                pivots=index_array(table),
                entries=index_array(entries),
                take=index_array(_take(size, front, child, count)),
                place=index_array(_place(size, front, parent, count)),
            )
        )
        offset += count * front.p * width
        pivots += count * front.p
    return Pattern(
        index_array(row),
        index_array(column),
        tuple(levels),
        index_array(position),
        index_array(unknown),
    )


def index_array(x: Ints) -> UInt[Array, "..."]:
    # With values inside of jit as well, where a law may be built from known indices.
    with jax.ensure_compile_time_eval():
        return jnp.asarray(x.astype(np.uint32))


def _symbolic(size: int, tree: Dissection, i: Ints, j: Ints) -> list[_Fronts]:
    """The fronts of every depth, from the leaves up."""
    stride = size + 1
    inner = np.concatenate([i, j])
    outer = np.concatenate([j, i])
    later = tree.depth[outer] < tree.depth[inner]
    inner, outer = inner[later], outer[later]
    further = np.zeros(0, np.int64)
    fronts = []
    for d in range(tree.levels, -1, -1):
        own = tree.depth[inner] == d
        new = tree.node[inner[own]] * stride + outer[own]
        node, vertex = np.divmod(further, stride)
        old = (
            (node // 2 * stride + vertex)[tree.depth[vertex] < d]
            if further.size
            else further
        )
        further = np.unique(np.concatenate([new, old]))
        pivot_vertex = np.flatnonzero(tree.depth == d)
        pivot = np.sort(tree.node[pivot_vertex] * stride + pivot_vertex)
        pivot_place, p = _places(pivot // stride)
        further_place, b = _places(further // stride)
        fronts.append(_Fronts(pivot, pivot_place, further, further_place, max(p, 1), b))
    return fronts[::-1]


def _work(fronts: list[_Fronts]) -> int:
    """Multiplications of the factorisation, roughly."""
    return sum(2**d * f.p * (f.p + f.b) ** 2 for d, f in enumerate(fronts))


def _places(node: Ints) -> tuple[Ints, int]:
    """Position within runs of equal nodes, and the longest run."""
    start = np.searchsorted(node, node)
    place = np.arange(node.size) - start
    return place, int(place.max()) + 1 if place.size else 0


def _local(front: _Fronts, keys: Ints) -> Ints:
    """The place of each key in its front, pivots first; -1 if it is not there."""
    place = np.full(keys.shape, -1)
    for known, where, shift in (
        (front.pivot, front.pivot_place, 0),
        (front.further, front.further_place, front.p),
    ):
        if known.size:
            at = np.minimum(np.searchsorted(known, keys), known.size - 1)
            place = np.where(known[at] == keys, where[at] + shift, place)
    return place


def _entries(
    size: int, tree: Dissection, d: int, front: _Fronts, row: Ints, column: Ints
) -> tuple[Ints, Ints, Ints]:
    """The table of stored entries of one depth; the places of those it holds."""
    stride, width = size + 1, front.p + front.b
    deeper = np.where(tree.depth[row] >= tree.depth[column], row, column)
    other = row + column - deeper
    own = np.flatnonzero(tree.depth[deeper] == d)
    node = tree.node[deeper[own]]
    r = _local(front, node * stride + deeper[own])
    c = _local(front, node * stride + other[own])
    table = np.full((2**d, front.p, width), row.size)
    used = np.bincount(front.pivot // stride, minlength=2**d)
    place = np.arange(front.p)
    table[:, place, place] = np.where(place < used[:, None], row.size, row.size + 1)
    table[node, r, c] = own
    inside = c < front.p
    table[node[inside], c[inside], r[inside]] = own[inside]
    return table, (node * front.p + r) * width + c, own


def _take(size: int, front: _Fronts, child: _Fronts | None, count: int) -> Ints:
    stride, width = size + 1, front.p + front.b
    if child is None:
        return np.zeros((0, width))
    table = np.full((2 * count, width), child.b)
    node, vertex = np.divmod(child.further, stride)
    table[node, _local(front, node // 2 * stride + vertex)] = child.further_place
    return table


def _place(size: int, front: _Fronts, parent: _Fronts | None, count: int) -> Ints:
    if parent is None:
        return np.zeros((count, 0))
    stride = size + 1
    table = np.full((count, front.b), parent.p + parent.b)
    node, vertex = np.divmod(front.further, stride)
    table[node, front.further_place] = _local(parent, node // 2 * stride + vertex)
    return table
