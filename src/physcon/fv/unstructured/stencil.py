"""What the cells of a mesh read of each other: index tables, made once on the host.

Tables have the cells on their last axis, and the faces of a cell on their first one, so
that every sum over the faces of a cell is a few additions of whole arrays.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Bool, Float, Int
from physcon.fv._stage import arranged
from physcon.mesh import Mesh
from physcon.mesh.fit import neighbours, slope_weights


class Stencil(eqx.Module):
    """Neighbours, offsets and gradient weights of n cells with at most k faces.

    Attributes:
        cell: the cell across each face, ``(k, n)``; the cell itself on the boundary.
        weights: of the differences to these cells in the least-squares gradient,
            ``(k, d, n)``; boundary faces have none.
        filled_weights: the same with what is known on the boundary: the value at the
            centre of a face, or the change along its normal.
        mean_weights: of the differences in the Green-Gauss gradient.
        arm: from the centroid to the centre of each face, ``(k, d, n)``.
        face, sign: as in `Mesh`, ``(k, n)``; beyond the last face the sign is 0.
        far: the cell beyond each face, ``(f)``; on the boundary its owner.
        gap: from the owner's centroid to the face along the normal, ``(f)``.
        left, right: place of a face's two sides among the n k sides of cells, ``(f)``.
            On the boundary both are the owner's.
        vertex: nodes of each cell, ``(q, n)``, periodic ones joined; a cell with fewer
            nodes repeats its first one.
        around: cells around each node, ``(r, p)``; a node with fewer cells repeats one.
        vertex_arm: from the centroid to each node, ``(q, d, n)``, else 0.
        frame: orthonormal directions at each face, the normal first, ``(d, d, f)``.
        up: normal of a curved surface at each centroid, ``(d, n)``; None: the mesh
            fills the space of its coordinates.
        axes: names of the axes of devices that divide the cells.
    """

    cell: Int[Array, "k n"]
    weights: Float[Array, "k d n"]
    filled_weights: Float[Array, "k d n"]
    mean_weights: Float[Array, "k d n"]
    arm: Float[Array, "k d n"]
    face: Int[Array, "k n"]
    sign: Float[Array, "k n"]
    far: Int[Array, " f"]
    gap: Float[Array, " f"]
    left: Int[Array, " f"]
    right: Int[Array, " f"]
    vertex: Int[Array, "q n"]
    around: Int[Array, "r p"]
    vertex_arm: Float[Array, "q d n"]
    frame: Float[Array, "d d f"]
    up: Float[Array, "d n"] | None
    axes: tuple[str, ...] = eqx.field(static=True, default=())

    def sum_over_faces(self, x: Float[Array, " f"]) -> Float[Array, " n"]:
        """Σ over the faces of each cell, in a fixed order."""
        pairs = zip(self.face, self.sign, strict=True)
        return added([jnp.abs(sign) * x[face] for face, sign in pairs])

    def leaving(self, through: Float[Array, "f c"]) -> Float[Array, "n c"]:
        """Σ over the faces of each cell, in a fixed order, of what leaves it."""
        pairs = zip(self.face, self.sign, strict=True)
        return added([sign[:, None] * taken(through, face) for face, sign in pairs])


def taken(table: Float[Array, "m c"], place: Int[Array, "*i"]) -> Array:
    """The rows of a table at places of a `Stencil`, which are never negative.

    A CPU reads a whole row faster than the same channels from arrays of their own.
    """
    rows = table.at[place]
    return rows.get(mode="promise_in_bounds", wrap_negative_indices=False)


def by_row(u: Float[Array, "c m"]) -> Float[Array, "m c"]:
    """A state with its channels last, in memory too."""
    return _transposed(u)


def by_channel(rows: Float[Array, "m c"]) -> Float[Array, "c m"]:
    """The inverse of `by_row`."""
    return _transposed(rows)


def _transposed(x: Float[Array, "a b"]) -> Float[Array, "b a"]:
    """The transpose, whose entries are moved in memory."""
    return arranged(x.T.reshape(-1)).reshape(x.shape[::-1])


def added(parts: list[Array]) -> Array:
    """The sum of one or more arrays, in their order."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def stencil(mesh: Mesh, has_value: Bool[np.ndarray, " f"]) -> Stencil:
    """The tables of a mesh whose connections are known.

    Args:
        has_value: the boundary faces on which the value of the field is given.
    """
    near = neighbours(mesh)
    sign = np.asarray(mesh.sign)
    faces = np.asarray(mesh.faces)
    arm = np.where(
        (sign > 0)[..., None],
        np.asarray(mesh.to_owner)[faces],
        np.asarray(mesh.to_neighbour)[faces],
    )
    arm = arm * (sign != 0)[..., None]
    inside = np.asarray(mesh.neighbour) >= 0
    outer = (sign != 0) & ~inside[faces]
    filled = np.where(outer[..., None], _to_known(mesh, has_value)[faces], near.offset)
    cell, place = np.nonzero(sign)
    side = cell * sign.shape[1] + place
    owns = sign[cell, place] > 0
    left = np.zeros(mesh.face_count, int)
    left[faces[cell, place][owns]] = side[owns]
    right = left.copy()
    right[faces[cell, place][~owns]] = side[~owns]
    corners = np.asarray(mesh.vertices)
    vertex = np.where(corners >= 0, corners, corners[:, :1])
    offset = np.asarray(mesh.points, float)[mesh.corners]
    offset = offset - np.asarray(mesh.centroid, float)[:, None]
    offset = np.where((corners >= 0)[..., None], offset, 0)
    return Stencil(
        cell=_index(near.cell.T),
        weights=_last(slope_weights(near.offset)),
        filled_weights=_last(slope_weights(filled)),
        mean_weights=_last(_mean_weights(mesh)),
        arm=_last(arm),
        face=_index(np.where(sign != 0, faces, 0).T),
        sign=jnp.asarray(sign.T, float),
        far=_index(np.where(inside, mesh.neighbour, mesh.owner)),
        gap=jnp.asarray(_gaps(mesh)[:, 0], float),
        left=_index(left),
        right=_index(right),
        vertex=_index(vertex.T),
        around=_index(_cells_around(vertex, len(mesh.points))),
        vertex_arm=_last(offset),
        frame=jnp.asarray(_frames(np.asarray(mesh.normal, float)), float),
        up=_up(mesh),
    )


def _cells_around(vertex: np.ndarray, nodes: int) -> np.ndarray:
    """The cells around each node, ``(r, p)``, the last one repeated."""
    cell = np.repeat(np.arange(len(vertex)), vertex.shape[1])
    pairs = np.unique(np.stack([vertex.ravel(), cell], axis=1), axis=0)
    count = np.bincount(pairs[:, 0], minlength=nodes)
    start = np.cumsum(count) - count
    place = np.arange(max(int(count.max()), 1))[:, None]
    within = start + np.minimum(place, np.maximum(count - 1, 0))
    return pairs[np.minimum(within, len(pairs) - 1), 1]


def _to_known(mesh: Mesh, has_value: np.ndarray) -> np.ndarray:
    """From the owner's centroid to the centre of a face, or along its normal only."""
    arm = np.asarray(mesh.to_owner, float)
    normal = np.asarray(mesh.normal, float)
    return np.where(has_value[:, None], arm, _gaps(mesh) * normal)


def _gaps(mesh: Mesh) -> np.ndarray:
    """From the owner's centroid to each face, along the normal, ``(f, 1)``."""
    arm = np.asarray(mesh.to_owner, float)
    return np.sum(arm * np.asarray(mesh.normal, float), axis=1)[:, None]


def _mean_weights(mesh: Mesh) -> np.ndarray:
    """Weights of the Green-Gauss gradient, Σ_f |face| n u_f / volume.

    u_f is interpolated along the normal. The cell's own value drops out, since the
    outward vectors of a closed cell sum to zero.
    """
    sign = np.asarray(mesh.sign)
    faces = np.asarray(mesh.faces)
    normal = np.asarray(mesh.normal, float)
    near = np.abs(np.sum(np.asarray(mesh.to_owner, float) * normal, axis=1))
    far = np.abs(np.sum(np.asarray(mesh.to_neighbour, float) * normal, axis=1))
    share = np.where(sign > 0, near[faces], far[faces]) / (near + far)[faces]
    outward = sign[..., None] * (np.asarray(mesh.area)[:, None] * normal)[faces]
    volume = np.asarray(mesh.volume, float)[:, None, None]
    inside = np.asarray(mesh.neighbour)[faces] >= 0
    return np.where(inside[..., None], share[..., None] * outward / volume, 0)


def _index(x: np.ndarray) -> Array:
    return jnp.asarray(x, jnp.int32)


def _last(x: np.ndarray) -> Array:
    """``(n, k, d)`` as ``(k, d, n)``."""
    return jnp.asarray(np.moveaxis(x, 0, -1), float)


def _frames(normal: np.ndarray) -> np.ndarray:
    """The normal and directions orthogonal to it, ``(d, d, f)``."""
    if normal.shape[1] == 2:
        across = np.stack([-normal[:, 1], normal[:, 0]], axis=1)
        return np.moveaxis(np.stack([normal, across], axis=1), 0, -1)
    axis = np.eye(3)[np.abs(normal).argmin(axis=1)]
    first = np.cross(normal, axis)
    first = first / np.linalg.norm(first, axis=1)[:, None]
    second = np.cross(normal, first)
    return np.moveaxis(np.stack([normal, first, second], axis=1), 0, -1)


def _up(mesh: Mesh) -> Array | None:
    """The direction of the sum of a cell's outward vectors, on a curved surface.

    A uniform pressure pushes along this direction only, so that it moves nothing once
    momenta are projected to the surface.
    """
    if not mesh.is_surface:
        return None
    sides = np.asarray(mesh.area, float)[:, None] * np.asarray(mesh.normal)
    left = (sides[np.asarray(mesh.faces)] * np.asarray(mesh.sign)[..., None]).sum(1)
    size = np.linalg.norm(left, axis=1)
    return jnp.asarray((left / size[:, None]).T, float)
