"""How a conditioning ended, judged by the residual of the mean that is returned."""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete
from physcon._status import Indexed
from physcon._typing import Array, Float
from physcon.conditioning._rounding import EPS64, terms_of_rows
from physcon.conditioning._verdict import PROMISE
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.gram_verdict import in_roundings
from physcon.conditioning.solvers.implicit import Update
from physcon.conditioning.solvers.interface import Solver
from physcon.linear_map.basic import DividedMap

#: The integers of version 0.1, `Conditioned.status`.
CODES = {
    "good": 0,
    "not_finite": 1,
    "redundant": 2,
    "contradiction": 3,
    "not_solved": 4,
    "unobservable": 4,
}
#: Rows up to which the message of a contradiction can name one inside of jit.
NAMED = 256


@partial(jax.jit, static_argnames="divided")  # once per shape where called eagerly
def excess(
    solver: Solver,
    prior: Gaussian,
    law: LinearConstraint,
    new: Update,
    residual: Float[Array, "*y"],
    size: Float[Array, "*y"],
    divided: bool = False,
) -> Float[Array, "*y"]:
    """|b - G μ' - N λ| of the rounded mean, in roundings of |G| |μ'| + |b|.

    Float64 roundings of the terms that μ' is the sum of count as well.

    An iterative solver's tolerance is subtracted first.

    Args:
        residual: b - G μ' of the posterior mean.
        size: |G| |μ'| + |b|.
        divided: whether each device holds a block of the field. Devices must not take
            different branches there, so that the terms don't count.
    """
    unmet = jnp.abs(residual)
    if law.noise_std is not None:
        unmet = jnp.abs(residual - law.noise_std * (law.noise_std * new.multiplier))
    unmet = jnp.maximum(unmet - solver.tolerance(prior, law), 0)
    unmet = jnp.where(jnp.isfinite(residual), unmet, jnp.inf)
    eps = float(jnp.finfo(residual.dtype).eps)

    def with_terms() -> Array:
        # The mean was computed in float64, with the rounding errors of its terms.
        terms = terms_of_rows(prior, law.operator, new.multiplier)
        whole = size + terms.reshape(size.shape) * (EPS64 / eps)
        return in_roundings(unmet, whole, eps)

    found = in_roundings(unmet, size, eps)
    if divided or isinstance(law.operator, DividedMap):
        return found
    return jax.lax.cond(jnp.all(found <= PROMISE), lambda: found, with_terms)


def messages(
    roundings: Float[Array, "*y"], residual: Float[Array, "*y"]
) -> Mapping[str, str | Indexed]:
    """The sentences to raise.

    Outside of jit a contradiction lists all rows with their residuals; inside, where a
    message cannot hold numbers, it names the row that is missed most.
    """
    contradiction: str | Indexed = CONTRADICTION_MESSAGE
    known, excesses = concrete(residual), concrete(roundings)
    if known is not None and excesses is not None:
        limit = max(PROMISE, 1e-11 / float(jnp.finfo(residual.dtype).eps))
        missed = np.flatnonzero(excesses.ravel() > limit)
        flat = known.ravel()
        rows = [f"{r} (b - G u = {flat[r]:.3g})" for r in missed[:10]]
        more = f" and {missed.size - 10} more" if missed.size > 10 else ""
        contradiction = _contradiction(", ".join(rows) + more)
    elif residual.size <= NAMED:
        sentences = [_contradiction(f"{r}") for r in range(residual.size)]
        contradiction = Indexed(sentences, jnp.argmax(roundings.reshape(-1)))
    return {**MESSAGES, "contradiction": contradiction}


def _contradiction(rows: str) -> str:
    return (
        "condition: expected rows that can all be met, got a contradiction in row(s) "
        f"{rows}: they repeat other rows, or see only points of zero variance, with "
        "another value; correct the values, pass a noise_std to the constraint, or "
        "pass throw=False to get the least-squares answer"
    )


CONTRADICTION_MESSAGE = _contradiction("unnamed")
NOT_FINITE_MESSAGE = (
    "condition: expected a finite mean, root, operator and value, got NaN or infinity; "
    "NaN never means 'missing': give missing points zero weight in the constraint and "
    "a finite mean; a negative noise_std counts as NaN; an infinite standard deviation "
    "(not measured) must belong to a prior with independent errors, and be known "
    "outside of jit"
)
NOT_SOLVED_MESSAGE = (
    "condition: expected rows met to rounding, got a residual above the tolerance of "
    "the solver; raise ConjugateGradient.max_steps or rtol, pass a noise_std to the "
    "constraint, or check that the laws don't contradict each other, that no two rows "
    "are nearly parallel, and that every row sees some variance"
)
#: The sentences where no row can be named.
MESSAGES = {
    "contradiction": CONTRADICTION_MESSAGE,
    "not_finite": NOT_FINITE_MESSAGE,
    "not_solved": NOT_SOLVED_MESSAGE,
}
