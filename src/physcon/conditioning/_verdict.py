"""The verdict on a conditioning: how well its rows are met, as an `Outcome`."""

import jax.numpy as jnp

from physcon._extremes import largest_of
from physcon._status import Outcome, choose, worse
from physcon._typing import Array, Bool, Float

#: Roundings up to which a row counts as met.
PROMISE = 16


def judged(
    reported: Outcome,
    multiplier: Float[Array, "*y"],
    roundings: Float[Array, "*y"],
    points: int,
    contradicted: Bool[Array, ""],
) -> Outcome:
    """The outcome of a conditioning.

    Args:
        reported: what the solver reports.
        roundings: by how much each row is missed, from `status.excess`.
        points: size of the field, over which float64 rows are summed in float64.
        contradicted: whether redundant rows are known to contradict each other.
    """
    eps = float(jnp.finfo(roundings.dtype).eps)
    single = roundings.dtype == jnp.float32
    promise = PROMISE if single else PROMISE + points**0.5
    contradicted = contradicted & (reported == Outcome.redundant)
    most = largest_of(roundings, initial=0)
    found = choose(
        (~jnp.all(jnp.isfinite(multiplier)), Outcome.not_finite),
        (contradicted & (most > max(PROMISE, 1e-11 / eps)), Outcome.contradiction),
        (most > promise, Outcome.not_solved),
    )
    return worse(found, reported)
