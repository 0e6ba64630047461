"""The monotone profile with a given row value: one equation for the multiplier λ.

The profile is clip(isotonic(μ + λ σ² g), l, h). The unknown is v = λ / d, where d² is
the inverse of the prior variance of the row.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, Scalar
from physcon.conditioning._isotonic import block_sums, isotonic_blocks
from physcon.conditioning._root import nondecreasing_root


class Given(NamedTuple):
    """The arguments of `monotone` as a nondecreasing problem, in the caller's dtype."""

    mean: Float[Array, " n"]
    std: Float[Array, " n"]
    row: Float[Array, " n"]
    value: Scalar
    noise_std: Scalar
    lower: Scalar
    upper: Scalar


class _Equation(NamedTuple):
    """g · u(v) + N d v = b, for the multiplier d v."""

    mean: Float[Array, " n"]
    variance: Float[Array, " n"]
    row: Float[Array, " n"]
    value: Scalar  # within reach
    noise: Scalar
    lower: Scalar
    upper: Scalar
    d: Scalar

    def profile(self, v: Array) -> tuple[Array, Array, Array]:
        """Blocks, the regression without bounds, and the weight of each block."""
        y = self.mean + self.d * v * self.variance * self.row
        index = isotonic_blocks(y, 1 / self.variance)
        pooled = block_sums(1 / self.variance, index)
        pooled = jnp.where(pooled > 0, pooled, 1)
        return index, (block_sums(y / self.variance, index) / pooled)[index], pooled

    def misfit(self, v: Array) -> tuple[Array, Array, Array]:
        """What the row exceeds its value by, the slope, and the tolerance."""
        index, y, pooled = self.profile(v)
        u = jnp.clip(y, self.lower, self.upper)
        inside = (self.lower < y) & (y < self.upper)
        free = block_sums(jnp.where(inside, self.row, 0), index)
        miss = jnp.sum(self.row * u) + self.noise * self.d * v - self.value
        slope = self.d * (jnp.sum(free**2 / pooled) + self.noise)
        size = jnp.sum(jnp.abs(self.row) * jnp.abs(u)) + jnp.abs(self.value)
        return miss, slope, 1e-13 * size

    def corrected(self, u: Array, index: Array, pooled: Array) -> Array:
        """The free blocks moved by rounding, so that the row is met."""
        inside = (self.lower < u) & (u < self.upper)
        share = block_sums(jnp.where(inside, self.row, 0), index) / pooled
        slope = jnp.sum(jnp.where(inside, self.row * share[index], 0))
        miss = self.value - jnp.sum(self.row * u)
        step = jnp.where(slope > 0, miss / jnp.where(slope > 0, slope, 1), 0)
        moved = u + jnp.where(inside, step * share[index], 0)
        return jax.lax.cummax(jnp.clip(moved, self.lower, self.upper))


@partial(jax.jit, static_argnames="dtype")  # compiled once where called without jit
def search(given: Given, *, dtype: Any) -> tuple[Array, Array, Array, Array, tuple]:
    """Blocks, points on either bound, the profile, and four flags.

    The flags are: finite, ordered, out of reach, met. The profile is nondecreasing.
    """
    equation, outside = _equation(given, dtype)
    low, high, noise = given.lower, given.upper, equation.noise
    one = jnp.ones((), given.mean.dtype)
    v = nondecreasing_root(equation.misfit, 0 * one, one)
    index, y, pooled = equation.profile(v)
    below = (y < low) | (low == high)
    above = y > high

    def correct(_: Any, u: Array) -> Array:
        return equation.corrected(u, index, pooled)

    u = jax.lax.cummax(jnp.clip(y, low, high))
    u = jnp.where(noise > 0, u, jax.lax.fori_loop(0, 3, correct, u))
    u = u.astype(dtype).astype(given.mean.dtype)
    flags = (
        _finite(given, noise, equation.value),
        ~(low > high),
        outside & (noise == 0),
        _met(equation, u, v, dtype),
    )
    return index, below, above, u, flags


def _equation(given: Given, dtype: Any) -> tuple[_Equation, Array]:
    """The equation, and whether the value is out of reach."""
    mean, std, row, value, noise_std, low, high = given
    variance = jnp.where(std > 0, std, 1) ** 2
    noise = noise_std**2
    lowest, highest = _reach(row, low, high)
    eps = float(jnp.finfo(dtype).eps)
    largest = jnp.maximum(_magnitude(low), _magnitude(high))
    slack = 3 * eps * (jnp.sum(jnp.abs(row)) * largest + jnp.abs(value))
    outside = (value < lowest - slack) | (value > highest + slack)
    value = jnp.where(noise > 0, value, jnp.clip(value, lowest, highest))
    total = jnp.sum(variance * row**2) + noise
    d = jnp.where(total > 0, total, 1) ** -0.5
    return _Equation(mean, variance, row, value, noise, low, high, d), outside


def _finite(given: Given, noise: Array, value: Array) -> Array:
    """Whether all arguments are finite, with positive variances."""
    fields = [given.mean, given.std, given.row]
    numbers = jnp.concatenate([*fields, value[None], noise[None]])
    finite = jnp.all(jnp.isfinite(numbers)) & jnp.all(given.std > 0)
    return finite & (given.lower < jnp.inf) & (given.upper > -jnp.inf)


def _met(equation: _Equation, u: Array, v: Array, dtype: Any) -> Array:
    """Whether the rounded profile meets the row to 4 roundings of its terms."""
    row, value, noise, d = equation.row, equation.value, equation.noise, equation.d
    missed = jnp.abs(value - jnp.sum(row * u) - noise * d * v)
    terms = jnp.sum(jnp.abs(row) * jnp.abs(u)) + jnp.abs(value)
    terms = terms + noise * jnp.abs(d * v)
    return missed <= 4 * float(jnp.finfo(dtype).eps) * terms


def _reach(row: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Smallest and largest row value of monotone profiles.

    Both are attained by a single step from low to high.
    """
    left = jnp.concatenate([jnp.zeros(1, row.dtype), jnp.cumsum(row)])
    right = jnp.sum(row) - left
    ends = jnp.where(left == 0, 0, low * left) + jnp.where(right == 0, 0, high * right)
    either = jnp.isnan(ends)  # both ends open, pulling in opposite directions
    lowest = jnp.min(jnp.where(either, -jnp.inf, ends))
    return lowest, jnp.max(jnp.where(either, jnp.inf, ends))


def _magnitude(x: Array) -> Array:
    """|x|, or zero for an open end."""
    return jnp.where(jnp.isfinite(x), jnp.abs(x), 0)
