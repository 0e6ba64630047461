"""A law on a mesh with conditions on its patches: the tendency of cell averages."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics.float64 import cast
from physcon._typing import Array, ArrayLike, Bool, Float, Scalar
from physcon.fv._recompute import recomputed
from physcon.fv._stage import resolved, stage, storing_stages
from physcon.fv.discretisation import require_channels_of, require_real
from physcon.fv.parameter import require_numbers
from physcon.fv.protocols import PushesSides, Source, forcing
from physcon.fv.reconstruction import Constant
from physcon.fv.scheme import Scheme
from physcon.fv.unstructured.diffusion import diffusive_flux, diffusive_rate
from physcon.fv.unstructured.frame import (
    across,
    tangential,
    turned_back,
)
from physcon.fv.unstructured.halo import Halo
from physcon.fv.unstructured.patches import (
    PatchConditions,
    with_given_fluxes,
    with_outside,
)
from physcon.fv.unstructured.reconstruction import face_states
from physcon.fv.unstructured.stencil import Stencil, added
from physcon.fv.unstructured.two_point import TwoPoint
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
        source: ``source(u, t)``, a tendency added to the one of the fluxes, or None.
        matrix: the pattern of the two-point fluxes, for implicit steps.
        halo: where devices divide the mesh, the exchange of cells between them; states
            then hold a device's own cells, and `grid` and `tables` all that they read.
    """

    law: Any
    grid: Mesh
    boundary: PatchConditions
    scheme: Scheme
    tables: Stencil
    source: Source | None = None
    matrix: TwoPoint | None = None
    halo: Halo | None = None

    @recomputed
    def __call__(self, u: Float[Array, "c n"], t: Scalar) -> Float[Array, "c n"]:
        now = self.at(u, t)
        with storing_stages(resolved(self.scheme.evaluate) == "staged"):
            change = now.change(u)
        if self.source is None:
            return change
        return now.projected(change + self.forcing(u, t))

    def forcing(self, u: Float[Array, "c n"], t: Scalar) -> Float[Array, "c n"]:
        """The source in the dtype of the state, zero where there is none."""
        if self.source is None:
            return jnp.zeros_like(u)
        return forcing(self.source, u, t)

    def at(self, u: Array, t: ArrayLike) -> "MeshProblem":
        """The problem at time t, with every array in the dtype of the state `u`."""
        self.require_state(u)
        require_numbers(self.law)
        now = replace(self, boundary=self.boundary.at(t))
        return cast(now, u.dtype)

    def require_state(self, u: Array) -> None:
        """Raise ValueError unless `u` is a real state ``(c, n)`` on the mesh."""
        require_real(u)
        size = self.grid.size if self.halo is None else self.halo.own
        require(
            u.ndim == 2 and u.shape[1] == size,
            f"a state (channels, {size})",
            u.shape,
            "pass cell averages, channels first; batch with jax.vmap",
        )
        require_channels_of(u, self.law, self.grid.to_owner.shape[1])

    def change(self, u: Float[Array, "c n"]) -> Float[Array, "c n"]:
        """Minus the outflow through all faces of each cell over its volume."""
        own = u.shape[1]
        u = self._with_others(u)
        left, right = self._fluxes(u)
        through = _leaving(self, left, right)
        return self.projected((-through / self.grid.volume[None])[:, :own])

    def _with_others(self, u: Float[Array, "c n"]) -> Float[Array, "c m"]:
        """The own cells, followed by the cells of other devices that they read."""
        return u if self.halo is None else self.halo.filled(u)

    def projected(self, change: Float[Array, "c n"]) -> Float[Array, "c n"]:
        """The tendency with vectors tangential to a curved surface."""
        law, up = self.law.hyperbolic, self.tables.up
        if up is None or law is None:
            return change
        return tangential(law, change, up[:, : change.shape[1]])

    def face_flux(self, u: Float[Array, "c n"], axis: int) -> Float[Array, "c f"]:
        """Fluxes per area along the normals; without forces such as a bed's push.

        The faces of a mesh have no axis: all of them are returned.
        """
        return self._fluxes(self._with_others(u))[0]

    def _fluxes(self, u: Array) -> tuple[Array, Array | None]:
        """The fluxes as the owners see them, and as the neighbours do.

        None: both see the same, because the law has no force on the sides.
        """
        law = self.law.hyperbolic
        if law is None:
            return with_given_fluxes(self.boundary, diffusive_flux(self, u)), None
        owner = self.grid.owner
        states = face_states(self.scheme.reconstruct, self.tables, owner, law, u)
        u_left, u_right = states
        u_right = with_outside(self.boundary, law, u_left, u_right, self.tables)
        left, right = _riemann(self, u, u_left, u_right)
        if self.law.diffusion is not None:
            diffusive = diffusive_flux(self, u)
            left = left + diffusive
            right = None if right is None else right + diffusive
        return with_given_fluxes(self.boundary, left), right

    def rates(self, u: Float[Array, "c n"]) -> Float[Array, " n"]:
        """Per cell the face area over volume crossed per unit time, halved.

        On squares this is the number of cell widths crossed, summed over the axes.
        """
        law = self.law.hyperbolic
        own = u.shape[1]
        u = self._with_others(u)
        total = jnp.zeros(self.grid.size, u.dtype)
        if law is not None:
            total = total + self._wave_rates(law, u)
        if self.law.diffusion is not None:
            total = total + diffusive_rate(self, u)
        return total[:own]

    def _wave_rates(self, law: Any, u: Array) -> Array:
        mesh, tables = self.grid, self.tables
        inner, beyond = face_states(Constant(), tables, mesh.owner, law, u)
        beyond = with_outside(self.boundary, law, inner, beyond, tables)
        along = across(law, tables.frame[0], u.shape[0])
        fastest = jnp.maximum(along.max_speed(inner, 0), along.max_speed(beyond, 0))
        return tables.sum_over_faces(0.5 * mesh.area * fastest) / mesh.volume

    def rates_outside(self, u: Float[Array, "c n"]) -> list[Scalar]:
        """None: `rates` looks at the states outside as well."""
        return []

    def admissible(
        self, u: Float[Array, "c n"], seams: tuple[str, ...]
    ) -> Bool[Array, " n"]:
        """Whether each cell's state makes sense."""
        holds = jnp.all(jnp.isfinite(u), axis=0)
        if self.law.hyperbolic is not None:
            holds = self.law.hyperbolic.admissible(u)
        if self.law.diffusion is None:
            return holds
        return holds & jnp.all(self.law.diffusion.coefficient(u) >= 0, axis=0)

    def require_cells(self) -> None:
        """Nothing: `Mesh` refuses cells without a volume when it is built."""

    def conditions(self) -> Iterator[tuple[str, Any]]:
        """The name of every patch, with its condition."""
        for name, condition in zip(
            self.grid.patches, self.boundary.conditions, strict=True
        ):
            yield f"patch {name!r}", condition

    def with_conditions(self, fn: Callable[[Any], Any]) -> "MeshProblem":
        """The problem with every condition replaced by ``fn(condition)``."""
        held = tuple(fn(condition) for condition in self.boundary.conditions)
        return replace(self, boundary=replace(self.boundary, conditions=held))

    @property
    def parts_of_step(self) -> tuple[None]:
        """One part: an implicit step takes all directions, and a source, at once."""
        return (None,)


def _riemann(
    problem: MeshProblem, u: Array, left: Array, right: Array
) -> tuple[Array, Array | None]:
    """The flux along each normal, with the forces on the left and right cell.

    The second is None where the law has no such forces.

    Args:
        left, right: the states on both sides, in the frames of the faces.
    """
    law, frame = problem.law.hyperbolic, problem.tables.frame
    along = across(law, frame[0], u.shape[0])
    flux = _flux(along, problem.scheme.riemann, left, right)
    force = None
    if isinstance(law, PushesSides):
        force = law.side_force(u[:, problem.grid.owner], left, right)
    if force is None:
        return _turned_back(law, flux, frame), None
    on_left = _turned_back(law, flux + force, frame)
    force = law.side_force(u[:, problem.tables.far], right, left)
    return on_left, _turned_back(law, flux + force, frame)


@stage
def _flux(along: Any, riemann: Any, left: Array, right: Array) -> Array:
    return along.numerical_flux(riemann, left, right, 0)


@stage
def _turned_back(law: Any, flux: Array, frame: Array) -> Array:
    return turned_back(law, flux, frame)


@stage
def _leaving(problem: MeshProblem, left: Array, right: Array | None) -> Array:
    """What leaves each cell; the owners of faces see `left`, their neighbours `right`,
    or `left` if there is none.
    """
    area = problem.grid.area[None]
    tables = problem.tables
    left = left * area
    if right is None:
        return tables.leaving(left)
    right = right * area
    parts = []
    for face, sign in zip(tables.face, tables.sign, strict=True):
        own = jnp.where(sign[None] > 0, left[:, face], right[:, face])
        parts.append(sign[None] * own)
    return added(parts)
