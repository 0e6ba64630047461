"""The balance of every control volume of a mesh or a network, as sparse rows.

What leaves cell i through its faces is Σ_f s_if |face_f| F_f, where s is 1 for the cell
that owns the face and -1 for its neighbour. A flux that leaves one cell enters the
next, so the rows of all cells add up to the balance of the whole domain.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from physcon._checks import is_traced, require
from physcon._typing import Array, ArrayLike, Bool, Float
from physcon.mesh import Mesh, Network

#: The control volumes that a law can act on.
Volumes = Mesh | Network
#: Name of a boundary patch -> what is known there: a scalar or one value per face.
Known = Mapping[str, ArrayLike]


class Entries(NamedTuple):
    """Nonzero entries of some rows."""

    value: Float[Array, " k"]
    row: np.ndarray
    column: np.ndarray

    def shifted(self, row: int, column: int) -> "Entries":
        """The same entries further down and to the right."""
        return Entries(self.value, self.row + row, self.column + column)

    def times(self, factor: ArrayLike) -> "Entries":
        """The entries multiplied by a number."""
        return self._replace(value=self.value * factor)


def joined(*parts: Entries) -> Entries:
    """All entries of the parts."""
    return Entries(
        jnp.concatenate([p.value for p in parts]),
        np.concatenate([p.row for p in parts]),
        np.concatenate([p.column for p in parts]),
    )


def require_known(domain: Volumes) -> None:
    """Raise inside jit, where the connections of a mesh have no values."""
    require(
        not is_traced(domain.owner),
        "a mesh with known connections",
        "a mesh traced by jit or vmap",
        "build the law outside of jit, and pass it as an argument",
    )


def active(domain: Volumes, where: ArrayLike | None) -> Bool[np.ndarray, " c"]:
    """Which cells have a row."""
    if where is None:
        return np.ones(domain.size, bool)
    inside = np.asarray(where)
    require(
        inside.shape == (domain.size,) and inside.dtype == bool,
        f"where: true or false for each of {domain.size} cells",
        f"shape {inside.shape} of {inside.dtype}",
        "compare the cells' values, for example depth > 0",
    )
    return inside


def outflow_entries(domain: Volumes, inside: Bool[np.ndarray, " c"]) -> Entries:
    """Σ_f ± |face| F for every active cell: row i, column f."""
    ends = np.stack([np.asarray(domain.owner), np.asarray(domain.neighbour)])
    exists = (ends >= 0) & inside[ends]
    side, face = np.nonzero(exists)
    sign = jnp.asarray(np.where(side == 0, 1.0, -1.0), domain.area.dtype)
    return Entries(sign * domain.area[face], ends[side, face], face)


class Pins(NamedTuple):
    """Faces whose flux is known: one further row each, |face| F = |face| value."""

    entries: Entries
    value: Float[Array, " p"]


def pins(domain: Volumes, known: Known | None, levels: int | None = None) -> Pins:
    """Rows for the faces of the named patches.

    Args:
        levels: number of time windows, for fluxes ``(t, f)``; None: fluxes ``(f)``.
    """
    values, faces = [], []
    for name, given in (known or {}).items():
        chosen = domain.boundary_faces(name)
        shape = chosen.shape if levels is None else (levels, *chosen.shape)
        got = np.shape(given)
        require(
            got in ((), chosen.shape, shape),
            f"a scalar or one value for each of {chosen.size} faces of {name!r}",
            got,
            "order the values as mesh.boundary_faces(name) does",
        )
        values.append(jnp.broadcast_to(jnp.asarray(given, domain.area.dtype), shape))
        faces.append(chosen)
    if not faces:
        nothing = np.zeros(0, int)
        return Pins(Entries(jnp.zeros(0), nothing, nothing), jnp.zeros(0))
    face = np.concatenate(faces)
    value = jnp.concatenate(values, axis=-1)
    column = face
    if levels is not None:
        column = (np.arange(levels)[:, None] * domain.face_count + face).ravel()
        face = np.tile(face, levels)
    area = domain.area[face]
    row = np.arange(face.size)
    return Pins(Entries(area, row, column), area * value.ravel())
