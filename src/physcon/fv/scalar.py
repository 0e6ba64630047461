"""Scalar conservation laws: linear advection, Burgers, traffic flow, two-phase flow.

Shapes: states are ``(1, *x)``.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics import safe
from physcon._typing import Array, ArrayLike, Float
from physcon.fv.law import Law
from physcon.fv.parameter import number, parameter


def _velocities(x: ArrayLike | tuple[ArrayLike, ...]) -> tuple[Array, ...]:
    return tuple(number(a) for a in (x if isinstance(x, tuple) else (x,)))


class Advection(Law):
    """Linear advection, u_t + div(a u) = 0.

    Attributes:
        velocity: per axis a number, or the velocities at the faces of that axis, of the
            grid's shape with one more entry along the axis. A discretely
            divergence-free velocity keeps a constant state.
    """

    velocity: tuple[Float[Array, "..."], ...] = eqx.field(converter=_velocities)

    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """a u; u are states at the faces where the velocity varies."""
        return self._velocity(axis) * u

    def speeds(
        self, u: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """The velocity, at faces, or its extremes over the two faces of each cell."""
        a = self._velocity(axis)
        if a.ndim and a.shape[1 + axis] == u.shape[1 + axis] + 1:
            n = u.shape[1 + axis]
            lower = jax.lax.slice_in_dim(a, 0, n, axis=1 + axis)[0]
            upper = jax.lax.slice_in_dim(a, 1, n + 1, axis=1 + axis)[0]
            return jnp.minimum(lower, upper), jnp.maximum(lower, upper)
        a = jnp.broadcast_to(a, u.shape)[0]
        return a, a

    def mirror(self, u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
        """u: a wall is closed where the velocity at its faces is zero."""
        return u

    def critical_points(self, axis: int = 0) -> tuple[Float[Array, ""], ...]:
        """None: the flux is monotone."""
        return ()

    def on_block(self, cut: Callable[[Array], Array]) -> "Advection":
        """The law on a part of the grid; see `physcon.parallel.domain`."""
        return Advection(tuple(cut(a) for a in self.velocity))

    def _velocity(self, axis: int) -> Array:
        require(
            axis < len(self.velocity),
            f"a velocity for axis {axis}",
            f"{len(self.velocity)} of them",
            "pass a tuple with one velocity per axis",
        )
        a = self.velocity[axis]
        return a[None] if a.ndim else a


class Burgers(Law):
    """Burgers' equation, u_t + Σ_axis (u²/2)_x = 0."""

    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """u²/2."""
        return 0.5 * u**2

    def mirror(self, u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
        """-u: the unknown is itself a velocity."""
        return -u

    def critical_points(self, axis: int = 0) -> tuple[Float[Array, ""], ...]:
        """The sonic point, 0."""
        return (number(0.0),)


class Traffic(Law):
    """Traffic flow with the flux v u (1 - u/u_max).

    Units: density in vehicles per length, `free_speed` in length per time.

    Source: Lighthill and Whitham (1955), Richards (1956).
    """

    free_speed: Float[Array, ""] = parameter(1.0)
    jam_density: Float[Array, ""] = parameter(1.0)

    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """Vehicles per time."""
        return self.free_speed * u * (1 - safe.quotient(u, self.jam_density))

    def critical_points(self, axis: int = 0) -> tuple[Float[Array, ""], ...]:
        """Half of the jam density, where the road carries most."""
        return (0.5 * self.jam_density,)


class BuckleyLeverett(Law):
    """Two-phase flow in a porous medium, with the flux u²/(u² + M (1-u)²).

    u is the saturation of the wetting phase. The flux is not convex: the solution of a
    Riemann problem is a fan with a shock attached.

    Source: LeVeque, Finite Volume Methods for Hyperbolic Problems (2002), sec. 16.1.1.
    """

    mobility_ratio: Float[Array, ""] = parameter(1.0)

    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """Fractional flow of the wetting phase."""
        wetting = u**2
        return wetting / (wetting + self.mobility_ratio * (1 - u) ** 2)

    def inflection(self) -> Float[Array, ""]:
        """Where F' is largest: the root in (0, 1) of 2 u³ - 3 u² + M/(1 + M) = 0."""
        m = self.mobility_ratio
        return 0.5 - jnp.sin(jnp.arcsin((1 - m) / (1 + m)) / 3)

    def bounds(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """F' at the ends, and at the inflection point where it lies between them."""
        low, high = super().bounds(u_left, u_right, axis)
        smaller = jnp.minimum(u_left, u_right)
        larger = jnp.maximum(u_left, u_right)
        between = jnp.clip(self.inflection(), smaller, larger)
        return low, jnp.maximum(high, self.eigenvalues(between, axis)[0])

    def max_speed(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "*s"]:
        """The global maximum of F': a shock may move faster than both of its states."""
        top = jnp.broadcast_to(self.inflection(), u.shape)
        return self.eigenvalues(top, axis)[0]

    def critical_points(self, axis: int = 0) -> tuple[Float[Array, ""], ...]:
        """No saturation and full saturation."""
        return number(0.0), number(1.0)
