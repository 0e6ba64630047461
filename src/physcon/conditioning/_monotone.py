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
from physcon._show import shown
from physcon._status import Outcome, choose, failed, settle, worse
from physcon._typing import Array, ArrayLike, Float, Int
from physcon.conditioning._box import box_status, diagonal_std, with_value
from physcon.conditioning._condition import condition
from physcon.conditioning._isotonic import Blocks, block_sums, isotonic_blocks
from physcon.conditioning._monotone_search import Given, search
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian

__all__ = ["Blocks", "Monotone", "isotonic_blocks", "monotone"]


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

    __repr__ = shown

    status = box_status


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
    diagonal with positive variances. It costs about ten isotonic regressions. It acts
    on one sample; batch with `jax.vmap`. For isotonic regression alone see
    `isotonic_blocks`.

    With multiplier λ the minimiser is clip(isotonic(μ + λ σ² g)), and its row value
    grows with λ. Derivatives are taken with the blocks held fixed, as block averages.
    Order and bounds hold exactly, and |g · u - b| <= 4 eps (|g| · |u| + |b|) in the
    caller's precision, which the outcome tests.

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
    row = _only_row(prior, constraint)
    low = _end(lower, -jnp.inf, prior.mean.dtype, "lower")
    high = _end(upper, jnp.inf, prior.mean.dtype, "upper")
    index, below, above, profile, outcome = _searched(
        prior, std, row, constraint, (low, high), decreasing
    )
    blocks = _block_prior(prior, std, index, (below, above), (low, high))
    law = _regular(constraint, blocks, row, std)
    after = condition(blocks, law, throw=False)
    posterior = after.posterior
    # Without a posterior there are no derivatives.
    outcome = worse(outcome, choose((failed(after.outcome), Outcome.not_solved)))
    mean = with_value(posterior.mean, profile)
    result = Monotone(
        mean,
        Gaussian(mean, posterior.root),
        index,
        constraint.residual(mean),
        outcome,
    )
    return settle(result, outcome, throw, _MESSAGES, (prior, constraint))


def _only_row(prior: Gaussian, constraint: LinearConstraint) -> Float[Array, " n"]:
    """The row of the constraint; an error unless there is one, for a profile."""
    require(
        prior.mean.ndim == 1,
        "profiles of shape (n,)",
        prior.mean.shape,
        "batch with jax.vmap",
    )
    rows = constraint.operator.rows()
    require(
        rows.shape[0] == 1, "one row", rows.shape[0], "sum the rows, or use `bounded`"
    )
    return rows[0]


def _end(x: ArrayLike | None, open_end: float, dtype: Any, name: str) -> Array:
    """A scalar bound; None is open."""
    got = np.shape(0.0 if x is None else x)
    require(got == (), f"a scalar {name}", got, "use `bounded` for a field of bounds")
    return jnp.asarray(open_end if x is None else x, dtype)


def _searched(
    prior: Gaussian,
    std: Array,
    row: Array,
    constraint: LinearConstraint,
    ends: tuple[Array, Array],
    decreasing: bool,
) -> tuple[Array, Array, Array, Array, Outcome]:
    """Blocks, points on either bound, the profile and the outcome.

    A decreasing profile is searched from its other end.
    """
    flip = jnp.flip if decreasing else (lambda x: x)
    fields = (flip(prior.mean), flip(std), flip(row))
    given = Given(*fields, constraint.value[0], constraint.noise()[0], *ends)
    find = in_float64(partial(search, dtype=prior.mean.dtype))
    *found, flags = find(jax.lax.stop_gradient(given))
    index, below, above, profile = (flip(x) for x in found)
    finite, ordered, outside, met = flags
    outcome = choose(
        (~finite, Outcome.not_finite),
        (~ordered, Outcome.disordered),
        (outside, Outcome.unreachable),
        (~met, Outcome.not_solved),
    )
    return index, below, above, profile, outcome


def _block_prior(
    prior: Gaussian,
    std: Array,
    index: Int[Array, " n"],
    touching: tuple[Array, Array],
    ends: tuple[Array, Array],
) -> Gaussian:
    """The prior of one value per block; blocks on a bound have no variance."""
    below, above = touching
    low, high = ends
    unit = power_of_two(jnp.max(std))  # weights of units of 1e±30 have no float32
    weight = jnp.where(std > 0, std / unit, 1) ** -2
    pooled = block_sums(weight, index)
    pooled = jnp.where(pooled > 0, pooled, 1)
    average = (block_sums(weight * prior.mean, index) / pooled)[index]
    start = jnp.where(below, low, jnp.where(above, high, average))
    held = block_sums((below | above).astype(prior.mean.dtype), index) > 0
    root = Blocks(jnp.where(held, 0, unit * pooled**-0.5), index)
    return Gaussian(start, root)


def _regular(
    constraint: LinearConstraint, blocks: Gaussian, row: Array, std: Array
) -> LinearConstraint:
    """The constraint, with noise if the row sees no free block.

    Such a row is met already, and noise of its own prior size keeps it harmless.
    """
    spread = blocks.root.rmv(jax.lax.stop_gradient(row))
    seen = jnp.any(spread != 0)
    size = power_of_two(jnp.max(std)) * power_of_two(jnp.max(jnp.abs(row)))
    noise_std = constraint.noise()
    noise_std = jnp.where(~seen & (noise_std == 0), size, noise_std)
    return LinearConstraint(constraint.operator, constraint.value, noise_std)


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
