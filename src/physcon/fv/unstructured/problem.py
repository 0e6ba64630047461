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
from physcon.fv._stage import resolved, storing_stages
from physcon.fv.discretisation import require_channels_of, require_real
from physcon.fv.parameter import require_numbers
from physcon.fv.protocols import Source, forcing
from physcon.fv.reconstruction import Constant
from physcon.fv.scheme import Scheme
from physcon.fv.unstructured.diffusion import diffusive_flux, diffusive_rate
from physcon.fv.unstructured.faces import face_states
from physcon.fv.unstructured.fluxes import (
    change,
    change_of_sides,
    hyperbolic_flux,
    through,
    through_faces,
)
from physcon.fv.unstructured.frame import across, tangential
from physcon.fv.unstructured.halo import Halo
from physcon.fv.unstructured.patches import PatchConditions, with_outside
from physcon.fv.unstructured.stencil import Stencil
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
        change = self._change(self._with_others(u)).T
        return self.projected(change[:, :own])

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
        u = self._with_others(u)
        waves, _ = hyperbolic_flux(self, u)
        area = jnp.ones_like(self.grid.area)
        return through(self, waves, diffusive_flux(self, u), area)

    def _change(self, u: Array) -> Float[Array, "n c"]:
        """Minus what leaves each cell over its volume, one row for each cell."""
        volume = self.grid.volume
        diffusive = diffusive_flux(self, u)
        waves, pushes = hyperbolic_flux(self, u)
        if waves is None or pushes is None:
            return change(self.tables, volume, through_faces(self, waves, diffusive))
        sides = [through_faces(self, waves + push, diffusive) for push in pushes]
        return change_of_sides(self.tables, volume, *sides)

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
