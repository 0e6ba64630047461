"""Meshes from nodes and cells: the faces are found, measured and checked here.

Polygons in the plane, and the usual polyhedra: tetrahedron, pyramid, wedge (prism) and
hexahedron, with VTK's order of nodes.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon.mesh.checks import check
from physcon.mesh.geometry import (
    Sides,
    cell_middles,
    edge_sides,
    measure,
    polygon_sides,
    signed_areas,
)
from physcon.mesh.matching import Patches, joined, named, pairs
from physcon.mesh.topology import Mesh

#: Number of nodes -> faces, right-handed outward (VTK's order of nodes).
POLYHEDRA = {
    4: ((0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3)),
    5: ((0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)),
    6: ((0, 1, 2), (3, 5, 4), (0, 3, 4, 1), (1, 4, 5, 2), (2, 5, 3, 0)),
    8: (
        (0, 3, 2, 1),
        (4, 5, 6, 7),
        (0, 1, 5, 4),
        (1, 2, 6, 5),
        (2, 3, 7, 6),
        (3, 0, 4, 7),
    ),
}


def from_cells(
    points: np.ndarray,
    cells: np.ndarray | Sequence[Sequence[int]],
    patches: Patches | None = None,
    *,
    same: np.ndarray | None = None,
) -> Mesh:
    """A mesh from the positions of its nodes and the nodes of each cell.

    Args:
        points: ``(p, 2)`` for polygons in the plane, ``(p, 3)`` for polyhedra.
        cells: nodes of each cell: ``(c, q)``, padded with -1, or a list of lists.
            Polygons: in order around the cell, in either direction. Polyhedra of 4, 5,
            6 or 8 nodes: in VTK's order, or mirrored.
        patches: name of a boundary patch -> the nodes of its faces ``(n, 2 or more)``,
            or a function of the face centres ``(n, d)`` that says which belong to it.
            Faces that no patch claims belong to ``"boundary"``.
        same: for each node the node that it coincides with, ``(p)``. It joins the nodes
            of periodic sides, whose positions differ by a period.

    Raises:
        ValueError: a node out of range, a cell without volume, a face of more than two
            cells, a cell that is not closed; each is named by its index.

    >>> square = from_cells(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]), [[0, 1, 2, 3]])
    >>> square.volume.tolist(), square.centroid.tolist()
    ([1.0], [[0.5, 0.5]])
    """
    points = np.asarray(points, dtype=np.float64)
    require(
        points.ndim == 2 and points.shape[1] in (2, 3),
        "points of shape (p, 2) or (p, 3)",
        points.shape,
        "pass one row of coordinates for each node",
    )
    cells = padded(cells)
    _check_nodes(points, cells)
    if points.shape[1] == 2:
        cells = _counter_clockwise(points, cells)
        sides = edge_sides(points, cells)
    else:
        sides = _polyhedron_sides(points, cells)
    return assemble(points, cells, sides, patches, same)


def cell_sizes(
    points: np.ndarray, cells: np.ndarray, *, solid: bool = False
) -> np.ndarray:
    """Areas or volumes of cells in float64, without looking for their faces.

    Args:
        points: ``(p, 2)``, or ``(p, 3)`` for polyhedra (`solid`) or polygons in space.
        cells: nodes of each cell, ``(c, q)``, padded with -1.
    """
    cells = padded(cells)
    _check_nodes(points, cells)
    if points.shape[1] == 2:
        return np.abs(signed_areas(points, cells))
    if solid:
        sides = _polyhedron_sides(points, cells)
        volume, _ = measure(sides, cell_middles(points, cells))
        return np.abs(volume)
    polygons = polygon_sides(points, np.arange(len(cells)), cells)
    return np.linalg.norm(polygons.vector, axis=1)


def padded(cells: np.ndarray | Sequence[Sequence[int]]) -> np.ndarray:
    """Lists of nodes as one integer array, with -1 after the last node of each."""
    if isinstance(cells, np.ndarray) and cells.ndim == 2:
        return cells.astype(np.int64)
    longest = max((len(cell) for cell in cells), default=0)
    rows = [[*cell, *[-1] * (longest - len(cell))] for cell in cells]
    return np.asarray(rows, dtype=np.int64).reshape(len(rows), longest)


def assemble(
    points: np.ndarray,
    cells: np.ndarray,
    sides: Sides,
    patches: Patches | None = None,
    same: np.ndarray | None = None,
    measured: tuple[np.ndarray, np.ndarray] | None = None,
) -> Mesh:
    """The mesh of cells with the given sides.

    Args:
        measured: volumes and centroids of cells on a curved surface, whose outward
            vectors don't sum to zero. None: flat cells, measured and checked here.
    """
    first, second = pairs(sides, same)
    inside = second >= 0
    owner = sides.cell[first]
    neighbour = np.where(inside, sides.cell[second], -1)
    flat = measured is None
    volume, centroid = measured or measure(sides, cell_middles(points, cells))
    area = np.linalg.norm(sides.vector[first], axis=1)
    normal = sides.vector[first] / np.where(area > 0, area, 1)[:, None]
    to_owner = sides.centre[first] - centroid[owner]
    across = sides.centre[second] - centroid[neighbour]
    mirrored = to_owner - 2 * np.sum(to_owner * normal, axis=1)[:, None] * normal
    faces, sign = faces_of_cells(len(cells), owner, neighbour)
    check(volume, area, normal, faces, sign, closed=flat)
    patch, names = named(patches, sides, first, inside, same)
    return Mesh(
        volume=jnp.asarray(volume, float),
        centroid=jnp.asarray(centroid, float),
        area=jnp.asarray(area, float),
        normal=jnp.asarray(normal, float),
        owner=jnp.asarray(owner, jnp.int32),
        neighbour=jnp.asarray(neighbour, jnp.int32),
        patch=jnp.asarray(patch, jnp.int32),
        to_owner=jnp.asarray(to_owner, float),
        to_neighbour=jnp.asarray(np.where(inside[:, None], across, mirrored), float),
        faces=jnp.asarray(faces, jnp.int32),
        sign=jnp.asarray(sign, float),
        points=jnp.asarray(points, float),
        corners=jnp.asarray(cells, jnp.int32),
        vertices=jnp.asarray(joined(cells, same), jnp.int32),
        patches=names,
        is_surface=not flat,
    )


def faces_of_cells(
    size: int, owner: np.ndarray, neighbour: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The faces of each cell in increasing order, padded with -1, and their signs."""
    inside = np.flatnonzero(neighbour >= 0)
    cell = np.concatenate([owner, neighbour[inside]])
    face = np.concatenate([np.arange(len(owner)), inside])
    sign = np.concatenate([np.ones(len(owner)), -np.ones(len(inside))])
    order = np.lexsort((face, cell))
    cell = cell[order]
    face = face[order]
    sign = sign[order]
    count = np.bincount(cell, minlength=size)
    start = np.cumsum(count) - count
    place = np.arange(len(cell)) - start[cell]
    faces = np.full((size, int(count.max(initial=0))), -1)
    signs = np.zeros(faces.shape)
    faces[cell, place] = face
    signs[cell, place] = sign
    return faces, signs


def _check_nodes(points: np.ndarray, cells: np.ndarray) -> None:
    require(len(cells) > 0, "one or more cells", 0, "pass the nodes of each cell")
    wrong = np.flatnonzero(((cells < -1) | (cells >= len(points))).any(axis=1))
    require(
        wrong.size == 0,
        f"nodes from 0 to {len(points) - 1}",
        f"other numbers in cell(s) {wrong[:5].tolist()}",
        "number the nodes from 0, and pad with -1 after the last node",
    )
    require(
        bool(np.isfinite(points).all()),
        "finite node positions",
        f"NaN or infinity at node(s) {np.flatnonzero(~np.isfinite(points).all(1))[:5]}",
        "remove these nodes",
    )


def _counter_clockwise(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The cells with the nodes of clockwise ones reversed."""
    clockwise = signed_areas(points, cells) < 0
    count = (cells >= 0).sum(axis=1)[:, None]
    place = np.arange(cells.shape[1])[None]
    reverse = np.where(place < count, count - 1 - place, place)
    flipped = np.take_along_axis(cells, reverse, axis=1)
    return np.where(clockwise[:, None], flipped, cells)


def _polyhedron_sides(points: np.ndarray, cells: np.ndarray) -> Sides:
    count = (cells >= 0).sum(axis=1)
    wrong = np.flatnonzero(~np.isin(count, list(POLYHEDRA)))
    require(
        wrong.size == 0,
        "cells of 4, 5, 6 or 8 nodes",
        f"cell(s) {wrong[:5].tolist()} with {count[wrong[:5]].tolist()} nodes",
        "split other polyhedra into tetrahedra",
    )
    owners = []
    loops = []
    for nodes, faces in POLYHEDRA.items():
        chosen = np.flatnonzero(count == nodes)
        for face in faces if chosen.size else ():
            loop = np.full((len(chosen), 4), -1)
            loop[:, : len(face)] = cells[chosen][:, face]
            owners.append(chosen)
            loops.append(loop)
    sides = polygon_sides(points, np.concatenate(owners), np.concatenate(loops))
    volume, _ = measure(sides, cell_middles(points, cells))
    inverted = (volume < 0)[sides.cell]
    return sides._replace(
        vector=np.where(inverted[:, None], -sides.vector, sides.vector)
    )
