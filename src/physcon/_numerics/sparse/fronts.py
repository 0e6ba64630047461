"""The fronts of a dissected matrix, and the groups of depths that share a program."""

from typing import NamedTuple

import numpy as np

from physcon._numerics.sparse.ordering import Dissection, Ints


class Fronts(NamedTuple):
    """Sorted keys ``node * (m + 1) + unknown`` of one depth, and their local places."""

    pivot: Ints
    pivot_place: Ints
    further: Ints
    further_place: Ints
    p: int
    b: int
    count: int  # nodes of this depth


class Group(NamedTuple):
    """Successive depths whose fronts are padded to one size.

    Attributes:
        depths: from the root towards the leaves.
        k: fronts of each depth, those that are padding included.
        p, b: pivots and further unknowns of each front.
        below, above: index of an unknown that stands in no child, or in no parent.
    """

    depths: range
    k: int
    p: int
    b: int
    below: int = 0
    above: int = 0


def symbolic(size: int, tree: Dissection, i: Ints, j: Ints) -> list[Fronts]:
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
        fronts.append(
            Fronts(pivot, pivot_place, further, further_place, max(p, 1), b, 2**d)
        )
    return fronts[::-1]


def work(fronts: list[Fronts]) -> int:
    """Multiplications of the factorisation, roughly."""
    return sum(f.count * f.p * (f.p + f.b) ** 2 for f in fronts)


def _places(node: Ints) -> tuple[Ints, int]:
    """Position within runs of equal nodes, and the longest run."""
    start = np.searchsorted(node, node)
    place = np.arange(node.size) - start
    return place, int(place.max()) + 1 if place.size else 0


def local(front: Fronts, keys: Ints) -> Ints:
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


#: Price of a further group, in values of padded fronts times their pivots: about 1 ms
#: of each elimination, against some 0.5 s of compilation.
_PRICE = 2**20


def grouped(fronts: list[Fronts]) -> list[Group]:
    """Successive depths in groups, so that few programs eliminate them at little cost.

    The cheapest way to cut the tree, by dynamic programming over the depths.
    """
    best: list[tuple[int, list[Group]]] = [(0, [])]
    for end in range(1, len(fronts) + 1):
        options = []
        for start in range(end):
            cost, before = best[start]
            group = _padded(range(start, end), fronts)
            size = len(group.depths) * group.k * (group.p + group.b) ** 2
            options.append((cost + _PRICE + size * (4 + group.p), [*before, group]))
        best.append(min(options, key=lambda option: option[0]))
    return _linked(best[-1][1])


def _padded(depths: range, fronts: list[Fronts]) -> Group:
    chosen = [fronts[d] for d in depths]
    return Group(
        depths,
        max(f.count for f in chosen),
        max(f.p for f in chosen),
        max(f.b for f in chosen),
    )


def _linked(groups: list[Group]) -> list[Group]:
    """The groups, with the sizes of what they exchange."""
    linked = []
    for g, group in enumerate(groups):
        below = groups[g + 1].b if g + 1 < len(groups) else 0
        above = groups[g - 1].p + groups[g - 1].b if g else 0
        if len(group.depths) > 1:
            below = max(below, group.b)
            above = max(above, group.p + group.b)
        linked.append(group._replace(below=below, above=above))
    return linked
