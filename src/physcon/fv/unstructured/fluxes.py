"""Numerical fluxes through the faces of a mesh, and what they take from each cell."""

from typing import Any

import jax.numpy as jnp

from physcon._typing import Array, Float
from physcon.fv import _gas_flux
from physcon.fv._stage import stage
from physcon.fv.protocols import PushesSides
from physcon.fv.scheme import Scheme
from physcon.fv.unstructured.faces import face_states, has_variables
from physcon.fv.unstructured.frame import across, turned_back
from physcon.fv.unstructured.patches import with_given_fluxes, with_outside
from physcon.fv.unstructured.stencil import Stencil, added, by_row, taken

#: Forces on the owners and on the neighbours of faces, in the frames of the faces.
Pushes = tuple[Float[Array, "c f"], Float[Array, "c f"]]


def hyperbolic_flux(
    problem: Any, u: Float[Array, "c n"]
) -> tuple[Float[Array, "c f"] | None, Pushes | None]:
    """The flux of a hyperbolic law, and the forces on both sides of each face.

    The flux is None without such a law, and the forces where the law has none. Both are
    in the frames of the faces.
    """
    law, tables, scheme = problem.law.hyperbolic, problem.tables, problem.scheme
    if law is None:
        return None, None
    owner, method = problem.grid.owner, scheme.reconstruct
    kept = keeps_primitive(scheme, law)
    left, right = face_states(method, tables, owner, law, u, primitive=kept)
    right = with_outside(problem.boundary, law, left, right, tables, primitive=kept)
    if kept:
        return _gas_flux.gas_flux(scheme, left, right, law, 0), None
    along = across(law, tables.frame[0], u.shape[0])
    flux = _flux(along, scheme.riemann, left, right)
    return flux, _pushes(problem, u, left, right)


def keeps_primitive(scheme: Scheme, law: Any) -> bool:
    """Whether primitive variables are kept from the cells to the flux: for a gas."""
    return has_variables(scheme.reconstruct) and _gas_flux.solves(scheme, law)


def _pushes(problem: Any, u: Array, left: Array, right: Array) -> Pushes | None:
    """The forces on both sides of each face, in its frame."""
    law = problem.law.hyperbolic
    if not isinstance(law, PushesSides):
        return None
    on_left = law.side_force(u[:, problem.grid.owner], left, right)
    if on_left is None:
        return None
    return on_left, law.side_force(u[:, problem.tables.far], right, left)


@stage
def _flux(along: Any, riemann: Any, left: Array, right: Array) -> Array:
    return along.numerical_flux(riemann, left, right, 0)


def through(
    problem: Any,
    waves: Float[Array, "c f"] | None,
    diffusive: Float[Array, "c f"] | None,
    area: Float[Array, " f"],
) -> Float[Array, "c f"]:
    """The flux of waves, given in the frames, and of diffusion through areas."""
    parts = []
    if waves is not None:
        law, frame = problem.law.hyperbolic, problem.tables.frame
        parts.append(turned_back(law, waves * area[None], frame))
    if diffusive is not None:
        parts.append(diffusive * area[None])
    return with_given_fluxes(problem.boundary, added(parts), area)


@stage
def through_faces(
    problem: Any,
    waves: Float[Array, "c f"] | None,
    diffusive: Float[Array, "c f"] | None,
) -> Float[Array, "f c"]:
    """What passes each face, one row for each."""
    return by_row(through(problem, waves, diffusive, problem.grid.area))


@stage
def change(
    tables: Stencil, volume: Float[Array, " n"], through: Float[Array, "f c"]
) -> Float[Array, "n c"]:
    """The change of each cell, where both cells of a face see the same flux."""
    return tables.leaving(through) / -volume[:, None]


@stage
def change_of_sides(
    tables: Stencil,
    volume: Float[Array, " n"],
    left: Float[Array, "f c"],
    right: Float[Array, "f c"],
) -> Float[Array, "n c"]:
    """The change of each cell: owners of faces see `left`, and neighbours `right`."""
    parts = []
    for face, sign in zip(tables.face, tables.sign, strict=True):
        owns = sign[:, None] > 0
        own = jnp.where(owns, taken(left, face), taken(right, face))
        parts.append(sign[:, None] * own)
    return added(parts) / -volume[:, None]
