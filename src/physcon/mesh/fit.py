"""Linear fits through the cells near a cell: the weights of a gradient.

The slope g of the plane through the owner that fits its neighbours in the least-squares
sense, each weighted by the inverse of its distance:

    min_g Σ_j |d_j|⁻² (g · d_j - (u_j - u_0))²,     g = Σ_j w_j (u_j - u_0).

It is exact for linear fields on any mesh, and needs no position but the offsets d_j
between centroids, which are right across a periodic seam.

Source: Barth, AIAA 91-1548 (1991); Mavriplis, AIAA 2003-3986 (2003).
"""

from typing import NamedTuple

import numpy as np

from physcon.mesh.topology import Mesh


class Neighbours(NamedTuple):
    """The cells across the faces of every cell: padded with the cell itself."""

    cell: np.ndarray  # (c, k)
    offset: np.ndarray  # (c, k, d) from the cell's centroid to the neighbour's


def neighbours(mesh: Mesh) -> Neighbours:
    """The neighbours of every cell; a boundary face has the cell itself, offset 0."""
    faces = np.asarray(mesh.faces)
    sign = np.asarray(mesh.sign)
    owner = np.asarray(mesh.owner)
    neighbour = np.asarray(mesh.neighbour)
    across = np.asarray(mesh.to_owner, float) - np.asarray(mesh.to_neighbour, float)
    inside = (sign != 0) & (neighbour[faces] >= 0)
    itself = np.arange(mesh.size)[:, None]
    other = np.where(sign > 0, neighbour[faces], owner[faces])
    offset = np.where(inside, sign, 0.0)[..., None] * across[faces]
    return Neighbours(np.where(inside, other, itself), offset)


def slope_weights(offset: np.ndarray) -> np.ndarray:
    """The weights w_j ``(..., k, d)`` of offsets ``(..., k, d)``; zeros have none.

    Offsets that span fewer directions than they have coordinates, as on the surface of
    a sphere, give the slope within the directions that they span.
    """
    square = np.sum(offset**2, axis=-1, keepdims=True)
    used = square > 0
    weight = np.where(used, 1 / np.where(used, square, 1), 0)
    normal = np.swapaxes(offset * weight, -1, -2) @ offset
    inverse = np.linalg.pinv(normal, rcond=1e-2, hermitian=True)
    return offset * weight @ inverse


def wide_neighbours(near: Neighbours, cell: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of a cell and their neighbours, with offsets; no cell twice."""
    first = near.cell[cell]
    second = near.cell[first]
    reach = near.offset[cell][:, None] + near.offset[first]
    cells = np.concatenate([first, second.ravel()])
    offset = np.concatenate([near.offset[cell], reach.reshape(-1, reach.shape[-1])])
    keep = cells != cell
    cells, offset = cells[keep], offset[keep]
    _, place = np.unique(cells, return_index=True)
    return cells[place], offset[place]
