"""Monotone profiles with a conserved integral: melting fronts, saturations,
distribution functions.

Weighted isotonic regression pools neighbours that violate the order into blocks of one
value; a multiplier for the integral tilts the data. Given the blocks, the answer is
`condition` once more, with one latent variable a block.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import error_if, require
from physcon._numerics.float64 import in_float64, in_one_dtype
from physcon._typing import Array, ArrayLike, Bool, Float, Int, Scalar, Shape
from physcon.conditioning._bounded import diagonal_std
from physcon.conditioning._condition import condition
from physcon.conditioning.active_set import nondecreasing_root
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.linear_map import Root


class Monotone(NamedTuple):
    """Result of `monotone`.

    Attributes:
        mean: the most probable monotone profile, ``(n)``; its order and bounds hold exactly.
        posterior: Gaussian over the values of the blocks, given the constraint.
        block: index of the block that a point is pooled into, ``(n)``.
        residual: b - G mean, ``(1)``, summed in float64.
        status: 0 good; 1 a NaN came in, or a variance that is zero or infinite; 2 lower > upper;
            3 no monotone profile within the bounds has the value.
    """

    mean: Float[Array, " n"]
    posterior: Gaussian
    block: Int[Array, " n"]
    residual: Float[Array, " 1"]
    status: Int[Array, ""]


class Blocks(Root):
    """One latent variable a block: ``mv(z)_i = scale[k] z[k]`` with k = index[i]."""

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
    """The most probable nondecreasing profile under `prior` that obeys one row, within
    bounds.

        minimise Σ (u - μ)² / σ²   subject to   g · u = b,  u_1 <= ... <= u_n,  lower <= u <= upper

    Shapes: profiles ``(n,)``; one row; scalar bounds, None where open. The prior is
    diagonal with positive variances. Costs some ten isotonic regressions. One sample;
    batch with `jax.vmap`. For isotonic regression alone see `isotonic_blocks`.

    With multiplier λ the minimiser is clip(isotonic(μ + λ σ² g)), and its row value
    grows with λ. Derivatives are those of the conditioning that is left when the blocks
    are held fixed: block averages. Order and bounds hold exactly, |g · u - b| <= 4 eps
    (|g| · |u| + |b|).

    Raises: ValueError: shapes, several rows, a prior that is not diagonal.
        RuntimeError: bad values at run time, see `Monotone.status`; ``throw=False``
        returns it.

    Source: Barlow, Bartholomew, Bremner and Brunk (1972), ch. 1 for the pooling of
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
    arguments = (
        flip(prior.mean),
        flip(std),
        flip(rows[0]),
        constraint.value[0],
        noise_std[0],
    )
    found = in_float64(_search)(*jax.lax.stop_gradient((*arguments, low, high)))
    index, below, above, status = (
        flip(found[0]),
        flip(found[1]),
        flip(found[2]),
        found[3],
    )

    weight = jnp.where(std > 0, std, 1) ** -2
    pooled = _pool(weight, index)
    pooled = jnp.where(pooled > 0, pooled, 1)
    average = (_pool(weight * prior.mean, index) / pooled)[index]
    start = jnp.where(below, low, jnp.where(above, high, average))
    held = _pool((below | above).astype(dtype), index) > 0
    root = Blocks(jnp.where(held, 0, pooled**-0.5), index)
    # No free block, or none that the row sees: the row is met already; noise keeps it
    # harmless.
    seen = jnp.any(root.rmv(jax.lax.stop_gradient(rows[0])) != 0)
    noise_std = jnp.where(~seen & (noise_std == 0), 1, noise_std)
    law = LinearConstraint(constraint.operator, constraint.value, noise_std)
    posterior = condition(Gaussian(start, root), law, throw=False).posterior
    ordered = flip(
        jax.lax.cummax(flip(jnp.clip(posterior.mean, low, high)))
    )  # rounding only
    mean = posterior.mean + jax.lax.stop_gradient(ordered - posterior.mean)
    for code, message in _MESSAGES.items():
        mean = error_if(mean, status == code, message, throw)
    result = Gaussian(mean, posterior.root)
    return Monotone(mean, result, index, constraint.residual(mean), status)


def isotonic_blocks(
    y: Float[Array, " n"], weight: Float[Array, " n"]
) -> Int[Array, " n"]:
    """Block of every point in the weighted isotonic regression of `y`: 0, ..., 0, 1,
    ...

    The regression itself is the weighted average of each block. Neighbouring blocks out
    of order belong to one block of the answer, so all of them are pooled at once, until
    none is left: O(n) a round, some 8 rounds for a thousand noisy points and 19 for a
    million. At worst, on a long ramp with a fall at its end, it takes a round a point.

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


def _search(
    mean: Array,
    std: Array,
    row: Array,
    value: Array,
    noise_std: Array,
    low: Array,
    high: Array,
) -> tuple[Array, Array, Array, Array]:
    """Blocks, and points on either bound, of the nondecreasing profile with the row's
    value.
    """
    variance, noise = jnp.where(std > 0, std, 1) ** 2, noise_std**2
    lowest, highest = _reach(row, low, high)
    size = jnp.abs(row)
    slack = _SLACK * (
        jnp.sum(size) * jnp.maximum(_finite(low), _finite(high)) + jnp.abs(value)
    )
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
    index, y, _ = profile(nondecreasing_root(along, 0 * one, one))
    finite = jnp.all(
        jnp.isfinite(jnp.concatenate([mean, std, row, value[None], noise[None]]))
    )
    good = finite & jnp.all(std > 0) & (low < jnp.inf) & (high > -jnp.inf)
    status = jnp.where(outside & (noise == 0), 3, 0)
    status = jnp.where(good, jnp.where(low > high, 2, status), 1)
    return index, (y < low) | (low == high), y > high, status.astype(jnp.int32)


def _reach(row: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Smallest and largest row value of monotone profiles: those of all steps from low
    to high.
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


_SLACK = 4 * float(jnp.finfo(jnp.float32).eps)
_MESSAGES = {
    1: (
        "monotone: expected finite mean, operator and value, positive finite variances, and bounds "
        "that are numbers, got other values; an open bound is None"
    ),
    2: "monotone: expected lower <= upper, got lower > upper; swap them",
    3: (
        "monotone: expected a value that some monotone profile within the bounds has, got one out "
        "of reach; widen the bounds, or give the constraint a noise_std"
    ),
}
