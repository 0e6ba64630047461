"""Passive scalars: concentrations that a flow carries along."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics import safe
from physcon._typing import Array, Bool, Float
from physcon.fv.law import Law, RiemannSolver
from physcon.fv.protocols import PushesSides, Turns


class PassiveScalars(Law):
    """A law with `count` more channels ρφ, (ρφ)_t + div(ρφ v) = 0.

    ρ is the law's first channel. The flux of a scalar is the mass flux of any Riemann
    solver times φ of the upwind side: a uniform φ stays uniform to rounding, and with
    MUSCL no φ leaves its initial range.

    Shapes: states ``(c + count, *x)``: the law's channels, then ρφ. Primitive variables
    end with φ.

    Source: Larrouturou, J. Comput. Phys. 95 (1991) 59.
    """

    law: Law
    count: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        require(self.count >= 1, "one scalar or more", self.count, "use the law itself")

    def least_channels(self, dimensions: int) -> tuple[int, str]:
        """The channels of the law, and the scalars."""
        count, names = self.law.least_channels(dimensions)
        return count + self.count, f"{names}, {self.count} scalar(s)"

    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """The law's flux; mass flux times φ."""
        base, carried = self._own(u)
        flux = self.law.flux(base, axis)
        return jnp.concatenate([flux, flux[:1] * _share(carried, base)])

    def speeds(
        self, u: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """The law's own speeds."""
        return self.law.speeds(self._own(u)[0], axis)

    def max_speed(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "*s"]:
        """The law's own largest speed."""
        return self.law.max_speed(self._own(u)[0], axis)

    def positive(self, u: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], ...]:
        """The law's positive quantities; a scalar may have any sign."""
        return self.law.positive(self._own(u)[0])

    def admissible(self, u: Float[Array, "c *s"]) -> Bool[Array, "*s"]:
        """Whether the law's state is admissible and the scalars are finite."""
        base, carried = self._own(u)
        return self.law.admissible(base) & jnp.all(jnp.isfinite(carried), axis=0)

    def cleaned(self, u: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """The law's cleaned state, and the scalars as they are."""
        base, carried = self._own(u)
        return jnp.concatenate([self.law.cleaned(base), carried])

    def primitive(self, u: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """The law's variables, and φ (0 where nothing carries it)."""
        base, carried = self._own(u)
        phi = jnp.where(base[:1] > 0, _share(carried, base), 0)
        return jnp.concatenate([self.law.primitive(base), phi])

    def conservative(self, w: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """The law's state, and ρφ."""
        base, phi = self._own(w)
        u = self.law.conservative(base)
        return jnp.concatenate([u, u[:1] * phi])

    def mirror(self, u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
        """The law's mirrored state; scalars are copied."""
        base, carried = self._own(u)
        return jnp.concatenate([self.law.mirror(base, axis), carried])

    def rotate(
        self, u: Float[Array, "c *s"], turn: Callable[..., list[Array]]
    ) -> Float[Array, "c *s"]:
        """The law's state in another frame; scalars are copied."""
        base, carried = self._own(u)
        if isinstance(self.law, Turns):
            base = self.law.rotate(base, turn)
        return jnp.concatenate([base, carried])

    def side_force(
        self,
        cell: Float[Array, "c *s"],
        own: Float[Array, "c *s"],
        other: Float[Array, "c *s"],
    ) -> Float[Array, "c *s"] | None:
        """The law's force through one face of a mesh; none acts on the scalars."""
        if not isinstance(self.law, PushesSides):
            return None
        states = (self._own(u)[0] for u in (cell, own, other))
        force = self.law.side_force(*states)
        if force is None:
            return None
        nothing = jnp.zeros((self.count, *force.shape[1:]), force.dtype)
        return jnp.concatenate([force, nothing])

    def strengths(
        self, dw: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """The law's amplitudes, and the increments of φ."""
        base, phi = self._own(dw)
        return jnp.concatenate([self.law.strengths(base, self._own(w)[0], axis), phi])

    def increment(
        self, strengths: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """Inverse of `strengths`."""
        base, phi = self._own(strengths)
        return jnp.concatenate([self.law.increment(base, self._own(w)[0], axis), phi])

    def numerical_flux(
        self,
        riemann: RiemannSolver,
        u_left: Float[Array, "c *s"],
        u_right: Float[Array, "c *s"],
        axis: int = 0,
    ) -> Float[Array, "c *s"]:
        """The law's numerical flux, and the mass flux times the upwind φ."""
        left, right = self._own(u_left)[0], self._own(u_right)[0]
        flux = self.law.numerical_flux(riemann, left, right, axis)
        phi_left, phi_right = (
            self._own(self.primitive(u))[1] for u in (u_left, u_right)
        )
        return jnp.concatenate(
            [flux, flux[:1] * jnp.where(flux[:1] > 0, phi_left, phi_right)]
        )

    def cell_force(
        self, u_left: Float[Array, "c *f"], u_right: Float[Array, "c *f"], axis: int = 0
    ) -> Float[Array, "c *x"] | None:
        """The law's force; none acts on the scalars."""
        force = self.law.cell_force(self._own(u_left)[0], self._own(u_right)[0], axis)
        if force is None:
            return None
        nothing = jnp.zeros((self.count, *force.shape[1:]), force.dtype)
        return jnp.concatenate([force, nothing])

    def _own(self, u: Array) -> tuple[Array, Array]:
        """The channels of the law and of the scalars."""
        return u[: -self.count], u[-self.count :]


def _share(carried: Array, base: Array) -> Array:
    """ρφ over ρ; 0 where ρ is zero."""
    return safe.divide(carried, jnp.broadcast_to(base[:1], carried.shape))
