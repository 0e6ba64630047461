"""The methods compared in the ProbConserv article.

Each is a function that takes the prediction of a model (a diagonal `Gaussian` over one
profile) and the conservation law (`integral`), and returns a Gaussian. Batch over
profiles with `jax.vmap`.

Source:
    Hansen et al., ICML 2023, sec. 4 and 5.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp

from physcon._checks import require_given
from physcon.conditioning._condition import condition
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.smoothing import diffuse

Method = Callable[[Gaussian, LinearConstraint], Gaussian]


def unconstrained(prior: Gaussian, law: LinearConstraint) -> Gaussian:
    """Return the prediction of the model unchanged."""
    return prior


def hard_c(prior: Gaussian, law: LinearConstraint, *, throw: bool = True) -> Gaussian:
    """Replace the mean by the nearest mean that obeys the law; keep the covariance.

    Every point has the same weight. The result is the posterior mean of `condition` for
    a prior of constant variance, independent of the variance predicted by the model.
    The covariance ignores the law, so samples violate it.

    Source:
        Hansen et al. (2023), sec. 5, HardC.
    """
    require_given(prior, Gaussian, "prior")
    alike = Gaussian.diagonal(prior.mean, jnp.ones_like(prior.mean))
    return Gaussian(condition(alike, law, throw=throw).posterior.mean, prior.root)


def prob_conserv(
    prior: Gaussian,
    law: LinearConstraint,
    *,
    alpha: float | None = None,
    throw: bool = True,
) -> Gaussian:
    """Apply artificial diffusion (`diffuse`) if `alpha` is given, then `condition`.

    Source:
        Hansen et al. (2023), sec. 4.1; with `alpha`, sec. 4.2.
    """
    if alpha is not None:
        prior = diffuse(prior, alpha, throw=throw)
    return condition(prior, law, throw=throw).posterior


#: The methods of the article, with its value of alpha. SoftC differs only in training,
#: so its entry is `unconstrained`.
METHODS: dict[str, Method] = {
    "unconstrained": unconstrained,
    "hard": hard_c,
    "probconserv": prob_conserv,
    "diffusion": partial(prob_conserv, alpha=0.9),
}
