"""An ideal gas at a point: the formulas of `Euler`, for states in either variables."""

from typing import NamedTuple

import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Float
from physcon.fv.law import channels


class Gas(NamedTuple):
    """Conserved and primitive variables of a gas; what is not used costs nothing.

    Attributes:
        rho: density.
        v: velocities along the axes.
        p: pressure.
        volume: 1 / density, written once, so that a compiler divides once.
        m: momenta along the axes.
        energy: total energy per volume.
    """

    rho: Array
    v: list[Array]
    p: Array
    volume: Array
    m: list[Array]
    energy: Array

    @classmethod
    def of_state(cls, u: Float[Array, "c *s"], gamma: Array) -> "Gas":
        """From density, momenta and energy."""
        rho, *m, energy = channels(u)
        volume = safe.reciprocal(rho)
        v = [safe.over(mk, rho, volume) for mk in m]
        return cls(rho, v, (gamma - 1) * (energy - 0.5 * dot(m, v)), volume, m, energy)

    @classmethod
    def of_primitive(cls, w: Float[Array, "c *s"], gamma: Array) -> "Gas":
        """From density, velocities and pressure."""
        rho, *v, p = channels(w)
        m = [rho * vk for vk in v]
        volume = safe.reciprocal(rho)
        return cls(rho, v, p, volume, m, p / (gamma - 1) + 0.5 * dot(m, v))

    def state(self) -> Float[Array, "c *s"]:
        """Density, momenta and energy."""
        return jnp.stack([self.rho, *self.m, self.energy])

    def flux(self, axis: int) -> Float[Array, "c *s"]:
        """(ρ v_n, ρ v v_n + p e_n, (E + p) v_n)."""
        normal = self.v[axis]
        momentum = [
            mk * normal + self.p if k == axis else mk * normal
            for k, mk in enumerate(self.m)
        ]
        return jnp.stack([self.m[axis], *momentum, (self.energy + self.p) * normal])

    def sound(self, gamma: Array) -> Array:
        """Speed of sound."""
        return jnp.sqrt(gamma * self.per_mass(self.p))

    def per_mass(self, a: Array) -> Array:
        """a / ρ."""
        return safe.over(a, self.rho, self.volume)

    def star_state(
        self, speed: Array, contact: Array, axis: int
    ) -> Float[Array, "c *s"]:
        """State between an outer wave and the contact (Toro eqs. 10.36 and 10.39)."""
        relative = speed - self.v[axis]
        ratio = 1 / (speed - contact)
        rho_star = self.rho * relative * ratio
        p_star = self.p + self.rho * relative * (contact - self.v[axis])
        m = [rho_star * (contact if k == axis else vk) for k, vk in enumerate(self.v)]
        work = p_star * contact - self.p * self.v[axis]
        return jnp.stack([rho_star, *m, (relative * self.energy + work) * ratio])


def contact_speed(left: Gas, right: Gas, low: Array, high: Array, axis: int) -> Array:
    """Speed of the middle wave between two outer ones (Toro eq. 10.37)."""
    mass_left = left.rho * (low - left.v[axis])
    mass_right = right.rho * (high - right.v[axis])
    carried = mass_left * left.v[axis] - mass_right * right.v[axis]
    return safe.quotient(right.p - left.p + carried, mass_left - mass_right)


def bounds(left: Gas, right: Gas, gamma: Array, axis: int) -> tuple[Array, Array]:
    """Extremes of the acoustic speeds over the two states and Roe's average."""
    low = left.v[axis] - left.sound(gamma)
    high = right.v[axis] + right.sound(gamma)
    _, v, a = roe_average(left, right, gamma)
    return safe.smaller(low, v[axis] - a), safe.larger(high, v[axis] + a)


def roe_average(
    left: Gas, right: Gas, gamma: Array
) -> tuple[Array, list[Array], Array]:
    """Roe's mean density, velocities and sound speed (Toro eq. 11.60)."""
    root = jnp.sqrt(left.per_mass(right.rho))
    share = 1 / (1 + root)

    def mean(a: Array, b: Array) -> Array:
        return b + share * (a - b)

    v = [mean(a, b) for a, b in zip(left.v, right.v, strict=True)]
    enthalpy = mean(_enthalpy(left, gamma), _enthalpy(right, gamma))
    a = jnp.sqrt((gamma - 1) * (enthalpy - 0.5 * dot(v, v)))
    return left.rho * root, v, a


def _enthalpy(gas: Gas, gamma: Array) -> Array:
    return gamma / (gamma - 1) * gas.per_mass(gas.p) + 0.5 * dot(gas.v, gas.v)


def dot(a: list[Array], b: list[Array]) -> Array:
    """The scalar product of two vectors."""
    return sum(x * y for x, y in zip(a, b, strict=True))  # type: ignore[return-value]
