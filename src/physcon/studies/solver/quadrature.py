"""Points and weights that average a function over the cells of a mesh."""

from itertools import pairwise

import numpy as np

from physcon.mesh import Mesh
from physcon.mesh.build import POLYHEDRA
from physcon.mesh.geometry import next_corner

_ROOT = np.sqrt(15.0)


def cell_points(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Points ``(c, q, d)`` of the cells, and weights ``(c, q)`` that add up to 1.

    Cells are cut into simplices around their centroids. Averages are exact for
    polynomials of degree 5 over polygons, and of degree 2 over polyhedra; on a sphere
    the points are moved to the sphere.
    """
    if mesh.ndim == 3 and not mesh.is_surface:
        return _averaging(_tetrahedra(mesh), *_IN_TETRAHEDRON)
    points, weights = _averaging(_triangles(mesh), *_IN_TRIANGLE)
    if mesh.is_surface:
        radius = np.linalg.norm(np.asarray(mesh.points, float)[0])
        size = np.linalg.norm(points, axis=-1, keepdims=True)
        points = points * radius / np.where(size > 0, size, 1)
    return points, weights


def _rule(
    weights: tuple[float, ...], centres: tuple[float, ...], corners: int
) -> tuple:
    """Barycentric coordinates of symmetric points, and their weights."""
    places = []
    shares = []
    for weight, centre in zip(weights, centres, strict=True):
        rest = (1 - centre) / (corners - 1)
        for k in range(corners):
            place = np.full(corners, rest)
            place[k] = centre
            places.append(place)
            shares.append(weight)
    return np.array(places), np.array(shares)


#: Source: Radon (1948); Stroud, Approximate Calculation of Multiple Integrals (1971),
#: rule T2: 5-1, whose middle point counts three times here.
_IN_TRIANGLE = _rule(
    (9 / 120, (155 + _ROOT) / 1200, (155 - _ROOT) / 1200),
    (1 / 3, (9 - 2 * _ROOT) / 21, (9 + 2 * _ROOT) / 21),
    3,
)
_IN_TETRAHEDRON = _rule((0.25,), ((5 + 3 * np.sqrt(5.0)) / 20,), 4)


def _averaging(
    simplices: np.ndarray, places: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights in all simplices ``(c, s, corners, d)`` of each cell."""
    edges = simplices[:, :, 1:] - simplices[:, :, :1]
    gram = edges @ np.swapaxes(edges, -1, -2)
    size = np.sqrt(np.maximum(np.linalg.det(gram), 0))
    size = size / size.sum(axis=1, keepdims=True)
    points = np.einsum("qk,cskd->csqd", places, simplices)
    weights = size[..., None] * shares
    count = len(simplices)
    return points.reshape(count, -1, points.shape[-1]), weights.reshape(count, -1)


def _triangles(mesh: Mesh) -> np.ndarray:
    """Each side of a polygon with its centroid; empty ones after the last side."""
    corners = np.asarray(mesh.corners)
    points = np.asarray(mesh.points, float)
    following = np.take_along_axis(corners, next_corner(corners), axis=1)
    middle = np.asarray(mesh.centroid, float)[:, None]
    used = (corners >= 0)[..., None]
    first = np.where(used, points[corners], middle)
    second = np.where(used, points[following], middle)
    return np.stack([np.broadcast_to(middle, first.shape), first, second], axis=2)


def _tetrahedra(mesh: Mesh) -> np.ndarray:
    """Each triangle of a face with the centroid of its cell, padded with empty ones."""
    corners = np.asarray(mesh.corners)
    points = np.asarray(mesh.points, float)
    count = (corners >= 0).sum(axis=1)
    loops = {
        nodes: [(face[0], *pair) for face in faces for pair in pairwise(face[1:])]
        for nodes, faces in POLYHEDRA.items()
    }
    most = max(len(loops[nodes]) for nodes in np.unique(count).tolist())
    middle = np.asarray(mesh.centroid, float)
    found = np.broadcast_to(middle[:, None, None], (mesh.size, most, 4, 3)).copy()
    for nodes in np.unique(count).tolist():
        chosen = np.flatnonzero(count == nodes)
        triangles = corners[chosen][:, np.array(loops[nodes])]
        found[chosen, : triangles.shape[1], 1:] = points[triangles]
    return found
