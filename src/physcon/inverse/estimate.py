"""The most probable parameters, and a Gaussian around them.

Both estimators minimise over white latent variables z with θ = μ + R z. The prior N(μ,
R Rᵀ) then contributes ½|z|², so parameters of any units and any correlation have one
scale. θ is one array; the user's function gives its entries their meaning (a logarithm,
a knot, a Fourier coefficient).
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics.closure import Opened, opened
from physcon._status import settle
from physcon._typing import Array, Float, Scalar
from physcon.conditioning import Gaussian
from physcon.inverse.laplace import gauss_newton, hessian
from physcon.inverse.minimum import (
    MESSAGES,
    Estimate,
    default_tolerance,
    estimate_at,
    latent_start,
    parameters,
)


def least_squares(
    misfit: Callable[[Float[Array, "*p"]], Float[Array, "*r"]],
    prior: Gaussian,
    *,
    start: Float[Array, "*z"] | None = None,
    solver: Any = None,
    max_steps: int = 100,
    covariance: bool = True,
    throw: bool = True,
) -> Estimate:
    """Estimate parameters from data with Gaussian errors.

    The objective is ½|misfit(θ)|² - log prior(θ).

    Shapes:
        θ has the shape of ``prior.mean``; residuals any shape; batch with `jax.vmap`.

    Args:
        misfit: a function from θ to residuals (data - model(θ)) / noise_std, with
            derivatives in both modes (`physcon.fv.solve` with ``loop="checkpointed"``).
        prior: the distribution of the parameters; use a wide one if little is known.
        start: white latent variables, by default zeros (the prior mean). To try
            several, draw them from a normal distribution and use `jax.vmap`.
        solver: any optimistix least-squares solver; by default Levenberg-Marquardt. To
            avoid forming a matrix pass ``optimistix.LevenbergMarquardt(rtol, atol,
            linear_solver=lineax.Normal(lineax.CG(rtol, atol)))`` with
            ``covariance=False``, and use `laplace_sample`.
        covariance: whether to form the Gauss-Newton covariance, O(q³) for q latents.

    Raises:
        ValueError: for wrong shapes, while tracing.
        RuntimeError: at run time under ``throw=True``; see `Estimate.outcome`.

    Source:
        Nocedal and Wright (2006), sec. 10.3. For a linear model the result equals
        `physcon.condition`.

    >>> prior = Gaussian.diagonal(jnp.zeros(1), jnp.ones(1))
    >>> found = least_squares(lambda theta: (3.0 - theta) / 1.0, prior)
    >>> variance = found.posterior.variance()
    >>> round(float(found.parameters[0]), 3), round(float(variance[0]), 3)
    (1.5, 0.5)
    """
    z = latent_start(prior, start)
    theta = jax.eval_shape(parameters, prior, z)
    _require_array(jax.eval_shape(misfit, theta))
    solver = _levenberg_marquardt(default_tolerance(z)) if solver is None else solver
    program = opened(misfit, theta)
    found = _least_squares(program, prior, z, solver, max_steps, covariance)
    return settle(found, found.outcome, throw, MESSAGES)


@eqx.filter_jit  # compiled once where called without jit
def _least_squares(
    misfit: Opened,
    prior: Gaussian,
    z: Array,
    solver: Any,
    max_steps: int,
    covariance: bool,
) -> Estimate:
    import optimistix as optx

    def of_latent(z: Array) -> Array:
        return misfit(parameters(prior, z))

    def objective(z: Array) -> Scalar:
        return 0.5 * (jnp.sum(z**2) + jnp.sum(of_latent(z) ** 2))

    solution = optx.least_squares(
        lambda z, _: (z, of_latent(z)), solver, z, max_steps=max_steps, throw=False
    )
    curvature = gauss_newton if covariance else None
    return estimate_at(solution, objective, of_latent, curvature, prior)


def _levenberg_marquardt(rtol: float) -> Any:
    import lineax as lx
    import optimistix as optx

    # The prior keeps the normal equations definite, and unlike QR they can be exported.
    linear = lx.Normal(lx.Cholesky())
    return optx.LevenbergMarquardt(rtol=rtol, atol=rtol, linear_solver=linear)


def _require_array(got: Any) -> None:
    require(
        hasattr(got, "shape"),
        "a misfit that is one array",
        type(got).__name__,
        "concatenate the residuals",
    )


def maximum_a_posteriori(
    negative_log_likelihood: Callable[[Float[Array, "*p"]], Scalar],
    prior: Gaussian,
    *,
    start: Float[Array, "*z"] | None = None,
    solver: Any = None,
    max_steps: int = 500,
    covariance: bool = True,
    throw: bool = True,
) -> Estimate:
    """Estimate parameters from any likelihood, for example an `evidence`.

    If the likelihood is a sum of squares, `least_squares` needs fewer steps. The other
    arguments are the same as in `least_squares`.

    Args:
        negative_log_likelihood: a function from θ to a scalar, twice differentiable if
            a covariance is requested.
        solver: any optimistix minimiser; by default BFGS. To use an optax optimiser
            pass ``optimistix.OptaxMinimiser(optax.adam(1e-2), rtol, atol)``.
        covariance: whether to form the inverse Hessian, O(q³) for q latent variables.

    >>> prior = Gaussian.diagonal(jnp.zeros(1), jnp.ones(1))
    >>> misfit = lambda theta: 0.5 * jnp.sum((3.0 - theta) ** 2)
    >>> found = maximum_a_posteriori(misfit, prior)
    >>> variance = found.posterior.variance()
    >>> round(float(found.parameters[0]), 3), round(float(variance[0]), 3)
    (1.5, 0.5)
    """
    import optimistix as optx

    z = latent_start(prior, start)
    theta = jax.eval_shape(parameters, prior, z)
    got = jax.eval_shape(negative_log_likelihood, theta)
    require(
        getattr(got, "shape", None) == (),
        "a scalar likelihood",
        got,
        "batch with jax.vmap",
    )
    rtol = default_tolerance(z)
    solver = optx.BFGS(rtol=rtol, atol=rtol) if solver is None else solver
    program = opened(negative_log_likelihood, theta)
    found = _minimised(program, prior, z, solver, max_steps, covariance)
    return settle(found, found.outcome, throw, MESSAGES)


@eqx.filter_jit
def _minimised(
    likelihood: Opened,
    prior: Gaussian,
    z: Array,
    solver: Any,
    max_steps: int,
    covariance: bool,
) -> Estimate:
    import optimistix as optx

    def of_latent(z: Array) -> Array:
        return likelihood(parameters(prior, z))

    def objective(z: Array) -> Scalar:
        return 0.5 * jnp.sum(z**2) + of_latent(z)

    solution = optx.minimise(
        lambda z, _: objective(z), solver, z, max_steps=max_steps, throw=False
    )
    curvature = hessian if covariance else None
    return estimate_at(solution, objective, of_latent, curvature, prior)
