"""The problem of the interior point, its iterates, and the boxes that hold them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning._metric import Metric
from physcon.linear_map import LinearMap

#: An array for the field, and one for the row values.
Pair = tuple[Array, Array]


class Boxed(NamedTuple):
    """The problem, in float64."""

    mean: Float[Array, "*x"]
    metric: Metric
    operator: LinearMap
    noise: Float[Array, "*y"]  # variances
    lower: Float[Array, "*x"]
    upper: Float[Array, "*x"]
    row_lower: Float[Array, "*y"]
    row_upper: Float[Array, "*y"]


class Side(NamedTuple):
    """The box of the field or of the row values, and where it has a bound."""

    lower: Array
    upper: Array
    has_lower: Array
    has_upper: Array

    def slack(self, x: Array) -> Pair:
        """Distances from the lower and the upper bounds; 1 where there is none."""
        left = jnp.where(self.has_lower, x - self.lower, 1)
        right = jnp.where(self.has_upper, self.upper - x, 1)
        return jnp.maximum(left, LEAST), jnp.maximum(right, LEAST)

    def inside(self, x: Array, size: Array) -> Array:
        """x moved off the bounds, by a tenth of the box or of `size`."""
        both = self.has_lower & self.has_upper
        width = jnp.where(both, self.upper - self.lower, size)
        inset = 0.1 * jnp.minimum(width, jnp.where(size > 0, size, width))
        x = jnp.where(self.has_lower, jnp.maximum(x, self.lower + inset), x)
        return jnp.where(self.has_upper, jnp.minimum(x, self.upper - inset), x)


class Point(NamedTuple):
    """An iterate, or a direction in which to move it."""

    x: Pair
    p: Pair  # multipliers of the lower bounds
    q: Pair  # multipliers of the upper bounds
    multiplier: Array  # of the rows

    def moved(self, t: Array, direction: "Point") -> "Point":
        """This point plus `t` times the direction."""
        return jax.tree.map(lambda a, b: a + t * b, self, direction)


class Setting(NamedTuple):
    """The problem, with everything that is the same in all steps."""

    problem: Boxed
    sides: tuple[Side, Side]
    sizes: Pair  # typical deviations of the field and of the rows
    moving: Bool[Array, "*x"]
    row_moving: Bool[Array, "*y"]
    bounds: Scalar  # their number, at least 1

    def slacks(self, x: Pair) -> list[Pair]:
        """The distances of the field and of the row values from their bounds."""
        return [side.slack(x_) for side, x_ in zip(self.sides, x, strict=True)]

    def gap(self, x: Pair, p: Pair, q: Pair) -> Scalar:
        """The mean complementarity product: distance from a bound times multiplier."""
        gap = jnp.zeros((), self.problem.mean.dtype)
        for side, x_, p_, q_ in zip(self.sides, x, p, q, strict=True):
            left, right = side.slack(x_)
            gap += jnp.sum(jnp.where(side.has_lower, left * p_, 0))
            gap += jnp.sum(jnp.where(side.has_upper, right * q_, 0))
        return gap / self.bounds


def setting_of(problem: Boxed) -> Setting:
    """The setting of a problem."""
    metric, lower, upper = problem.metric, problem.lower, problem.upper
    spread = metric.std
    if metric.vectors is not None:
        spread = jnp.sqrt(spread**2 + jnp.sum(metric.vectors**2, axis=0))
    row_size = problem.operator.magnitude(spread) + jnp.sqrt(problem.noise)
    moving = (spread > 0) & (lower < upper)
    row_moving = problem.row_lower < problem.row_upper
    sides = (
        _side(lower, upper, moving),
        _side(problem.row_lower, problem.row_upper, row_moving),
    )
    sizes = (spread, jnp.where(row_size > 0, row_size, 1))
    has = [m for side in sides for m in (side.has_lower, side.has_upper)]
    count = sum(jnp.sum(m, dtype=problem.mean.dtype) for m in has)
    bounds = jnp.maximum(count, 1)
    return Setting(problem, sides, sizes, moving, row_moving, bounds)


def _side(lower: Array, upper: Array, moving: Array) -> Side:
    return Side(
        lower, upper, moving & jnp.isfinite(lower), moving & jnp.isfinite(upper)
    )


#: The smallest distance from a bound, to divide by.
LEAST = 1e-290
