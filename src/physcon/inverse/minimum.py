"""A minimum that a solver found: its curvature, its decrement and its outcome."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import require_shape
from physcon._show import shown
from physcon._status import Outcome, choose, code
from physcon._typing import Array, Float, Int, Scalar
from physcon.conditioning import Gaussian
from physcon.inverse.laplace import Product, spread_at
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

    __repr__ = shown

    @property
    def status(self) -> Int[Array, "*batch"]:
        """The integer status of version 0.1.

        It is 0 good, 1 not finite, 2 not converged, or 3 not convex.
        """
        codes = {"good": 0, "not_finite": 1, "not_solved": 2, "not_convex": 3}
        return code(self.outcome, codes)


def parameters(prior: Gaussian, z: Float[Array, "*z"]) -> Float[Array, "*p"]:
    """θ = μ + R z."""
    return prior.mean + prior.root.mv(z)


def latent_start(prior: Gaussian, start: Array | None) -> Array:
    shape = tuple(prior.root.in_shape)
    if start is None:
        return jnp.zeros(shape, prior.mean.dtype)
    require_shape(start, shape, "start (white latent variables)")
    return start


def default_tolerance(z: Array) -> float:
    return 3 * float(jnp.finfo(z.dtype).eps) ** 0.5


def estimate_at(
    solution: Any,
    objective: Callable[[Array], Scalar],
    of_latent: Callable[[Array], Array],
    curvature: Callable[[Callable, Array], Product] | None,
    prior: Gaussian,
) -> Estimate:
    """The estimate at the end of a minimisation, with its curvature and outcome."""
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
    return Estimate(theta, posterior, z, value, decrement, steps, outcome)


MESSAGES = {
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
