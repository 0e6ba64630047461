"""What can go wrong in a conditioning, as a status code and as an error that names the
rows.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete
from physcon._typing import Array, Bool, Float, Int
from physcon.conditioning.gain import Gain

GOOD, NOT_FINITE, REDUNDANT_ROWS, CONTRADICTION, NOT_SOLVED = range(5)


def status_of(gain: Gain) -> Int[Array, ""]:
    """The status documented at `physcon.Conditioned`."""
    redundant = jnp.any(jnp.all(gain.whitener.high == 0, axis=1))
    status = jnp.where(redundant, REDUNDANT_ROWS, GOOD)
    status = jnp.where(redundant & jnp.any(_missed(gain)), CONTRADICTION, status)
    return jnp.where(jnp.all(jnp.isfinite(gain.multiplier)), status, NOT_FINITE)


def _missed(gain: Gain) -> Bool[Array, " m"]:
    """Rows that the answer misses by more than rounding of the input."""
    rounding = max(16 * float(jnp.finfo(gain.mean.dtype).eps), 1e-11)
    return jnp.abs(gain.unmet) > rounding * gain.rounding


def checked(
    mean: Float[Array, "*x"], gain: Gain, status: Int[Array, ""]
) -> Float[Array, "*x"]:
    """`mean`, or a run-time error. Outside of jit the message gives all rows with their
    residuals, inside (where a message cannot hold numbers) the row that misses most.
    """
    unmet = concrete(gain.unmet)
    if unmet is not None and int(status) == CONTRADICTION:
        missed = np.flatnonzero(np.asarray(_missed(gain)))
        raise RuntimeError(
            _contradiction(", ".join(f"{r} (b - G u = {unmet[r]:.3g})" for r in missed))
        )
    excess = jnp.where(_missed(gain), jnp.abs(gain.unmet) / gain.rounding, 0)
    worst = jnp.argmax(excess)
    messages = [NOT_FINITE_MESSAGE] + [
        _contradiction(f"{r}") for r in range(excess.size)
    ]
    which = jnp.where(status == NOT_FINITE, 0, 1 + worst)
    wrong = (status == NOT_FINITE) | (status == CONTRADICTION)
    return eqx.branched_error_if(mean, wrong, which, messages)


def _contradiction(rows: str) -> str:
    return (
        f"condition: expected rows that can all be met, got a contradiction in row(s) {rows}: they "
        "repeat other rows, or see only points of zero variance, with another value; correct the "
        "values, give the constraint a noise_std, or take the least-squares answer: throw=False"
    )


CONTRADICTION_MESSAGE = _contradiction("unnamed")
NOT_FINITE_MESSAGE = (
    "condition: expected a finite mean, root, operator and value, got NaN or infinity; NaN never "
    "means 'missing': give missing points zero weight in the constraint and a finite mean"
)
NOT_SOLVED_MESSAGE = (
    "condition: expected an iterative solver to reach its tolerance, got no further within "
    "max_steps; raise ConjugateGradient.max_steps or rtol, give the constraint a noise_std, or "
    "check that the laws don't contradict each other and that every cell sees some variance"
)
