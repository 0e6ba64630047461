"""The compressible Euler equations of an ideal gas."""

import equinox as eqx
import jax.numpy as jnp

from physcon._typing import Array, Float
from physcon.fv.law import Law
from physcon.fv.scalar import number


class Euler(Law):
    """Mass, momentum and energy of an ideal gas, p = (γ - 1)(E - ρ|v|²/2).

    Shapes: states ``(d + 2, *x)``: density, d momenta, total energy per volume; primitive
    variables: density, d velocities, pressure. d is read off the state; it may exceed the number
    of space axes.
    Source: Toro, Riemann Solvers and Numerical Methods for Fluid Dynamics (2009), ch. 3, 10, 11.
    """

    gamma: Float[Array, ""] = eqx.field(converter=number, default=1.4)

    def primitive(self, u: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(ρ, v, p) of (ρ, ρv, E)."""
        inverse = 1 / u[0]
        v = [m * inverse for m in u[1:-1]]
        return jnp.stack([u[0], *v, self._pressure(u, v)])

    def conservative(self, w: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(ρ, ρv, E) of (ρ, v, p)."""
        m = [w[0] * v for v in w[1:-1]]
        kinetic = 0.5 * _dot(m, w[1:-1])
        return jnp.stack([w[0], *m, w[-1] / (self.gamma - 1) + kinetic])

    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """(ρ v_n, ρ v v_n + p e_n, (E + p) v_n)."""
        v = [m / u[0] for m in u[1:-1]]
        p = self._pressure(u, v)
        momentum = [m * v[axis] + p if k == axis else m * v[axis] for k, m in enumerate(u[1:-1])]
        return jnp.stack([u[1 + axis], *momentum, (u[-1] + p) * v[axis]])

    def speeds(
        self, u: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """v_n - a and v_n + a."""
        v = [m / u[0] for m in u[1:-1]]
        a = self._sound(u[0], self._pressure(u, v))
        return v[axis] - a, v[axis] + a

    def eigenvalues(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """v_n - a, v_n (d times), v_n + a."""
        low, high = self.speeds(u, axis)
        middle = u[1 + axis] / u[0]
        return jnp.stack([low, *[middle] * (u.shape[0] - 2), high])

    def bounds(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """Extremes over the two states and Roe's average.

        Source: Einfeldt, SIAM J. Numer. Anal. 25 (1988) 294, eq. 4.5.
        """
        low, high = self.speeds(u_left, axis)[0], self.speeds(u_right, axis)[1]
        _, v, a = self._roe_average(self.primitive(u_left), self.primitive(u_right))
        return jnp.minimum(low, v[axis] - a), jnp.maximum(high, v[axis] + a)

    def positive(self, u: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], ...]:
        """Density and pressure."""
        return u[0], self._pressure(u, [m / u[0] for m in u[1:-1]])

    def mirror(self, u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
        """The normal momentum changes its sign."""
        return jnp.stack([-m if k == 1 + axis else m for k, m in enumerate(u)])

    def contact_speed(
        self,
        u_left: Float[Array, "c *s"],
        u_right: Float[Array, "c *s"],
        low: Float[Array, "*s"],
        high: Float[Array, "*s"],
        axis: int,
    ) -> Float[Array, "*s"]:
        """Speed of the middle wave (Toro eq. 10.37)."""
        wl, wr = self.primitive(u_left), self.primitive(u_right)
        mass_left = wl[0] * (low - wl[1 + axis])
        mass_right = wr[0] * (high - wr[1 + axis])
        momentum = wr[-1] - wl[-1] + mass_left * wl[1 + axis] - mass_right * wr[1 + axis]
        return momentum / (mass_left - mass_right)

    def star_state(
        self,
        u: Float[Array, "c *s"],
        speed: Float[Array, "*s"],
        contact: Float[Array, "*s"],
        axis: int,
    ) -> Float[Array, "c *s"]:
        """State between an outer wave and the contact (Toro eq. 10.39)."""
        v = [m / u[0] for m in u[1:-1]]
        p = self._pressure(u, v)
        relative = speed - v[axis]
        rho = u[0] * relative / (speed - contact)
        m = [rho * (contact if k == axis else vk) for k, vk in enumerate(v)]
        work = (contact - v[axis]) * (contact + p / (u[0] * relative))
        return jnp.stack([rho, *m, rho * (u[-1] / u[0] + work)])

    def waves(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[tuple[Float[Array, "*s"], Float[Array, "c *s"]], ...]:
        """Roe's waves: two acoustic ones and, as one, the contact with all shears.

        Source: Toro sec. 11.2.2, eqs. 11.107 to 11.113.
        """
        wl, wr = self.primitive(u_left), self.primitive(u_right)
        rho, v, a = self._roe_average(wl, wr)
        vn = v[axis]
        amplitude = self._amplitudes(wr - wl, rho, a, axis)
        enthalpy = a**2 / (self.gamma - 1) + 0.5 * _dot(v, v)

        def acoustic(strength: Array, sign: float) -> Array:
            m = [vk + sign * a if k == axis else vk for k, vk in enumerate(v)]
            return strength * jnp.stack([jnp.ones_like(a), *m, enthalpy + sign * a * vn])

        first, last = acoustic(amplitude[0][None], -1), acoustic(amplitude[-1][None], 1)
        entropy, shear = amplitude[1], (wr - wl)[1:-1]
        slip = [jnp.zeros_like(a) if k == axis else rho * s for k, s in enumerate(shear)]
        m = [entropy * vk + s for vk, s in zip(v, slip, strict=True)]
        middle = jnp.stack([entropy, *m, 0.5 * entropy * _dot(v, v) + _dot(v, slip)])
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
        normal = (last - first) * a / w[0]
        shear.insert(axis, normal)
        return jnp.stack([first + entropy + last, *shear, (first + last) * a**2])

    def _amplitudes(self, dw: Array, rho: Array, a: Array, axis: int) -> list[Array]:
        """(Δp/a² ∓ ρ Δv_n/a)/2, Δρ - Δp/a², and the tangential Δv."""
        pressure, normal = dw[-1] / a**2, rho * dw[1 + axis] / a
        shear = [dv for k, dv in enumerate(dw[1:-1]) if k != axis]
        return [0.5 * (pressure - normal), dw[0] - pressure, *shear, 0.5 * (pressure + normal)]

    def _roe_average(self, wl: Array, wr: Array) -> tuple[Array, list[Array], Array]:
        """Roe's mean: density sqrt(ρ_l ρ_r), velocities, sound speed (Toro eq. 11.60)."""
        root_left, root_right = jnp.sqrt(wl[0]), jnp.sqrt(wr[0])
        share = root_left / (root_left + root_right)
        v = [share * l + (1 - share) * r for l, r in zip(wl[1:-1], wr[1:-1], strict=True)]
        enthalpy = share * self._enthalpy(wl) + (1 - share) * self._enthalpy(wr)
        a = jnp.sqrt((self.gamma - 1) * (enthalpy - 0.5 * _dot(v, v)))
        return root_left * root_right, v, a

    def _enthalpy(self, w: Array) -> Array:
        return self.gamma / (self.gamma - 1) * w[-1] / w[0] + 0.5 * _dot(w[1:-1], w[1:-1])

    def _sound(self, rho: Array, p: Array) -> Array:
        return jnp.sqrt(self.gamma * p / rho)

    def _pressure(self, u: Array, v: list[Array]) -> Array:
        return (self.gamma - 1) * (u[-1] - 0.5 * _dot(u[1:-1], v))


def _dot(a: Array | list[Array], b: Array | list[Array]) -> Array:
    return sum(x * y for x, y in zip(a, b, strict=True))  # type: ignore[return-value]
