"""Cells divided into parts of equal size that share few faces."""

import numpy as np

from physcon._checks import require
from physcon.mesh.topology import Mesh


def partition(mesh: Mesh, parts: int) -> np.ndarray:
    """The part of each cell, ``(c)``, from 0 to ``parts - 1``; not under jit.

    METIS makes the parts where pymetis is installed, else recursive bisection along the
    longest extent.

    Source: Karypis and Kumar, SIAM J. Sci. Comput. 20 (1998) 359; Berger and Bokhari,
    IEEE Trans. Comput. C-36 (1987) 570.
    """
    require(
        1 <= parts <= mesh.size,
        f"1 to {mesh.size} parts, the number of cells",
        parts,
        "use fewer devices",
    )
    if parts == 1:
        return np.zeros(mesh.size, np.int64)
    try:
        import pymetis
    except ImportError:
        return bisected(np.asarray(mesh.centroid, float), parts)
    owner = np.asarray(mesh.owner)
    neighbour = np.asarray(mesh.neighbour)
    inside = neighbour >= 0
    first = np.concatenate([owner[inside], neighbour[inside]])
    second = np.concatenate([neighbour[inside], owner[inside]])
    order = np.argsort(first, kind="stable")
    starts = np.searchsorted(first[order], np.arange(mesh.size + 1))
    graph = pymetis.CSRAdjacency(
        starts.astype(np.int32), second[order].astype(np.int32)
    )
    options = pymetis.Options(seed=0)
    found = pymetis.part_graph(parts, graph, options=options).vertex_part
    label = np.asarray(found, np.int64)
    complete = np.unique(label).size == parts  # METIS may leave a part empty
    return label if complete else bisected(np.asarray(mesh.centroid, float), parts)


def bisected(centroid: np.ndarray, parts: int) -> np.ndarray:
    """The part of each place ``(c, d)`` by recursive bisection of coordinates."""
    label = np.zeros(len(centroid), np.int64)
    waiting = [(np.arange(len(centroid)), 0, parts)]
    while waiting:
        cells, first, count = waiting.pop()
        if count == 1:
            label[cells] = first
            continue
        axis = int(np.ptp(centroid[cells], axis=0).argmax())
        order = cells[np.argsort(centroid[cells, axis], kind="stable")]
        half = count // 2
        cut = round(len(order) * half / count)
        waiting.append((order[:cut], first, half))
        waiting.append((order[cut:], first + half, count - half))
    return label
