"""Nested dissection on the host: which unknowns separate which.

The unknowns are halved recursively, always to the same depth. The neighbours of the
other half on one side of each cut form a separator, which is eliminated after both
halves. All parts of one depth are treated together, so that the work is a few dozen
NumPy operations for a graph of any size.

Source: George, SIAM J. Numer. Anal. 10 (1973) 345.
"""

from typing import NamedTuple

import numpy as np

Ints = np.ndarray


class Dissection(NamedTuple):
    """A complete binary tree of separators.

    Attributes:
        depth: per unknown the depth of its node in the tree; 0 is the root.
        node: per unknown the number of its node among the nodes of the same depth.
        levels: the depth of the leaves.
    """

    depth: Ints
    node: Ints
    levels: int


def dissect(size: int, first: Ints, second: Ints, leaf: int = 20) -> Dissection:
    """Nested dissection of the graph with edges (first, second), both directions given.

    Args:
        leaf: unknowns in a leaf, on average.
    """
    levels = max(0, int(np.ceil(np.log2(max(size, 1) / leaf))))
    part = _parts(size, first, second, levels)
    depth = np.full(size, levels)
    for d in range(levels):
        shift = levels - 1 - d
        group, side = part >> (shift + 1), (part >> shift) & 1
        inside = (depth[first] == levels) & (depth[second] == levels)
        cut = inside & (group[first] == group[second]) & (side[first] != side[second])
        depth[_cover(first[cut], second[cut], group, side, 2**d)] = d
    return Dissection(depth, part >> (levels - depth), levels)


def dissections(
    size: int, first: Ints, second: Ints, leaf: int = 20
) -> list[Dissection]:
    """Candidates to choose from: nested dissection as it is and, where some unknowns
    have far more neighbours than most, with these in the root.

    Hubs, such as water in a metabolic network, would join all parts of the graph and
    with it fill every front. Without them it falls into small pieces.
    """
    found = [dissect(size, first, second, leaf)]
    degree = np.bincount(first, minlength=size)
    if size >= 200 and degree.max() > 10 * degree.mean():
        order = np.argsort(-degree, kind="stable")
        for share in (32, 16, 12, 8):
            hubs = order[: size // share]
            found.append(_around(hubs, size, first, second, leaf))
    return found


def _around(hubs: Ints, size: int, first: Ints, second: Ints, leaf: int) -> Dissection:
    """Nested dissection of the graph without `hubs`, which join the root."""
    is_hub = np.zeros(size, bool)
    is_hub[hubs] = True
    others = np.flatnonzero(~is_hub)
    number = np.zeros(size, np.int64)
    number[others] = np.arange(others.size)
    inside = ~is_hub[first] & ~is_hub[second]
    ends = number[first[inside]], number[second[inside]]
    tree = dissect(others.size, *ends, leaf)
    depth = np.zeros(size, np.int64)
    node = np.zeros(size, np.int64)
    depth[others] = tree.depth
    node[others] = tree.node
    return Dissection(depth, node, tree.levels)


def _cover(first: Ints, second: Ints, group: Ints, side: Ints, groups: int) -> Ints:
    """In each group the smaller of the two sets of end points of the cut edges."""
    ends = np.unique(np.concatenate([first, second]))
    ends = ends.astype(np.int64)
    counts = np.zeros((groups, 2), np.int64)
    np.add.at(counts, (group[ends], side[ends]), 1)
    smaller = np.argmin(counts, axis=1)
    return ends[side[ends] == smaller[group[ends]]]


def _parts(size: int, first: Ints, second: Ints, levels: int) -> Ints:
    """Labels 0 to 2**levels - 1, whose leading bits are the first bisections."""
    if levels == 0:
        return np.zeros(size, np.int64)
    try:
        import pymetis
    except ImportError:
        return _bisected(size, first, second, levels)
    order = np.argsort(first, kind="stable")
    starts = np.searchsorted(first[order], np.arange(size + 1)).astype(np.int32)
    neighbours = second[order].astype(np.int32)
    adjacency = pymetis.CSRAdjacency(starts, neighbours)
    options = pymetis.Options(seed=0)
    found = pymetis.part_graph(
        2**levels, adjacency, recursive=True, options=options
    ).vertex_part
    return np.asarray(found, np.int64)


def _bisected(size: int, first: Ints, second: Ints, levels: int) -> Ints:
    """As METIS's recursive bisection, by distances from two far ends of every part."""
    part = np.zeros(size, np.int64)
    for _ in range(levels):
        inside = part[first] == part[second]
        i, j = first[inside], second[inside]
        component = _components(size, i, j)
        start = _first_of(component, np.zeros(size, np.int64))
        one_end = _first_of(component, -_distances(size, i, j, start))
        near = _distances(size, i, j, one_end)
        far = _distances(size, i, j, _first_of(component, -near))
        order = np.lexsort((near - far, component, part))
        counts = np.bincount(part, minlength=int(part.max()) + 1)
        rank = np.arange(size) - np.repeat(np.cumsum(counts) - counts, counts)
        upper = np.zeros(size, np.int64)
        upper[order] = 2 * rank >= np.repeat(counts, counts)
        part = 2 * part + upper
    return part


def _components(size: int, i: Ints, j: Ints) -> Ints:
    """The smallest unknown of each connected component, by pointer jumping."""
    label = np.arange(size)
    while True:
        smaller = label.copy()
        np.minimum.at(smaller, label[i], label[j])
        np.minimum.at(smaller, i, label[j])
        while np.any(smaller[smaller] != smaller):
            smaller = smaller[smaller]
        if np.array_equal(smaller, label):
            return label
        label = smaller


def _first_of(component: Ints, key: Ints) -> Ints:
    """In every component the unknown with the smallest key."""
    order = np.lexsort((key, component))
    leading = np.concatenate([[True], np.diff(component[order]) != 0])
    return order[leading]


def _distances(size: int, i: Ints, j: Ints, sources: Ints) -> Ints:
    """Number of edges to the source of the same component."""
    order = np.argsort(i, kind="stable")
    starts = np.searchsorted(i[order], np.arange(size + 1))
    neighbours = j[order]
    distance = np.full(size, -1)
    front, steps = sources, 0
    while front.size:
        distance[front] = steps
        counts = starts[front + 1] - starts[front]
        offsets = np.arange(counts.sum()) - np.repeat(
            np.cumsum(counts) - counts, counts
        )
        reached = neighbours[np.repeat(starts[front], counts) + offsets]
        front = np.unique(reached[distance[reached] < 0])
        steps += 1
    return distance
