"""The monotone equations of all groups, which are solved at once.

The prior of a point is N(μ, V), and its value u(t) = clip(μ + gain t, l, h). Each group
has one unknown t, its multiplier in units of the row.
"""

from typing import NamedTuple

import jax.numpy as jnp

from physcon._typing import Array, Bool, Float
from physcon.conditioning._root import nondecreasing_root
from physcon.linear_map import Disjoint


class Equation(NamedTuple):
    """F(t) = Σ w u(t) + N t / s - b for every group, s the prior variance of its row.

    Attributes:
        operator: w, and which points belong to which group.
        mean, variance, lower, upper: of every point.
        resting: values of the points without variance.
        noise: N, a variance per group.
        value: b, within reach.
        present: groups with a point.
        solvable: groups whose row has a variance.
        unit: s, or 1 where it is zero.
        gain: w V / s.
    """

    operator: Disjoint
    mean: Float[Array, "*x"]
    variance: Float[Array, "*x"]
    lower: Float[Array, "*x"]
    upper: Float[Array, "*x"]
    resting: Float[Array, "*x"]
    noise: Float[Array, "*g"]
    value: Float[Array, "*g"]
    present: Bool[Array, "*g"]
    solvable: Bool[Array, "*g"]
    unit: Float[Array, "*g"]
    gain: Float[Array, "*x"]

    @property
    def moving(self) -> Bool[Array, "*x"]:
        return self.variance > 0

    def total(self, x: Float[Array, "*x"]) -> Float[Array, "*g"]:
        """Sum over every group."""
        return self.operator.groups.total(x)

    def spread(self, x: Float[Array, "*g"]) -> Float[Array, "*x"]:
        """The value of its group at every point."""
        return self.operator.groups.spread(x)

    def unclipped(self, t: Float[Array, "*g"]) -> Float[Array, "*x"]:
        """μ + gain t, without the bounds."""
        y = self.mean + self.gain * self.spread(t)
        return jnp.where(self.moving, y, self.resting)

    def row_variance(self, free: Bool[Array, "*x"]) -> Float[Array, "*g"]:
        """Prior variance of each row from its free points, without noise."""
        each = self.operator.weights**2 * self.variance
        return self.total(jnp.where(free, each, 0))

    def misfit(self, t: Float[Array, "*g"]) -> tuple[Array, Array, Array]:
        """F(t), its slope, and the sum of the sizes of its terms."""
        w = self.operator.weights
        y = self.unclipped(t)
        u = jnp.clip(y, self.lower, self.upper)
        free = self.moving & (self.lower < y) & (y < self.upper)
        value = self.total(w * u) + self.noise / self.unit * t - self.value
        slope = (self.row_variance(free) + self.noise) / self.unit
        return value, slope, self.total(jnp.abs(w * u)) + jnp.abs(self.value)


def roots(equation: Equation) -> Float[Array, "*g"]:
    """The root t of every group."""
    zero = jnp.zeros_like(equation.value)
    start, _, terms = equation.misfit(zero)

    def misfit(t: Array) -> tuple[Array, Array, Array]:
        value, slope, terms = equation.misfit(t)
        return value, slope, _MET * terms

    reach = jnp.abs(start) + 1e-3 * terms + jnp.where(terms == 0, 1, 0)
    solved = ~equation.present | ~equation.solvable
    return nondecreasing_root(misfit, zero, reach, solved)


#: A group is solved to this share of its terms; the free points take up the rest.
_MET = 1e-13
