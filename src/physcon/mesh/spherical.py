"""Meshes on a sphere: polygons whose edges are arcs of great circles.

Along such an arc the outward normal within the surface is constant: it is the normal of
the arc's plane. Lengths, areas and normals are therefore exact.
"""

from collections.abc import Sequence

import numpy as np

from physcon._checks import require
from physcon.mesh.build import assemble, padded
from physcon.mesh.geometry import Sides, next_corner
from physcon.mesh.topology import Mesh


def from_sphere(
    points: np.ndarray,
    cells: np.ndarray | Sequence[Sequence[int]],
    radius: float = 1.0,
) -> Mesh:
    """A mesh of spherical polygons.

    Args:
        points: directions of the nodes from the centre, ``(p, 3)``, of any length.
        cells: nodes of each cell in order, ``(c, q)``, padded with -1, or lists.
        radius: of the sphere, in the unit of length that volumes shall have.

    Returns:
        A mesh whose volumes are areas on the sphere, face areas are arc lengths, and
        normals are tangent to the sphere at the middle of each arc, ``(f, 3)``.

    >>> from math import pi
    >>> octant = from_sphere(np.eye(3), [[0, 1, 2]])
    >>> bool(abs(octant.volume[0] - pi / 2) < 1e-6)
    True
    """
    points = np.asarray(points, np.float64)
    require(
        points.ndim == 2 and points.shape[1] == 3,
        "directions of shape (p, 3)",
        points.shape,
        "pass x, y and z of each node",
    )
    unit = points / np.linalg.norm(points, axis=1)[:, None]
    cells = _outward(unit, padded(cells))
    volume = spherical_areas(unit, cells)
    centroid = _centroids(unit, cells)
    sides = _arcs(unit, cells)
    scaled = Sides(
        sides.cell, sides.corners, sides.vector * radius, sides.centre * radius
    )
    measured = (volume * radius**2, centroid * radius)
    return assemble(unit * radius, cells, scaled, measured=measured)


def cubed_sphere(n: int, radius: float = 1.0) -> Mesh:
    """The equiangular cubed sphere of 6 n² quadrilaterals.

    Source: Ronchi, Iacono and Paolucci, J. Comput. Phys. 124 (1996) 93.
    """
    require(n >= 1, "1 or more cells along an edge of the cube", n, "pass a larger n")
    tangent = np.tan(np.linspace(-np.pi / 4, np.pi / 4, n + 1))
    a, b = np.meshgrid(tangent, tangent, indexing="ij")
    one = np.ones_like(a)
    panels = [
        (one, a, b),
        (-a, one, b),
        (-one, -a, b),
        (a, -one, b),
        (-b, a, one),
        (b, a, -one),
    ]
    every = np.concatenate([np.stack(p, -1).reshape(-1, 3) for p in panels])
    every = every / np.linalg.norm(every, axis=1)[:, None]
    # Nodes on the edges of the cube belong to two or three panels.
    _, first, number = np.unique(
        np.round(every, 9) + 0.0, axis=0, return_index=True, return_inverse=True
    )
    number = number.reshape(6, n + 1, n + 1)
    cells = np.stack(
        [
            number[:, :-1, :-1],
            number[:, 1:, :-1],
            number[:, 1:, 1:],
            number[:, :-1, 1:],
        ],
        axis=-1,
    )
    return from_sphere(every[first], cells.reshape(-1, 4), radius)


def _triangle_areas(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Signed areas of spherical triangles (Van Oosterom and Strackee 1983, eq. 8)."""
    # Written with differences: exact for small triangles too.
    volume = np.einsum("...d,...d->...", a, np.cross(b - a, c - a))
    dots = np.einsum("...d,...d->...", a, b) + np.einsum("...d,...d->...", b, c)
    dots = dots + np.einsum("...d,...d->...", c, a)
    return 2 * np.arctan2(volume, 1 + dots)


def spherical_areas(unit: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Signed areas of spherical polygons on the unit sphere, ``(c)``."""
    area = np.zeros(len(cells))
    for k in range(1, cells.shape[1] - 1):
        used = cells[:, k + 1] >= 0
        corners = [unit[cells[:, j]] for j in (0, k, k + 1)]
        area += np.where(used, _triangle_areas(*corners), 0)
    return area


def _outward(unit: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The cells with their nodes counter-clockwise, as seen from outside."""
    count = (cells >= 0).sum(axis=1)[:, None]
    place = np.arange(cells.shape[1])[None]
    reverse = np.where(place < count, count - 1 - place, place)
    flipped = np.take_along_axis(cells, reverse, axis=1)
    return np.where((spherical_areas(unit, cells) < 0)[:, None], flipped, cells)


def _centroids(unit: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Directions of ∫ x dA = ½ ∮ x × dx, summed over the arcs."""
    sides = _arcs(unit, cells)
    total = np.zeros((len(cells), 3))
    np.add.at(total, sides.cell, -sides.vector)
    return total / np.linalg.norm(total, axis=1)[:, None]


def _arcs(unit: np.ndarray, cells: np.ndarray) -> Sides:
    following = np.take_along_axis(cells, next_corner(cells), axis=1)
    cell, place = np.nonzero(cells >= 0)
    corners = np.stack([cells[cell, place], following[cell, place]], axis=1)
    start = unit[corners[:, 0]]
    end = unit[corners[:, 1]]
    pole = np.cross(start, end - start)
    size = np.linalg.norm(pole, axis=1)
    angle = np.arctan2(size, np.einsum("sd,sd->s", start, end))
    middle = start + end
    middle = middle / np.linalg.norm(middle, axis=1)[:, None]
    return Sides(cell, corners, -angle[:, None] * pole / size[:, None], middle)
