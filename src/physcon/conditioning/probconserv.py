"""The methods compared by the ProbConserv article, as functions of a prediction and a
law.

Each takes the model's prediction (a diagonal `Gaussian` over one profile) and the
conservation law (`integral`), and gives a Gaussian. One profile; batch with `jax.vmap`.

Source: Hansen et al., ICML 2023, sec. 4 and 5.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp

from physcon.conditioning._condition import condition
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.smoothing import diffuse

Method = Callable[[Gaussian, LinearConstraint], Gaussian]


def unconstrained(prior: Gaussian, law: LinearConstraint) -> Gaussian:
    """The model as it is."""
    return prior


def hard_c(prior: Gaussian, law: LinearConstraint, *, throw: bool = True) -> Gaussian:
    """The nearest mean that obeys the law, every point alike; the covariance is left as
    it was.

    That is `condition` for a prior of constant variance, whatever the model believed,
    and its covariance doesn't know the law: samples violate it.

    Source: Hansen et al. (2023), sec. 5, HardC.
    """
    alike = Gaussian.diagonal(prior.mean, jnp.ones_like(prior.mean))
    return Gaussian(condition(alike, law, throw=throw).posterior.mean, prior.root)


def prob_conserv(
    prior: Gaussian,
    law: LinearConstraint,
    *,
    alpha: float | None = None,
    throw: bool = True,
) -> Gaussian:
    """`condition`, after artificial diffusion (`diffuse`) where `alpha` is given.

    Source: Hansen et al. (2023), sec. 4.1; with alpha sec. 4.2.
    """
    if alpha is not None:
        prior = diffuse(prior, alpha, throw=throw)
    return condition(prior, law, throw=throw).posterior


#: The article's methods, with its alpha. SoftC is a way of training, then
#: `unconstrained` here.
METHODS: dict[str, Method] = {
    "unconstrained": unconstrained,
    "hard": hard_c,
    "probconserv": prob_conserv,
    "diffusion": partial(prob_conserv, alpha=0.9),
}
