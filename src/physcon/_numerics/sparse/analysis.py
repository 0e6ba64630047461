"""The pattern of a sparse symmetric matrix, analysed once on the host.

The result holds index arrays only: they are leaves, so that another matrix of the same
padded sizes uses the same compiled program.

Source: multifrontal elimination, Duff and Reid, ACM Trans. Math. Softw. 9 (1983) 302.
"""

import math

import equinox as eqx
import jax
import numpy as np

from physcon._numerics.sparse.fronts import (
    Fronts,
    Group,
    grouped,
    local,
    symbolic,
    work,
)
from physcon._numerics.sparse.ordering import Dissection, Ints, dissections
from physcon._typing import Array, UInt


class Levels(eqx.Module):
    """The fronts of g successive depths of the tree, all padded to one size.

    One program eliminates the g depths in turn. Each has k fronts, some of which are
    padding, of p pivots and b further unknowns.

    Attributes:
        pivots: ``(g, k, p)``, unknowns eliminated here; the number of unknowns if
            padding.
        entries: ``(g, k, p, p + b)``, which stored entry stands there; their number s
            if none, where a zero follows them, and s + 1 on the diagonal of padding,
            where a one does.
        take: ``(g, 2 k, p + b)``, where a front's unknowns stand among the further
            unknowns of each of its two children; a place after their end if nowhere.
        place: ``(g, k, b)``, where the further unknowns stand in the parent's front.
    """

    pivots: UInt[Array, "g k p"]
    entries: UInt[Array, "g k p f"]
    take: UInt[Array, "g two_k f"]
    place: UInt[Array, "g k b"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Numbers of depths, of fronts, and twice the number of pivots in each."""
        g, k, p = self.pivots.shape
        return g, k, p, p

    @property
    def coupling_shape(self) -> tuple[int, int, int, int]:
        """Numbers of depths, fronts, pivots, and further unknowns."""
        g, k, p = self.pivots.shape
        return g, k, p, self.place.shape[2]


class Pattern(eqx.Module):
    """A symmetric pattern of size m with s stored entries (lower triangle, diagonal).

    Attributes:
        row, column: ``(s,)``, with row >= column; the first m entries are the diagonal.
        levels: from the root to the leaves.
        position: ``(s,)``, where each entry stands in the flattened rows of pivots,
            ``(g, k, p, p + b)``, of all levels, one after the other.
        unknown: ``(m,)``, where each unknown stands in the flattened `pivots`.
    """

    row: UInt[Array, " s"]
    column: UInt[Array, " s"]
    levels: tuple[Levels, ...]
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
    trees = [(t, symbolic(size, t, i, j)) for t in dissections(size, *ends, leaf)]
    tree, fronts = min(trees, key=lambda pair: work(pair[1]))
    if sum(f.count * (f.p + f.b) ** 2 for f in fronts) > MOST:
        raise TooFull
    levels: list[Levels] = []
    position = np.zeros(row.size, np.int64)
    unknown = np.zeros(size, np.int64)
    offset, pivots = 0, 0
    groups = grouped(fronts)
    for group in groups:
        for d in group.depths:
            fronts[d] = fronts[d]._replace(p=group.p, b=group.b)
    for group in groups:
        parts = []
        for d in group.depths:
            entries, where, own = _entries(size, tree, d, fronts[d], row, column)
            position[own] = offset + where
            node, vertex = np.divmod(fronts[d].pivot, size + 1)
            place = fronts[d].pivot_place
            unknown[vertex] = pivots + node * group.p + place
            table = np.full((fronts[d].count, group.p), size)
            table[node, place] = vertex
            child = fronts[d + 1] if d < tree.levels else None
            parent = fronts[d - 1] if d else None
            taken = _take(size, fronts[d], child, group.below)
            placed = _place(size, fronts[d], parent, group.above)
            parts.append((table, entries, taken, placed))
            offset += group.k * group.p * (group.p + group.b)
            pivots += group.k * group.p
        levels.append(_levels(group, parts, size, row.size))
    return Pattern(
        index_array(row),
        index_array(column),
        tuple(levels),
        index_array(position),
        index_array(unknown),
    )


def _levels(group: Group, parts: list[tuple], size: int, stored: int) -> Levels:
    """The tables of a group's depths in one array each, padded to k fronts."""
    p, f = group.p, group.p + group.b
    blank = np.full((p, f), stored)
    blank[np.arange(p), np.arange(p)] = stored + 1
    fillers = (size, blank, group.below, group.above)
    fronts = (group.k, group.k, 2 * group.k, group.k)
    whole = []
    of_depths = zip(*parts, strict=True)
    for tables, filler, count in zip(of_depths, fillers, fronts, strict=True):
        padded = np.empty((len(tables), count, *tables[0].shape[1:]), np.int64)
        padded[:] = filler
        for level, table in zip(padded, tables, strict=True):
            level[: len(table)] = table
        whole.append(index_array(padded))
    return Levels(*whole)


def index_array(x: Ints) -> UInt[Array, "..."]:
    # With values inside of jit as well, where a law may be built from known indices.
    # `jnp.asarray` would compile a program for each shape there.
    with jax.ensure_compile_time_eval():
        return jax.device_put(x.astype(np.uint32))


def _entries(
    size: int, tree: Dissection, d: int, front: Fronts, row: Ints, column: Ints
) -> tuple[Ints, Ints, Ints]:
    """The table of stored entries of one depth; the places of those it holds."""
    stride, width = size + 1, front.p + front.b
    deeper = np.where(tree.depth[row] >= tree.depth[column], row, column)
    other = row + column - deeper
    own = np.flatnonzero(tree.depth[deeper] == d)
    node = tree.node[deeper[own]]
    r = local(front, node * stride + deeper[own])
    c = local(front, node * stride + other[own])
    table = np.full((front.count, front.p, width), row.size)
    used = np.bincount(front.pivot // stride, minlength=front.count)
    place = np.arange(front.p)
    table[:, place, place] = np.where(place < used[:, None], row.size, row.size + 1)
    table[node, r, c] = own
    inside = c < front.p
    table[node[inside], c[inside], r[inside]] = own[inside]
    return table, (node * front.p + r) * width + c, own


def _take(size: int, front: Fronts, child: Fronts | None, nowhere: int) -> Ints:
    stride = size + 1
    table = np.full((2 * front.count, front.p + front.b), nowhere)
    if child is not None:
        node, vertex = np.divmod(child.further, stride)
        table[node, local(front, node // 2 * stride + vertex)] = child.further_place
    return table


def _place(size: int, front: Fronts, parent: Fronts | None, nowhere: int) -> Ints:
    stride = size + 1
    table = np.full((front.count, front.b), nowhere)
    if parent is not None:
        node, vertex = np.divmod(front.further, stride)
        table[node, front.further_place] = local(parent, node // 2 * stride + vertex)
    return table
