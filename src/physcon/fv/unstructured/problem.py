"""A law on a mesh with conditions on its patches: the tendency of cell averages."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import is_traced, require, require_given
from physcon._numerics.float64 import cast
from physcon._typing import Array, ArrayLike, Bool, Float, Scalar
from physcon.fv._stage import resolved, stage, storing_stages
from physcon.fv.parameter import require_numbers
from physcon.fv.protocols import PushesSides, Source
from physcon.fv.scheme import DEFAULT, Scheme
from physcon.fv.unstructured.diffusion import diffusive_flux, diffusive_rate
from physcon.fv.unstructured.frame import (
    across,
    face_speed,
    tangential,
    turned,
    turned_back,
)
from physcon.fv.unstructured.patches import (
    PatchConditions,
    has_value,
    patch_conditions,
    with_given_fluxes,
    with_outside,
)
from physcon.fv.unstructured.reconstruction import Sides, cell_sides
from physcon.fv.unstructured.stencil import Stencil, added, stencil
from physcon.mesh import Mesh


class MeshProblem(eqx.Module):
    """All that a time step needs on a mesh: ``problem(u, t)`` is the tendency.

    Build it with `mesh_problem`, outside of jit. All arrays are leaves: another mesh of
    the same sizes doesn't recompile a program that takes the problem as an argument.

    Attributes:
        law: a `Law`, a `Diffusion`, or a `Mixed` of both.
        grid: the mesh.
        boundary: a condition for every patch.
        scheme: reconstruction, Riemann solver and time step.
        tables: what the cells read of each other.
        source: ``source(u, t)``, a tendency added to that of the fluxes, or None.
    """

    law: Any
    grid: Mesh
    boundary: PatchConditions
    scheme: Scheme
    tables: Stencil
    source: Source | None = None

    def __call__(self, u: Float[Array, "c n"], t: Scalar) -> Float[Array, "c n"]:
        now = self.at(u, t)
        with storing_stages(resolved(self.scheme.evaluate) == "staged"):
            change = now.change(u)
        if self.source is None:
            return change
        forced = jnp.asarray(self.source(u, t))
        require(
            forced.shape == u.shape,
            f"source(u, t) of shape {u.shape}",
            forced.shape,
            "return a tendency of the shape of u",
        )
        return now.projected(change + forced.astype(u.dtype))

    def at(self, u: Array, t: ArrayLike) -> "MeshProblem":
        """The problem at time t, with every array in the dtype of the state `u`."""
        self.require_state(u)
        require_numbers(self.law)
        now = replace(self, boundary=self.boundary.at(t))
        return cast(now, u.dtype)

    def require_state(self, u: Array) -> None:
        """Raise ValueError unless `u` is a real state ``(c, n)`` on the mesh."""
        require(
            u.dtype in (jnp.float32, jnp.float64),
            "a state of float32 or float64",
            u.dtype,
            "convert it: u.astype(jnp.float32)",
        )
        require(
            u.ndim == 2 and u.shape[1] == self.grid.size,
            f"a state (channels, {self.grid.size})",
            u.shape,
            "pass cell averages, channels first; batch with jax.vmap",
        )

    def change(self, u: Float[Array, "c n"]) -> Float[Array, "c n"]:
        """Minus the outflow through all faces of each cell over its volume."""
        left, right = self._fluxes(u)
        through = _leaving(self, left, right)
        return self.projected(-through / self.grid.volume[None])

    def projected(self, change: Float[Array, "c n"]) -> Float[Array, "c n"]:
        """The tendency with vectors tangential to a curved surface."""
        law, up = self.law.hyperbolic, self.tables.up
        return change if up is None or law is None else tangential(law, change, up)

    def face_flux(self, u: Float[Array, "c n"]) -> Float[Array, "c f"]:
        """Fluxes per area along the normals; without forces such as a bed's push."""
        return self._fluxes(u)[0]

    def _fluxes(self, u: Array) -> tuple[Array, Array]:
        """The fluxes, and what the cells on both sides of each face receive of them."""
        law = self.law.hyperbolic
        if law is None:
            flux = with_given_fluxes(self.boundary, diffusive_flux(self, u))
            return flux, flux
        sides = Sides(cell_sides(self.scheme.reconstruct, self.tables, law, u))
        u_left, u_right = sides.of_faces(self.tables)
        gap = jnp.sum(self.grid.to_owner * self.grid.normal, axis=1)
        frame = self.tables.frame
        u_right = with_outside(self.boundary, law, u_left, u_right, frame, gap)
        left, right = _riemann(self, u, u_left, u_right)
        if self.law.diffusion is not None:
            diffusive = diffusive_flux(self, u)
            left = left + diffusive
            right = right + diffusive
        left = with_given_fluxes(self.boundary, left)
        return left, right

    def rates(self, u: Float[Array, "c n"]) -> Float[Array, " n"]:
        """Per cell the face area over volume crossed per unit time, halved.

        On squares this is the number of cell widths crossed, summed over the axes.
        """
        law = self.law.hyperbolic
        total = jnp.zeros(self.grid.size, u.dtype)
        if law is not None:
            total = total + self._wave_rates(law, u)
        if self.law.diffusion is not None:
            total = total + diffusive_rate(self, u)
        return total

    def _wave_rates(self, law: Any, u: Array) -> Array:
        mesh, frame = self.grid, self.tables.frame
        inner = u[:, mesh.owner]
        beyond = u[:, jnp.where(mesh.neighbour < 0, mesh.owner, mesh.neighbour)]
        gap = jnp.sum(mesh.to_owner * mesh.normal, axis=1)
        beyond = with_outside(self.boundary, law, inner, beyond, frame, gap)
        fastest = jnp.maximum(
            face_speed(law, inner, frame), face_speed(law, beyond, frame)
        )
        crossing = 0.5 * mesh.area * fastest
        gathered = [
            jnp.abs(sign) * crossing[face]
            for face, sign in zip(self.tables.face, self.tables.sign, strict=True)
        ]
        return added(gathered) / mesh.volume

    def admissible(self, u: Float[Array, "c n"]) -> Bool[Array, " n"]:
        """Whether each cell's state makes sense."""
        holds = jnp.all(jnp.isfinite(u), axis=0)
        if self.law.hyperbolic is not None:
            holds = self.law.hyperbolic.admissible(u)
        if self.law.diffusion is None:
            return holds
        return holds & jnp.all(self.law.diffusion.coefficient(u) >= 0, axis=0)


@stage
def _riemann(
    problem: MeshProblem, u: Array, u_left: Array, u_right: Array
) -> tuple[Array, Array]:
    """The flux along each normal, with the forces on the left and right cell."""
    law, frame = problem.law.hyperbolic, problem.tables.frame
    along = across(law, frame[0], u.shape[0])
    left = turned(law, u_left, frame)
    right = turned(law, u_right, frame)
    flux = along.numerical_flux(problem.scheme.riemann, left, right, 0)
    push = law.side_force if isinstance(law, PushesSides) else None
    if push is None or push(u[:, :1], left[:, :1], right[:, :1]) is None:
        back = turned_back(law, flux, frame)
        return back, back
    mesh = problem.grid
    far = jnp.where(mesh.neighbour < 0, mesh.owner, mesh.neighbour)
    force_left = push(u[:, mesh.owner], left, right)
    force_right = push(u[:, far], right, left)
    on_left = turned_back(law, flux + force_left, frame)
    return on_left, turned_back(law, flux + force_right, frame)


@stage
def _leaving(problem: MeshProblem, left: Array, right: Array) -> Array:
    """Σ over the faces of each cell, in a fixed order, of what leaves it."""
    area = problem.grid.area[None]
    one_flux = left is right
    left = left * area
    right = left if one_flux else right * area
    total = None
    for face, sign in zip(problem.tables.face, problem.tables.sign, strict=True):
        own = left[:, face]
        if not one_flux:
            own = jnp.where(sign[None] > 0, own, right[:, face])
        part = sign[None] * own
        total = part if total is None else total + part
    assert total is not None
    return total


def mesh_problem(
    law: Any,
    mesh: Mesh,
    boundary: Any = None,
    scheme: Scheme = DEFAULT,
    source: Source | None = None,
) -> MeshProblem:
    """The problem of a law on a mesh.

    Args:
        boundary: name of every patch -> condition; None for a mesh without a boundary.

    Raises:
        ValueError: a patch without a condition, an object that is no law, or a mesh
            that is traced by jit.
    """
    require_given(mesh, Mesh, "mesh")
    require(
        not is_traced(mesh.owner),
        "a mesh with known connections",
        "a mesh traced by jit or vmap",
        "build the problem outside of jit, and pass it as an argument",
    )
    require(
        not isinstance(law, type)
        and hasattr(law, "hyperbolic")
        and hasattr(law, "diffusion"),
        "a law: a subclass of fv.Law or fv.Diffusion, or fv.Mixed of both",
        repr(law),
        "pass an instance of such a class",
    )
    given = {} if boundary is None else boundary
    conditions = patch_conditions(mesh, given)
    with jax.ensure_compile_time_eval():
        tables = stencil(mesh, has_value(mesh, given))
    return MeshProblem(law, mesh, conditions, scheme, tables, source)
