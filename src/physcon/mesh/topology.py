"""Control volumes of any shape: cells, the faces between them, and named patches.

A finite-volume law needs no more of a mesh than this: the volume of each cell, and for
each face its area, its normal, the cell that it leaves (owner) and the cell that it
enters (neighbour) or the boundary patch that it belongs to.
"""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._numerics.float64 import float64_primal
from physcon._typing import Array, Float, Int


class ControlVolumes(eqx.Module):
    """What a mesh and a network share: sizes of volumes and faces, and patches."""

    volume: eqx.AbstractVar[Float[Array, " c"]]
    area: eqx.AbstractVar[Float[Array, " f"]]
    patch: eqx.AbstractVar[Int[Array, " f"]]
    patches: eqx.AbstractVar[tuple[str, ...]]

    @property
    def size(self) -> int:
        """Number of cells, or of nodes of a network."""
        return self.volume.shape[0]

    @property
    def face_count(self) -> int:
        """Number of faces, or of edges of a network."""
        return self.area.shape[0]

    def boundary_faces(self, name: str | None = None) -> np.ndarray:
        """Indices of the faces on one patch, or on all of them; not under jit.

        Raises:
            ValueError: no patch has this name.
        """
        patch = np.asarray(self.patch)
        if name is None:
            return np.flatnonzero(patch >= 0)
        require(
            name in self.patches,
            f"the name of a patch: one of {self.patches}",
            repr(name),
            "choose one of these names",
        )
        return np.flatnonzero(patch == self.patches.index(name))


class Mesh(ControlVolumes):
    """Cells and faces; build it by `from_cells`, `from_grid` or `cubed_sphere`.

    c cells, f faces in d dimensions, at most k faces a cell. All arrays are leaves:
    another mesh of the same sizes doesn't recompile.

    Attributes:
        volume: of each cell, ``(c)``: a length, an area or a volume.
        centroid: of each cell, ``(c, d)``.
        area: of each face, ``(f)``: 1, a length or an area.
        normal: unit vector from the owner to the neighbour, ``(f, d)``.
        owner: the cell on the near side of each face, ``(f)``.
        neighbour: the cell on the far side, ``(f)``; -1 on the boundary.
        patch: position of the boundary patch in `patches`, ``(f)``; -1 inside.
        to_owner: face centre less the owner's centroid, ``(f, d)``. Offsets, unlike
            positions, keep their digits far from the origin, and are right across a
            periodic seam.
        to_neighbour: face centre less the neighbour's centroid, ``(f, d)``; on the
            boundary the centroid of the mirrored owner.
        faces: the faces of each cell, ``(c, k)``; -1 after the last one.
        sign: 1 where the cell owns the face, -1 where it is the neighbour, 0 after the
            last one, ``(c, k)``.
        points: positions of the nodes, ``(p, d)``, for pictures and files.
        corners: nodes of each cell, ``(c, q)``; -1 after the last one.
        vertices: as `corners`, with the same number for nodes one period apart.
        patches: names of the boundary patches.
        is_surface: whether the cells lie on a curved surface in space.
    """

    volume: Float[Array, " c"]
    centroid: Float[Array, "c d"]
    area: Float[Array, " f"]
    normal: Float[Array, "f d"]
    owner: Int[Array, " f"]
    neighbour: Int[Array, " f"]
    patch: Int[Array, " f"]
    to_owner: Float[Array, "f d"]
    to_neighbour: Float[Array, "f d"]
    faces: Int[Array, "c k"]
    sign: Float[Array, "c k"]
    points: Float[Array, "p d"]
    corners: Int[Array, "c q"]
    vertices: Int[Array, "c q"]
    patches: tuple[str, ...] = eqx.field(static=True, default=())
    is_surface: bool = eqx.field(static=True, default=False)

    @property
    def ndim(self) -> int:
        """Number of coordinates of a point."""
        return self.centroid.shape[1]

    def integrate(self, u: Float[Array, "*b c"]) -> Float[Array, "*b"]:
        """Integral of cell averages over all cells, summed in float64."""
        require(
            u.shape[-1:] == (self.size,),
            f"cell averages on the last axis, of length {self.size}",
            u.shape,
            "put the axis of the cells last",
        )
        return _weighted_sum(u, _along(self.volume, u))

    def outflow(self, flux: Float[Array, "*b f"]) -> Float[Array, "*b c"]:
        """The net outflow of each cell through all of its faces, Σ ± |face| flux.

        Args:
            flux: through each face per unit area, positive along `normal`.

        Each cell gathers its faces in a fixed order, so that the result is the same to
        the last bit in every run.
        """
        require(
            flux.shape[-1:] == (self.face_count,),
            f"face values on the last axis, of length {self.face_count}",
            flux.shape,
            "put the axis of the faces last",
        )
        through = flux * _along(self.area, flux)
        gathered = through[..., self.faces]
        gathered = gathered * _along(self.sign, gathered)
        return jnp.sum(gathered, axis=-1)

    def by_patch(self, values: Mapping[str, object]) -> dict[str, object]:
        """`values` with every name checked against the patches of the mesh."""
        for name in values:
            self.boundary_faces(name)
        return dict(values)


def _along(x: Array, batch: Array) -> Array:
    """`x` in the dtype of a batch and repeated along its leading axes."""
    return jnp.broadcast_to(x.astype(batch.dtype), batch.shape)


@float64_primal
def _weighted_sum(u: Array, w: Array) -> Array:
    return jnp.sum(u * w, axis=-1)
