"""Conditioning on a few rows, with their Gram matrix formed in float64."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics.blocked import LONG, combine_blocked, weigh_scaled
from physcon._numerics.float64 import cast
from physcon._numerics.products import Weighed, combine, weigh
from physcon._numerics.rarely import rarely
from physcon._typing import Array, Bool, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.gram import (
    GramFactor,
    factor_gram,
    has_blocks,
    multipliers,
    row_variance,
    step_of,
    with_whitened,
)
from physcon.conditioning.gram_verdict import System, checked_rows, whiten
from physcon.conditioning.solvers.step import Step
from physcon.linear_map import Diagonal, LinearMap, LowRank, Root, Rows
from physcon.linear_map.basic import DividedMap, total


def condition_whole(
    prior: Gaussian, law: LinearConstraint, single: bool, eps: float
) -> Step:
    """Condition on a few rows, with W formed in float64.

    Args:
        single: the arrays were converted from float32, and can be converted again.
        eps: of the caller's dtype, to which rows have to be met.
    """
    operator = law.operator
    root = prior.root
    mean = prior.mean
    w = whiten(operator, root)
    in_blocks = single and has_blocks(operator, root)
    if in_blocks:
        sums = _weighed_in_blocks(prior, law)
    else:
        sums = total(operator, weigh(*_weighed(prior, law, w, single)))
    # Rows already conditioned on are detected by comparing with the prior's variance.
    known = root.undiminished()
    before = None
    if known is not root:
        before = total(operator, row_variance(whiten(operator, known)))
    factor, s = factor_gram(sums.gram, before, law.noise().reshape(-1))
    missing = law.value.reshape(-1) - sums.product
    multiplier = multipliers(factor, s, missing)
    if in_blocks:
        moved = mean + root.mv(root.rmv(_combined_in_blocks(multiplier, operator)))
    else:
        moved = mean + root.mv(combine(multiplier, w))
    roundings = None
    divided = isinstance(operator, DividedMap)
    if single and sums.square is not None and not divided:
        sizes = sums.size, sums.square, mean.size
        system = System(s, missing, multiplier, *sizes)
        checked = checked_rows(prior, law, system, moved, factor)
        roundings = checked.roundings
        if checked.mean is not None:
            moved = checked.mean
            multiplier = checked.multiplier
    elif not single or (multiplier.size > 1 and not divided):
        moved, multiplier = refined(
            moved, multiplier, factor, prior, law, eps, single=single
        )
    if isinstance(root, LowRank):
        factor = with_whitened(factor, w)
    step = step_of(moved, multiplier, missing, factor)
    unit = None if sums.square is None else jnp.sqrt(sums.square)
    return step._replace(roundings=roundings, unit=unit)


def _weighed(
    prior: Gaussian, law: LinearConstraint, w: Float[Array, "m *z"], single: bool
) -> tuple[Array, Array, Array, Array | None]:
    """The rows, the mean, W and the standard deviations, for `weigh`."""
    operator = law.operator
    mean = prior.mean
    root = prior.root
    rows = operator.rows()
    if single and rows.shape[0] <= 3 and mean.size >= LONG:
        # Computed again from the float32 arrays: XLA's CPU backend otherwise writes W
        # to memory in float64, since both the sums and the posterior need it (half as
        # slow again, measured).
        again = cast((mean, root, operator), jnp.float32)
        again = cast(jax.lax.optimization_barrier(again), jnp.float64)
        mean, root, operator = again
        rows = operator.rows()
        w = whiten(operator, root)
    return rows, mean, w, _spread(root)


def _weighed_in_blocks(prior: Gaussian, law: LinearConstraint) -> Weighed:
    """The sums of `weigh` from the float32 arrays, of which no float64 copy is made."""
    operator, root = law.operator, prior.root
    assert isinstance(operator, Rows)
    assert isinstance(root, Diagonal)
    arrays = (operator.weights, prior.mean, root.diagonal)

    def whole(rows: Array, x: Array, scale: Array) -> Weighed:
        rows, x, scale = cast((rows, x, scale), jnp.float64)
        return weigh(rows, x, rows * scale[None], scale)

    return jax.lax.platform_dependent(
        *cast(arrays, jnp.float32),
        cpu=lambda *a: Weighed(*weigh_scaled(*a)),
        default=whole,
    )


def _combined_in_blocks(multiplier: Array, operator: LinearMap) -> Array:
    """Gᵀ λ from the float32 rows."""
    rows = cast(operator.rows(), jnp.float32)
    flat = rows.reshape(rows.shape[0], -1)
    return combine_blocked(multiplier, flat).reshape(rows.shape[1:])


def _spread(root: Root) -> Float[Array, "*x"] | None:
    """The standard deviations of independent errors; None of other priors."""
    return root.diagonal if isinstance(root, Diagonal) else None


@eqx.filter_jit  # one program for all calls outside of jit
def refined(
    mean: Float[Array, "*x"],
    multiplier: Float[Array, " m"],
    factor: GramFactor,
    prior: Gaussian,
    law: LinearConstraint,
    eps: float,
    *,
    single: bool,
    most: int = 4,
) -> tuple[Float[Array, "*x"], Float[Array, " m"]]:
    """Up to `most` further steps while the rows are missed by more than rounding.

    Multipliers of nearly parallel rows are large and cancel in Wᵀ λ, where they leave
    their rounding errors. Each step divides these by 1 / (eps cond S), some 5000 for
    rows in float64 that differ by one part in 10⁶.

    Args:
        single: prior and law were converted from float32. Then the steps convert them
            anew, since arrays that enter a branch are otherwise written in float64.
    """
    unmet, missed = _missed(mean, multiplier, law, eps)
    held = cast((prior, law), jnp.float32) if single else (prior, law)

    def corrected() -> tuple[Array, Array]:
        prior, law = cast(held, jnp.float64) if single else held
        w = whiten(law.operator, prior.root)

        def step(found: _Refinement) -> _Refinement:
            more = factor.solve(found.unmet)
            mean = found.mean + prior.root.mv(combine(more, w))
            multiplier = found.multiplier + more
            unmet, missed = _missed(mean, multiplier, law, eps)
            return _Refinement(mean, multiplier, unmet, missed, found.steps + 1)

        def goes_on(found: _Refinement) -> Bool[Array, ""]:
            return found.missed & (found.steps < most)

        start = _Refinement(mean, multiplier, unmet, missed, jnp.asarray(0))
        found = jax.lax.while_loop(goes_on, step, start)
        return found.mean, found.multiplier

    return rarely(missed, corrected, lambda: (mean, multiplier))


class _Refinement(NamedTuple):
    mean: Float[Array, "*x"]
    multiplier: Float[Array, " m"]
    unmet: Float[Array, " m"]  # what the rows of `mean` miss
    missed: Bool[Array, ""]  # by more than rounding
    steps: Array


def _missed(
    mean: Array, multiplier: Array, law: LinearConstraint, eps: float
) -> tuple[Float[Array, " m"], Bool[Array, ""]]:
    """b - G μ' - N λ, and whether any of it is larger than rounding."""
    operator = law.operator
    sigma = law.noise().reshape(-1)
    value = law.value.reshape(-1)
    unmet = value - operator.mv(mean).reshape(-1) - sigma * (sigma * multiplier)
    size = operator.magnitude(mean).reshape(-1) + jnp.abs(value)
    return unmet, jnp.any(jnp.abs(unmet) > 2 * eps * size)
