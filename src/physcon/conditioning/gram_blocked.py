"""Conditioning a long low-rank Gaussian on a few rows, in blocks of float32."""

import jax
import jax.numpy as jnp

from physcon._extremes import largest_of
from physcon._numerics.blocked import combine_blocked, inner_blocked, weigh_blocked
from physcon._numerics.float64 import cast
from physcon._numerics.products import gram
from physcon._typing import Array
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.gram import (
    factor_gram,
    multipliers,
    step_of,
    with_whitened,
)
from physcon.conditioning.gram_whole import condition_whole
from physcon.conditioning.solvers.step import Step
from physcon.linear_map import LowRank

#: |B|² (a bound on the condition of S) up to which W may carry float32's rounding.
WELL_CONDITIONED = 1e6


def condition_blocked(prior: Gaussian, law: LinearConstraint) -> Step:
    """W with float32's rounding, everything else in float64.

    Accepted by the true residual and by the condition of S; otherwise
    `condition_whole` runs.
    """
    shape = prior.mean.shape
    assert isinstance(prior.root, LowRank)
    vectors = _single(prior.root.vectors)
    rows = _single(law.operator.rows())
    noise_std = law.noise()
    mean = prior.mean.reshape(-1)
    prediction, magnitude, w = weigh_blocked(rows, mean, vectors)
    factor, s = factor_gram(gram(w), None, noise_std)
    missing = law.value - prediction
    multiplier = multipliers(factor, s, missing)
    found = mean + combine_blocked(multiplier @ w, vectors)
    unmet = law.value - inner_blocked(rows, found) - noise_std**2 * multiplier
    eps = float(jnp.finfo(jnp.float32).eps)
    rounding = eps * (magnitude + jnp.abs(law.value))
    exact = jnp.all(jnp.abs(unmet) <= rounding)
    regular = largest_of(jnp.abs(factor.whitener)) ** 2 < WELL_CONDITIONED
    independent = jnp.all(factor.kept())
    step = step_of(found.reshape(shape), multiplier, missing, with_whitened(factor, w))
    args = cast((prior, law), jnp.float32)
    return jax.lax.cond(
        exact & regular & independent,
        lambda: step,
        lambda: condition_whole(*cast(args, jnp.float64), single=False, eps=eps),
    )


def _single(rows: Array) -> Array:
    return rows.reshape(rows.shape[0], -1).astype(jnp.float32)
