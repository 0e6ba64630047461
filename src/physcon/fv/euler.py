"""The compressible Euler equations of an ideal gas."""

from collections.abc import Callable

import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Float
from physcon.fv.gas import Gas, bounds, contact_speed, dot, roe_average
from physcon.fv.law import Law, channels, mirrored, require_channels
from physcon.fv.parameter import parameter


class Euler(Law):
    """Mass, momentum and energy of an ideal gas, p = (γ - 1)(E - ρ|v|²/2).

    Shapes: states ``(d + 2, *x)``: density, d momenta, total energy per volume. The
    primitive variables are density, d velocities and pressure. d follows from the state
    and may exceed the number of space axes.

    Source: Toro, Riemann Solvers and Numerical Methods for Fluid Dynamics (2009), ch.
    3, 10, 11.
    """

    gamma: Float[Array, ""] = parameter(1.4)

    def least_channels(self, dimensions: int) -> tuple[int, str]:
        """Density, one momentum for each space axis, and energy."""
        return dimensions + 2, "density, momenta, energy"

    def primitive(self, u: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(ρ, v, p) of (ρ, ρv, E)."""
        gas = self._gas(u)
        return jnp.stack([gas.rho, *gas.v, gas.p])

    def conservative(self, w: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(ρ, ρv, E) of (ρ, v, p)."""
        return Gas.of_primitive(w, self.gamma).state()

    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """(ρ v_n, ρ v v_n + p e_n, (E + p) v_n)."""
        return self._gas(u).flux(axis)

    def speeds(
        self, u: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """v_n - a and v_n + a."""
        gas = self._gas(u)
        a = gas.sound(self.gamma)
        return gas.v[axis] - a, gas.v[axis] + a

    def eigenvalues(
        self, u: Float[Array, "c *s"], axis: int = 0
    ) -> Float[Array, "c *s"]:
        """v_n - a, v_n (d times), v_n + a."""
        low, high = self.speeds(u, axis)
        return jnp.stack([low, *[self._gas(u).v[axis]] * (u.shape[0] - 2), high])

    def bounds(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """Extremes over the two states and Roe's average.

        Source: Einfeldt, SIAM J. Numer. Anal. 25 (1988) 294, eq. 4.5.
        """
        return bounds(self._gas(u_left), self._gas(u_right), self.gamma, axis)

    def positive(self, u: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], ...]:
        """Density and pressure."""
        gas = self._gas(u)
        return gas.rho, gas.p

    def mirror(self, u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
        """The normal momentum changes its sign."""
        return mirrored(u, axis)

    def rotate(
        self, u: Float[Array, "c *s"], turn: Callable[..., list[Array]]
    ) -> Float[Array, "c *s"]:
        """The state with its momentum in another frame."""
        rho, *m, energy = channels(u)
        return jnp.stack([rho, *turn(*m), energy])

    def contact_speed(
        self,
        u_left: Float[Array, "c *s"],
        u_right: Float[Array, "c *s"],
        low: Float[Array, "*s"],
        high: Float[Array, "*s"],
        axis: int,
    ) -> Float[Array, "*s"]:
        """Speed of the middle wave (Toro eq. 10.37)."""
        left, right = self._gas(u_left), self._gas(u_right)
        return contact_speed(left, right, low, high, axis)

    def star_state(
        self,
        u: Float[Array, "c *s"],
        speed: Float[Array, "*s"],
        contact: Float[Array, "*s"],
        axis: int,
    ) -> Float[Array, "c *s"]:
        """State between an outer wave and the contact (Toro eqs. 10.36 and 10.39)."""
        return self._gas(u).star_state(speed, contact, axis)

    def waves(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[tuple[Float[Array, "*s"], Float[Array, "c *s"]], ...]:
        """Roe's waves: two acoustic ones and, as one, the contact with all shears.

        Source: Toro sec. 11.2.2, eqs. 11.107 to 11.113.
        """
        left, right = self._gas(u_left), self._gas(u_right)
        rho, v, a = roe_average(left, right, self.gamma)
        wl = self.primitive(u_left)
        wr = self.primitive(u_right)
        vn = v[axis]
        amplitude = self._amplitudes(wr - wl, rho, a, axis)
        enthalpy = a**2 / (self.gamma - 1) + 0.5 * dot(v, v)

        def acoustic(strength: Array, sign: float) -> Array:
            m = [vk + sign * a if k == axis else vk for k, vk in enumerate(v)]
            return strength * jnp.stack(
                [jnp.ones_like(a), *m, enthalpy + sign * a * vn]
            )

        first = acoustic(amplitude[0][None], -1.0)
        last = acoustic(amplitude[-1][None], 1.0)
        entropy = amplitude[1]
        shear = (wr - wl)[1:-1]
        slip = [
            jnp.zeros_like(a) if k == axis else rho * s for k, s in enumerate(shear)
        ]
        m = [entropy * vk + s for vk, s in zip(v, slip, strict=True)]
        middle = jnp.stack([entropy, *m, 0.5 * entropy * dot(v, v) + dot(v, slip)])
        return (vn - a, first), (vn, middle), (vn + a, last)

    def strengths(
        self, dw: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """Acoustic, entropy, shear and acoustic amplitudes of a primitive increment."""
        return jnp.stack(self._amplitudes(dw, w[0], self._sound(w[0], w[-1]), axis))

    def increment(
        self, strengths: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """Primitive increment of the amplitudes."""
        a = self._sound(w[0], w[-1])
        first, entropy, *shear, last = strengths
        normal = safe.quotient((last - first) * a, w[0])
        shear.insert(axis, normal)
        return jnp.stack([first + entropy + last, *shear, (first + last) * a**2])

    def _amplitudes(self, dw: Array, rho: Array, a: Array, axis: int) -> list[Array]:
        """(Δp/a² ∓ ρ Δv_n/a)/2, Δρ - Δp/a², and the tangential Δv."""
        pressure = dw[-1] / a**2
        normal = rho * dw[1 + axis] / a
        shear = [dv for k, dv in enumerate(dw[1:-1]) if k != axis]
        return [
            0.5 * (pressure - normal),
            dw[0] - pressure,
            *shear,
            0.5 * (pressure + normal),
        ]

    def _sound(self, rho: Array, p: Array) -> Array:
        return jnp.sqrt(safe.quotient(self.gamma * p, rho))

    def _gas(self, u: Array) -> Gas:
        """Conserved and primitive variables."""
        require_channels(u, self, 1)
        return Gas.of_state(u, self.gamma)
