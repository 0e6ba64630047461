"""The most probable parameters, and a Gaussian around them.

Both estimators minimise over white latent variables z with θ = μ + R z. The prior N(μ,
R Rᵀ) then contributes ½|z|², so parameters of any units and any correlation have one
scale. θ is one array; the user's function gives its entries their meaning (a logarithm,
a knot, a Fourier coefficient).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import require, require_shape
from physcon._status import Outcome, choose, code, settle
from physcon._typing import Array, Float, Int, Scalar
from physcon.conditioning import Gaussian
from physcon.inverse.laplace import Product, gauss_newton, hessian, spread_at
from physcon.linear_map import Compose


class Estimate(NamedTuple):
    """Result of `least_squares` and `maximum_a_posteriori`.

    Attributes:
        parameters: the most probable θ, ``(*p)``, at the minimum reached from the
            start.
        posterior: Laplace's approximation, a Gaussian over the parameters; None if not
            requested.
        latent: z of the parameters, ``prior.root.in_shape``; a start for the next
            estimate.
        objective: negative log posterior at θ up to a constant, ½|z|² + negative log
            likelihood.
        decrement: distance from the minimum in standard deviations of the posterior,
            √(gᵀ P g), with the gradient g in z and the covariance P of z (the prior
            covariance if no covariance is requested).
        steps: number of steps of the minimiser.
        outcome: `good`; `not_finite` if the model or its derivatives have a NaN or an
            infinity; `not_solved` if the solver did not converge and the decrement is
            above 0.1; or `not_convex` if the curvature is not positive, so that the
            point is not a minimum or the minimum is too flat for the dtype.
    """

    parameters: Float[Array, "*p"]
    posterior: Gaussian | None
    latent: Float[Array, "*z"]
    objective: Scalar
    decrement: Scalar
    steps: Int[Array, ""] | int
    outcome: Outcome

    @property
    def status(self) -> Int[Array, "*batch"]:
        """The integer status of version 0.1.

        It is 0 good, 1 not finite, 2 not converged, or 3 not convex.
        """
        codes = {"good": 0, "not_finite": 1, "not_solved": 2, "not_convex": 3}
        return code(self.outcome, codes)


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
        θ has the shape of ``prior.mean``; the residuals may have any shape. There is
        one data set; batch with `jax.vmap`.

    Args:
        misfit: a function from θ to residuals in units of their standard deviation,
            (data - model(θ)) / noise_std. It may be any JAX function with derivatives
            in both modes (use `physcon.fv.solve` with ``loop="checkpointed"``).
        prior: the distribution of the parameters; use a wide one if little is known.
        start: white latent variables, zeros (the prior mean) by default. For several
            starts draw them from a normal distribution and use `jax.vmap`.
        solver: any optimistix least-squares solver; by default Levenberg-Marquardt. To
            avoid forming a matrix pass ``optimistix.LevenbergMarquardt(rtol, atol,
            linear_solver=lineax.Normal(lineax.CG(rtol, atol)))`` with
            ``covariance=False``, and use `laplace_sample`.
        covariance: whether to form the Gauss-Newton covariance, O(q³) for q latent
            variables.

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
    import lineax as lx
    import optimistix as optx

    def of_latent(z: Array) -> Any:
        return misfit(prior.mean + prior.root.mv(z))

    z = _start(prior, start)
    got = jax.eval_shape(of_latent, z)
    require(
        hasattr(got, "shape"),
        "a misfit that is one array",
        type(got).__name__,
        "concatenate",
    )
    rtol = _tolerance(z)
    if solver is None:
        # The prior keeps the normal equations definite, and unlike QR they can be
        # exported.
        linear = lx.Normal(lx.Cholesky())
        solver = optx.LevenbergMarquardt(rtol=rtol, atol=rtol, linear_solver=linear)
    solution = optx.least_squares(
        lambda z, _: (z, of_latent(z)), solver, z, max_steps=max_steps, throw=False
    )

    def objective(z: Array) -> Scalar:
        return 0.5 * (jnp.sum(z**2) + jnp.sum(of_latent(z) ** 2))

    curvature = gauss_newton if covariance else None
    return _finish(solution, objective, of_latent, curvature, prior, throw)


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

    def of_latent(z: Array) -> Any:
        return negative_log_likelihood(prior.mean + prior.root.mv(z))

    z = _start(prior, start)
    got = jax.eval_shape(of_latent, z)
    require(
        getattr(got, "shape", None) == (),
        "a scalar likelihood",
        got,
        "batch with jax.vmap",
    )
    rtol = _tolerance(z)
    solver = optx.BFGS(rtol=rtol, atol=rtol) if solver is None else solver

    def objective(z: Array) -> Scalar:
        return 0.5 * jnp.sum(z**2) + of_latent(z)

    solution = optx.minimise(
        lambda z, _: objective(z), solver, z, max_steps=max_steps, throw=False
    )
    curvature = hessian if covariance else None
    return _finish(solution, objective, of_latent, curvature, prior, throw)


def _start(prior: Gaussian, start: Array | None) -> Array:
    shape = tuple(prior.root.in_shape)
    if start is None:
        return jnp.zeros(shape, prior.mean.dtype)
    require_shape(start, shape, "start (white latent variables)")
    return start


def _tolerance(z: Array) -> float:
    return 3 * float(jnp.finfo(z.dtype).eps) ** 0.5


def _finish(
    solution: Any,
    objective: Callable[[Array], Scalar],
    of_latent: Callable[[Array], Array],
    curvature: Callable[[Callable, Array], Product] | None,
    prior: Gaussian,
    throw: bool,
) -> Estimate:
    import optimistix as optx

    z = solution.value
    value, gradient = jax.value_and_grad(objective)(z)
    theta = prior.mean + prior.root.mv(z)
    posterior = None
    convex = jnp.array(True)
    white = gradient
    if curvature is not None:
        spread = spread_at(curvature(of_latent, z), z)
        posterior = Gaussian(theta, Compose(prior.root, spread))
        white = spread.rmv(gradient)
        convex = jnp.all(jnp.isfinite(spread.matrix))
    decrement = jnp.sqrt(jnp.sum(white**2))
    # At the noise floor of its arithmetic a solver can halve its steps without end.
    # This counts as a minimum too.
    converged = (solution.result == optx.RESULTS.successful) | (decrement < 0.1)
    finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
    outcome = choose(
        (~finite, Outcome.not_finite),
        (~convex, Outcome.not_convex),
        (~converged, Outcome.not_solved),
    )
    steps = solution.stats["num_steps"]
    found = Estimate(theta, posterior, z, value, decrement, steps, outcome)
    return settle(found, outcome, throw, _MESSAGES)


_MESSAGES = {
    "not_finite": (
        "expected a finite model with finite derivatives, got NaN or infinity; bound "
        "the parameters by a transform (a logarithm, a logit), narrow the prior, or "
        "start elsewhere"
    ),
    "not_solved": (
        "expected a minimum within max_steps, got none; raise max_steps, start "
        "elsewhere, or pass a solver with a larger tolerance"
    ),
    "not_convex": (
        "expected a positive curvature at the minimum, got none; start elsewhere, or "
        "compute in float64: in float32 a posterior may not be 1e-3 times as wide as "
        "its prior"
    ),
}
