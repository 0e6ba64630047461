"""The evidence of laws and data for a prediction, used to estimate parameters."""

from typing import NamedTuple

import jax.numpy as jnp

from physcon._checks import require
from physcon._show import shown
from physcon._status import Outcome, code, worse
from physcon._typing import Array, Int, Scalar
from physcon.conditioning import Gaussian, LinearConstraint, condition
from physcon.conditioning.status import CODES


class Evidence(NamedTuple):
    """Result of `evidence`.

    Attributes:
        log_evidence: log density of all values under the prior, scalar.
        posterior: the field, conditioned on all values.
        outcome: the most severe `physcon.Conditioned.outcome` of all constraints.
    """

    log_evidence: Scalar
    posterior: Gaussian
    outcome: Outcome

    __repr__ = shown

    @property
    def status(self) -> Int[Array, "*batch"]:
        """The outcome as an integer of version 0.1; see `physcon.Conditioned`."""
        return code(self.outcome, CODES)


def evidence(
    prior: Gaussian, *constraints: LinearConstraint, throw: bool = True
) -> Evidence:
    """Log density of sensors, laws and boundary values under a prediction.

        log p(b_1, b_2, ...) = log p(b_1) + log p(b_2 | b_1) + ...

    As a function of the parameters of the prior (parameters of the model that predicts
    the mean, or hyperparameters of the root), this is the log likelihood with the field
    integrated out. Exact laws and noisy data can be mixed, and their order does not
    matter. The result is differentiable.

    Source:
        Rasmussen and Williams (2006), eq. 2.30 and sec. 5.4.1.

    >>> from physcon.conditioning import integral
    >>> prior = Gaussian.diagonal(jnp.zeros(2), jnp.ones(2))
    >>> law = integral(jnp.ones(2), 0.0)
    >>> data = integral(jnp.array([1.0, 0.0]), 0.0, 1.0)
    >>> one, other = evidence(prior, law, data), evidence(prior, data, law)
    >>> bool(jnp.isclose(one.log_evidence, other.log_evidence))
    True
    """
    require(
        len(constraints) >= 1,
        "one or more constraints",
        0,
        "pass the data and the laws",
    )
    total = jnp.zeros((), prior.mean.dtype)
    outcome = Outcome.good
    for constraint in constraints:
        step = condition(prior, constraint, throw=throw)
        if step.log_evidence is None:
            raise ValueError(
                "expected constraints with an evidence, got one solved by conjugate "
                "gradients, which don't compute det S; use few rows (integral, "
                "sensors, "
                "from_fn), or condition the prior on it beforehand"
            )
        total = total + step.log_evidence
        outcome = worse(outcome, step.outcome)
        prior = step.posterior
    return Evidence(total, prior, outcome)
