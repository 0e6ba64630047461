"""The evidence of laws and data for a prediction: what a model's parameters are judged
by.
"""

from typing import NamedTuple

import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Int, Scalar
from physcon.conditioning import Gaussian, LinearConstraint, condition


class Evidence(NamedTuple):
    """Result of `evidence`.

    Attributes:
        log_evidence: log density of all values under the prior, scalar.
        posterior: the field given all of them.
        status: the worst of `physcon.Conditioned.status`.
    """

    log_evidence: Scalar
    posterior: Gaussian
    status: Int[Array, ""]


def evidence(
    prior: Gaussian, *constraints: LinearConstraint, throw: bool = True
) -> Evidence:
    """How well a prediction foretold sensors, laws and boundary values together.

        log p(b_1, b_2, ...) = log p(b_1) + log p(b_2 | b_1) + ...

    As a function of whatever the prior depends on (parameters of the model behind the
    mean, hyperparameters of the root), this is the log likelihood with the field
    integrated out. Exact laws and noisy data mix; the order does not matter.
    Differentiable.

    Source: Rasmussen and Williams (2006), eq. 2.30 and sec. 5.4.1.

    >>> from physcon.conditioning import integral
    >>> prior = Gaussian.diagonal(jnp.zeros(2), jnp.ones(2))
    >>> law, data = integral(jnp.ones(2), 0.0), integral(jnp.array([1.0, 0.0]), 0.0, 1.0)
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
    total, status = jnp.zeros((), prior.mean.dtype), jnp.zeros((), jnp.int32)
    for constraint in constraints:
        step = condition(prior, constraint, throw=throw)
        if step.log_evidence is None:
            raise ValueError(
                "expected constraints with an evidence, got one solved by conjugate gradients, "
                "whose det S is not known; use few rows (integral, sensors, from_fn), or condition "
                "the prior on it beforehand"
            )
        total = total + step.log_evidence
        status = jnp.maximum(status, step.status)
        prior = step.posterior
    return Evidence(total, prior, status)
