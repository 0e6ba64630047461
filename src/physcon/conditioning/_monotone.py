"""Monotone profiles with a conserved integral: melting fronts, saturations.

Weighted isotonic regression pools neighbours that violate the order into blocks of one
value; a multiplier for the integral tilts the data. Given the blocks, the answer is
`condition` once more, with one latent variable for each block.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._numerics.float64 import in_float64, in_one_dtype
from physcon._numerics.safe import power_of_two
from physcon._status import Outcome, choose, code, settle
from physcon._typing import Array, ArrayLike, Bool, Float, Int, Scalar, Shape
from physcon.conditioning._bounded import diagonal_std, with_value
from physcon.conditioning._condition import condition
from physcon.conditioning.active_set import nondecreasing_root
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.linear_map import Root


class Monotone(NamedTuple):
    """Result of `monotone`.

    Attributes:
        mean: the most probable monotone profile, ``(n)``; its order and bounds hold
            exactly.
        posterior: Gaussian over the values of the blocks, given the constraint.
        block: index of the block into which a point is pooled, ``(n)``.
        residual: b - G mean, ``(1)``, summed in float64.
        outcome: `good`, `not_finite` (or a variance that is zero or infinite),
            `disordered` (lower > upper), `unreachable` (no monotone profile within the
            bounds has the value) or `not_solved` (the profile misses the row).
    """

    mean: Float[Array, " n"]
    posterior: Gaussian
    block: Int[Array, " n"]
    residual: Float[Array, " 1"]
    outcome: Outcome

    @property
    def status(self) -> Int[Array, "*batch"]:
        """The outcome as in version 0.1.

        0 good; 1 not finite; 2 lower > upper; 3 out of reach; 4 not solved.
        """
        return code(self.outcome, _CODES)


class Blocks(Root):
    """A latent variable for each block: ``mv(z)_i = scale[k] z[k]``, k = index[i]."""

    scale: Float[Array, " n"]
    index: Int[Array, " n"]

    @property
    def in_shape(self) -> Shape:
        return self.scale.shape

    @property
    def out_shape(self) -> Shape:
        return self.index.shape

    def mv(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        return (self.scale * x)[self.index]

    def rmv(self, y: Float[Array, " n"]) -> Float[Array, " n"]:
        return self.scale * _pool(y, self.index)

    def gram_diagonal(self) -> Float[Array, " n"]:
        return (self.scale**2)[self.index]

    def scaled(self, factor: Scalar) -> "Blocks":
        return Blocks(factor * self.scale, self.index)


def monotone(
    prior: Gaussian,
    constraint: LinearConstraint,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    decreasing: bool = False,
    throw: bool = True,
) -> Monotone:
    """The most probable nondecreasing profile within bounds that obeys one row.

        minimise Σ (u - μ)² / σ²
        subject to g · u = b,  u_1 <= ... <= u_n,  lower <= u <= upper

    Shapes: profiles ``(n,)``; one row; scalar bounds, None where open. The prior is
    diagonal with positive variances. The cost is some ten isotonic regressions. Acts on
    one sample; batch with `jax.vmap`. For isotonic regression alone see
    `isotonic_blocks`.

    With multiplier λ the minimiser is clip(isotonic(μ + λ σ² g)), and its row value
    grows with λ. Derivatives are those of the conditioning with the blocks held fixed:
    block averages. Order and bounds hold exactly, and |g · u - b| <= 4 eps (|g| · |u| +
    |b|) in the caller's precision, which the outcome tests.

    Raises:
        ValueError: shapes, several rows, a prior that is not diagonal.
        RuntimeError: bad values at run time, see `Monotone.outcome`; ``throw=False``
            returns the outcome instead.

    Source: Barlow, Bartholomew, Bremner and Brunk (1972), ch. 1, for the pooling of
    blocks.

    >>> from physcon.conditioning.constraint import integral
    >>> prior = Gaussian.diagonal(jnp.array([1.0, 0.0, 4.0]), jnp.ones(3))
    >>> monotone(prior, integral(jnp.ones(3), 8.0), 0.0).mean.tolist()
    [1.5, 1.5, 5.0]
    """
    prior, constraint = in_one_dtype(prior, constraint)
    std = diagonal_std(prior, constraint)
    require(
        prior.mean.ndim == 1,
        "profiles of shape (n,)",
        prior.mean.shape,
        "batch with jax.vmap",
    )
    rows, dtype = constraint.operator.rows(), prior.mean.dtype
    require(
        rows.shape[0] == 1, "one row", rows.shape[0], "sum the rows, or use `bounded`"
    )
    for name, x in (("lower", lower), ("upper", upper)):
        got = np.shape(0.0 if x is None else x)
        require(
            got == (), f"a scalar {name}", got, "use `bounded` for a field of bounds"
        )
    low = jnp.asarray(-jnp.inf if lower is None else lower, dtype)
    high = jnp.asarray(jnp.inf if upper is None else upper, dtype)
    noise_std = constraint.noise()

    flip = jnp.flip if decreasing else (lambda x: x)
    fields = flip(prior.mean), flip(std), flip(rows[0])
    given = (*fields, constraint.value[0], noise_std[0], low, high)
    search = partial(_search, dtype=dtype)
    found = in_float64(search)(*jax.lax.stop_gradient(given))
    index, below, above, profile = (flip(x) for x in found[:4])
    finite, ordered, outside, met = found[4]
    outcome = choose(
        (~finite, Outcome.not_finite),
        (~ordered, Outcome.disordered),
        (outside, Outcome.unreachable),
        (~met, Outcome.not_solved),
    )

    unit = power_of_two(jnp.max(std))  # weights of units of 1e±30 have no float32
    weight = jnp.where(std > 0, std / unit, 1) ** -2
    pooled = _pool(weight, index)
    pooled = jnp.where(pooled > 0, pooled, 1)
    average = (_pool(weight * prior.mean, index) / pooled)[index]
    start = jnp.where(below, low, jnp.where(above, high, average))
    held = _pool((below | above).astype(dtype), index) > 0
    root = Blocks(jnp.where(held, 0, unit * pooled**-0.5), index)
    # No free block, or none that the row sees: the row is met already; noise of its own
    # prior size keeps it harmless.
    spread = root.rmv(jax.lax.stop_gradient(rows[0]))
    seen = jnp.any(spread != 0)
    size = power_of_two(jnp.max(std)) * power_of_two(jnp.max(jnp.abs(rows[0])))
    noise_std = jnp.where(~seen & (noise_std == 0), size, noise_std)
    law = LinearConstraint(constraint.operator, constraint.value, noise_std)
    posterior = condition(Gaussian(start, root), law, throw=False).posterior
    mean = with_value(posterior.mean, profile)
    result = Monotone(
        mean,
        Gaussian(mean, posterior.root),
        index,
        constraint.residual(mean),
        outcome,
    )
    return settle(result, outcome, throw, _MESSAGES)


@jax.jit
def isotonic_blocks(
    y: Float[Array, " n"], weight: Float[Array, " n"]
) -> Int[Array, " n"]:
    """Block of every point in the weighted isotonic regression of `y`: 0, 0, 1, ...

    The regression itself is the weighted average of each block. Neighbouring blocks out
    of order belong to one block of the answer, so all of them are pooled at once, until
    none is left: O(n) for each round, with some 8 rounds for a thousand noisy points
    and 19 for a million. At worst, on a long ramp with a fall at its end, there are as
    many rounds as points.

    >>> isotonic_blocks(jnp.array([1.0, 0.0, 4.0]), jnp.ones(3)).tolist()
    [0, 0, 1]
    """

    def pool(state: tuple[Array, Array]) -> tuple[Array, Array]:
        opens, _ = state
        index = _number(opens)
        total = _pool(weight, index)
        value = (_pool(weight * y, index) / jnp.where(total > 0, total, 1))[index]
        ordered = jnp.concatenate([jnp.ones(1, bool), value[1:] > value[:-1]])
        return opens & ordered, jnp.any(opens & ~ordered)

    start = (jnp.ones(y.shape, bool), jnp.array(True))
    return _number(jax.lax.while_loop(lambda s: s[1], pool, start)[0])


def _number(opens: Bool[Array, " n"]) -> Int[Array, " n"]:
    """Index of the block of every point, from the points that open a block."""
    return jnp.cumsum(opens, dtype=jnp.int32) - 1


@partial(jax.jit, static_argnames="dtype")  # compiled once where called without jit
def _search(
    mean: Array,
    std: Array,
    row: Array,
    value: Array,
    noise_std: Array,
    low: Array,
    high: Array,
    *,
    dtype: Any,
) -> tuple[Array, Array, Array, Array, tuple]:
    """Blocks, points on either bound, and the nondecreasing profile with the value."""
    variance, noise = jnp.where(std > 0, std, 1) ** 2, noise_std**2
    lowest, highest = _reach(row, low, high)
    size = jnp.abs(row)
    eps = float(jnp.finfo(dtype).eps)
    largest = jnp.maximum(_finite(low), _finite(high))
    slack = 3 * eps * (jnp.sum(size) * largest + jnp.abs(value))
    outside = (value < lowest - slack) | (value > highest + slack)
    value = jnp.where(noise > 0, value, jnp.clip(value, lowest, highest))
    total = jnp.sum(variance * row**2) + noise
    d = jnp.where(total > 0, total, 1) ** -0.5

    def profile(v: Array) -> tuple[Array, Array, Array]:
        y = mean + d * v * variance * row
        index = isotonic_blocks(y, 1 / variance)
        pooled = _pool(1 / variance, index)
        pooled = jnp.where(pooled > 0, pooled, 1)
        return index, (_pool(y / variance, index) / pooled)[index], pooled

    def along(v: Array) -> tuple[Array, Array, Array]:
        index, y, pooled = profile(v)
        u = jnp.clip(y, low, high)
        free = _pool(jnp.where((low < y) & (y < high), row, 0), index)
        miss = jnp.sum(row * u) + noise * d * v - value
        slope = d * (jnp.sum(free**2 / pooled) + noise)
        return miss, slope, 1e-13 * (jnp.sum(size * jnp.abs(u)) + jnp.abs(value))

    one = jnp.ones((), mean.dtype)
    v = nondecreasing_root(along, 0 * one, one)
    index, y, pooled = profile(v)
    below = (y < low) | (low == high)
    above = y > high

    def correct(_: Any, u: Array) -> Array:
        """Free blocks move by rounding, so that the row is met."""
        inside = (low < u) & (u < high)
        share = _pool(jnp.where(inside, row, 0), index) / pooled
        slope = jnp.sum(jnp.where(inside, row * share[index], 0))
        miss = value - jnp.sum(row * u)
        step = jnp.where(slope > 0, miss / jnp.where(slope > 0, slope, 1), 0)
        moved = u + jnp.where(inside, step * share[index], 0)
        return jax.lax.cummax(jnp.clip(moved, low, high))

    u = jax.lax.cummax(jnp.clip(y, low, high))
    u = jnp.where(noise > 0, u, jax.lax.fori_loop(0, 3, correct, u))
    u = u.astype(dtype).astype(mean.dtype)
    numbers = jnp.concatenate([mean, std, row, value[None], noise[None]])
    finite = jnp.all(jnp.isfinite(numbers)) & jnp.all(std > 0)
    finite = finite & (low < jnp.inf) & (high > -jnp.inf)
    missed = jnp.abs(value - jnp.sum(row * u) - noise * d * v)
    terms = jnp.sum(size * jnp.abs(u)) + jnp.abs(value) + noise * jnp.abs(d * v)
    met = missed <= 4 * eps * terms
    flags = (finite, ~(low > high), outside & (noise == 0), met)
    return index, below, above, u, flags


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


def _finite(x: Array) -> Array:
    return jnp.where(jnp.isfinite(x), jnp.abs(x), 0)


def _pool(x: Float[Array, " n"], index: Int[Array, " n"]) -> Float[Array, " n"]:
    """Sum over each block, in an array as long as the profile."""
    return jnp.zeros_like(x).at[index].add(x)


_CODES = {
    "good": 0,
    "not_finite": 1,
    "disordered": 2,
    "unreachable": 3,
    "not_solved": 4,
}
_MESSAGES = {
    "not_finite": (
        "monotone: expected finite mean, operator and value, positive finite "
        "variances, and bounds that are numbers, got other values; pass None for an "
        "open bound"
    ),
    "disordered": (
        "monotone: expected lower <= upper, got lower > upper; swap the bounds"
    ),
    "unreachable": (
        "monotone: expected a value that some monotone profile within the bounds has, "
        "got one out of reach; widen the bounds, or give the constraint a noise_std"
    ),
    "not_solved": (
        "monotone: expected to meet the row to rounding, got no further; narrow the "
        "range of the variances, or give the constraint a noise_std"
    ),
}
