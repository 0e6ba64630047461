"""Lengths, areas, volumes and centroids of polygons and polyhedra, in float64.

Everything here is NumPy on the host: a mesh is measured once, when it is made. A *side*
is a face as seen from one of its cells, so an inner face has two sides and a boundary
face has one; a side's vector points out of its cell.
"""

from typing import NamedTuple

import numpy as np


class Sides(NamedTuple):
    """The faces of all cells, one entry for each cell and face."""

    cell: np.ndarray  # (s)
    corners: np.ndarray  # (s, k) nodes in order; -1 after the last one
    vector: np.ndarray  # (s, d) outward normal times area
    centre: np.ndarray  # (s, d)


def edge_sides(points: np.ndarray, cells: np.ndarray) -> Sides:
    """The edges of polygons in the plane, which run counter-clockwise."""
    following = np.take_along_axis(cells, next_corner(cells), axis=1)
    cell, place = np.nonzero(cells >= 0)
    corners = np.stack([cells[cell, place], following[cell, place]], axis=1)
    start = points[corners[:, 0]]
    end = points[corners[:, 1]]
    along = end - start
    outward = np.stack([along[:, 1], -along[:, 0]], axis=1)
    return Sides(cell, corners, outward, start + 0.5 * along)


def polygon_sides(points: np.ndarray, cell: np.ndarray, corners: np.ndarray) -> Sides:
    """Polygons in space, right-handed outward, as sides of the given cells.

    A polygon that is not plane is measured as triangles around the mean of its corners.
    The vectors of a closed cell then sum to zero for any shape.
    """
    place = points[corners]
    used = (corners >= 0)[..., None]
    middle = np.where(used, place, 0).sum(axis=1) / used.sum(axis=1)
    arm = place - middle[:, None]
    next_arm = np.take_along_axis(arm, next_corner(corners)[..., None], axis=1)
    triangles = np.where(used, 0.5 * np.cross(arm, next_arm), 0)
    vector = triangles.sum(axis=1)
    area = np.linalg.norm(vector, axis=1)
    safe = np.where(area > 0, area, 1)
    share = np.einsum("skd,sd->sk", triangles, vector / safe[:, None])
    offset = np.einsum("sk,skd->sd", share, (arm + next_arm) / 3)
    return Sides(cell, corners, vector, middle + offset / safe[:, None])


def next_corner(corners: np.ndarray) -> np.ndarray:
    """Position, along the second axis, of the corner that follows each one."""
    count = (corners >= 0).sum(axis=1)
    place = np.arange(corners.shape[1])[None]
    return np.where(place + 1 < count[:, None], place + 1, 0)


def signed_areas(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Areas of polygons in the plane; negative where the nodes run clockwise."""
    volume, _ = measure(edge_sides(points, cells), cell_middles(points, cells))
    return volume


def cell_middles(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The mean of each cell's nodes."""
    used = (cells >= 0)[..., None]
    return np.where(used, points[cells], 0).sum(axis=1) / used.sum(axis=1)


def measure(sides: Sides, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Volumes and centroids of cells, cut into pyramids from `middle` to each side.

    Positions are measured from `middle`, a point near the cell, so that nothing cancels
    wherever the origin lies.
    """
    size, dimension = middle.shape
    arm = sides.centre - middle[sides.cell]
    pyramid = np.einsum("sd,sd->s", arm, sides.vector) / dimension
    volume = np.bincount(sides.cell, pyramid, size)
    moment = np.stack(
        [np.bincount(sides.cell, pyramid * arm[:, k], size) for k in range(dimension)],
        axis=1,
    )
    share = dimension / (dimension + 1) / np.where(volume == 0, 1, volume)
    return volume, middle + share[:, None] * moment
