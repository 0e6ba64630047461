"""Meshes of standard domains: a grid's cells, triangles in a box, a cubed sphere."""

from collections.abc import Callable

import numpy as np

from physcon._checks import require
from physcon.grid import Grid
from physcon.mesh.build import from_cells
from physcon.mesh.topology import Mesh

_SIDES = (("left", "right"), ("bottom", "top"), ("back", "front"))


def from_grid(grid: Grid, *, periodic: tuple[bool, ...] | bool = False) -> Mesh:
    """The cells of a grid of two or three axes as a mesh, in the grid's order.

    ``u.reshape(mesh.size)`` are the cell averages on the mesh. Patches are named
    ``left``, ``right`` (first axis), ``bottom``, ``top``, ``back`` and ``front``.

    Args:
        periodic: for all axes, or for each one; a periodic axis has 3 or more cells.
    """
    require(
        grid.location == "cells" and grid.ndim in (2, 3),
        "a grid of cells with two or three axes",
        f"{grid.location} with {grid.ndim}",
        "use Grid.uniform or Grid.cells",
    )
    closed = np.broadcast_to(np.asarray(periodic, bool), (grid.ndim,))
    faces = [_positions(grid, axis) for axis in range(grid.ndim)]
    counts = tuple(len(f) for f in faces)
    points = np.stack(np.meshgrid(*faces, indexing="ij"), axis=-1)
    nodes = np.arange(int(np.prod(counts))).reshape(counts)
    cells = np.stack([nodes[_corner(c)].ravel() for c in _BOX[grid.ndim]], axis=1)
    same = nodes.copy()
    for axis in np.flatnonzero(closed).tolist():
        require(
            counts[axis] >= 4,
            f"3 or more cells along the periodic axis {axis}",
            counts[axis] - 1,
            "refine the grid",
        )
        last = [slice(None)] * grid.ndim
        last[axis] = slice(-1, None)
        first = [slice(None)] * grid.ndim
        first[axis] = slice(0, 1)
        same[tuple(last)] = same[tuple(first)]
    patches = {}
    for axis in np.flatnonzero(~closed).tolist():
        low = faces[axis][0]
        high = faces[axis][-1]
        tolerance = 1e-6 * np.diff(faces[axis]).min()
        for name, place in zip(_SIDES[axis], (low, high), strict=True):
            patches[name] = _in_plane(axis, place, tolerance)
    return from_cells(points.reshape(-1, grid.ndim), cells, patches, same=same.ravel())


def triangles(
    lower: tuple[float, float],
    upper: tuple[float, float],
    shape: tuple[int, int],
    *,
    periodic: bool = False,
    distortion: float = 0.0,
    seed: int = 0,
) -> Mesh:
    """Triangles in a box: each of ``shape`` rectangles is cut along one diagonal.

    Args:
        distortion: how far inner nodes move at random, in units of the smaller side of
            a rectangle; below about 0.3 no triangle degenerates.
        periodic: joins opposite sides; the box then needs 3 or more rectangles a side.

    Patches: ``left``, ``right``, ``bottom``, ``top``.
    """
    low = np.asarray(lower, np.float64)
    high = np.asarray(upper, np.float64)
    nx, ny = shape
    require(
        min(shape) >= (3 if periodic else 1),
        "3 or more rectangles a side for a periodic box, 1 or more otherwise",
        shape,
        "refine the mesh",
    )
    step = (high - low) / np.array(shape)
    index = np.stack(
        np.meshgrid(np.arange(nx + 1), np.arange(ny + 1), indexing="ij"), -1
    )
    move = np.random.default_rng(seed).uniform(-1, 1, (nx + 1, ny + 1, 2))
    edge = (index == 0) | (index == np.array(shape))
    if periodic:
        move[-1] = move[0]
        move[:, -1] = move[:, 0]
    else:
        move = np.where(edge, 0, move)
    points = low + index * step + distortion * step.min() * move
    nodes = np.arange((nx + 1) * (ny + 1)).reshape(nx + 1, ny + 1)
    a = nodes[:-1, :-1].ravel()
    b = nodes[1:, :-1].ravel()
    c = nodes[1:, 1:].ravel()
    d = nodes[:-1, 1:].ravel()
    flip = (np.indices((nx, ny)).sum(axis=0).ravel() % 2).astype(bool)
    one = np.where(flip[:, None], np.stack([a, b, d], 1), np.stack([a, b, c], 1))
    two = np.where(flip[:, None], np.stack([b, c, d], 1), np.stack([a, c, d], 1))
    cells = np.stack([one, two], axis=1).reshape(-1, 3)
    same = None
    patches = {}
    if periodic:
        joined = nodes.copy()
        joined[-1] = joined[0]
        joined[:, -1] = joined[:, 0]
        same = joined.ravel()
    else:
        for axis in range(2):
            for name, place in zip(_SIDES[axis], (low[axis], high[axis]), strict=True):
                patches[name] = _in_plane(axis, place, 1e-6 * step[axis])
    return from_cells(points.reshape(-1, 2), cells, patches, same=same)


_BOX = {
    2: ((0, 0), (1, 0), (1, 1), (0, 1)),
    3: (
        (0, 0, 0),
        (1, 0, 0),
        (1, 1, 0),
        (0, 1, 0),
        (0, 0, 1),
        (1, 0, 1),
        (1, 1, 1),
        (0, 1, 1),
    ),
}


def _corner(offset: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(1, None) if o else slice(None, -1) for o in offset)


def _positions(grid: Grid, axis: int) -> np.ndarray:
    """Face positions of an axis, added up in float64."""
    widths = np.asarray(grid.widths(axis), np.float64)
    high, low = (np.float64(part) for part in grid.lower_end(axis))
    return high + low + np.concatenate([[0.0], np.cumsum(widths)])


def _in_plane(
    axis: int, place: float, tolerance: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Whether face centres lie in the plane x_axis = place."""

    def in_plane(centre: np.ndarray) -> np.ndarray:
        return np.abs(centre[:, axis] - place) <= tolerance

    return in_plane
