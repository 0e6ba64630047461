"""Exact Gaussian process regression; its posterior is the prior of a constraint.

With kernel k, noise σ, contexts (X, y) and A = k(X, X) + σ² = L Lᵀ:

    mean(x) = m + k(x, X) A⁻¹ (y - m)      cov(x, x') = k(x, x') - k(x, X) A⁻¹ k(X, x')

Channels are independent and share the kernel. The cost is O(n³) in the contexts.
Everything is computed in float64 locally, since kernel matrices of smooth functions are
close to singular.

Source: Rasmussen and Williams (2006), eqs. 2.23 to 2.24, algorithm 2.1.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics.closure import pointwise
from physcon._numerics.float64 import float64_primal, in_float64
from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.conditioning import Gaussian
from physcon.kernels import Kernel, covariance, matern32
from physcon.models.gp_parameters import (
    LEAST_NOISE,
    Hyperparameters,
    gp_start,
    in_units,
    unit_of,
)
from physcon.models.predictor import Observations, Prediction

#: How far the logarithms of hyper-parameters may move from the start of a fit.
REACH = 6.0


def _factor(params: Hyperparameters, points: Array, kernel: Kernel) -> Array:
    k = covariance(kernel, points, points, params.std, params.length)
    eye = jnp.eye(points.shape[0], dtype=k.dtype)
    return jnp.linalg.cholesky(k + params.noise_variance * eye)


def _whiten(factor: Array, x: Array) -> Array:
    return jax.lax.linalg.triangular_solve(factor, x, left_side=True, lower=True)


def _evidence(
    params: Hyperparameters, contexts: Observations, kernel: Kernel
) -> Scalar:
    points, values = contexts
    factor = _factor(params, points, kernel)
    white = _whiten(factor, values - jnp.broadcast_to(params.mean, values.shape))
    log_det = 2 * values.shape[1] * jnp.sum(jnp.log(jnp.diag(factor)))
    return -0.5 * (jnp.sum(white**2) + log_det + values.size * jnp.log(2 * jnp.pi))


_wide_evidence = jax.jit(float64_primal(_evidence))


def gp_log_evidence(
    params: Hyperparameters, contexts: Observations, kernel: Kernel = matern32
) -> Scalar:
    """log N(y; m, k(X, X) + σ²), summed over channels.

    Source: Rasmussen and Williams (2006), eq. 2.30.
    """
    return _wide_evidence(params, contexts, pointwise(kernel))


def gp_fit(
    contexts: Observations,
    kernel: Kernel = matern32,
    start: Hyperparameters | None = None,
    max_steps: int = 100,
) -> Hyperparameters:
    """Hyper-parameters at a local maximum of the evidence, by BFGS.

    The search stays within a factor of exp(`REACH`) of the start, on a tanh scale:
    equal values would otherwise send the std to zero and the lengths to infinity.

    The fit runs in float64 and is not differentiable. Batch over tasks by `jax.vmap`.

    Args:
        start: default `gp_start`.
    """
    require(
        contexts.points.shape[0] >= 2,
        "2 or more contexts",
        contexts.points.shape[0],
        "add observations to the contexts",
    )
    start = gp_start(contexts) if start is None else start
    return _fitted(contexts, pointwise(kernel), start, max_steps)


@partial(jax.jit, static_argnames="max_steps")
def _fitted(
    contexts: Observations, kernel: Kernel, start: Hyperparameters, max_steps: int
) -> Hyperparameters:
    import optimistix

    unit = unit_of(contexts.values)
    contexts = Observations(contexts.points, contexts.values / unit)

    def run(
        start: Hyperparameters, contexts: Observations, kernel: Kernel
    ) -> Hyperparameters:
        def within(shift: Hyperparameters) -> Hyperparameters:
            return jax.tree.map(
                lambda s, d: s + REACH * jnp.tanh(d / REACH), start, shift
            )

        def loss(shift: Hyperparameters, contexts: Observations) -> Scalar:
            params = within(shift)
            value = -_evidence(params, contexts, kernel) / contexts.values.size
            # The line search refuses a step to where the matrix is not definite.
            return jnp.where(jnp.isfinite(value), value, jnp.inf)

        solver = optimistix.BFGS(rtol=1e-6, atol=1e-6)
        none = jax.tree.map(jnp.zeros_like, start)
        found = optimistix.minimise(
            loss, solver, none, contexts, max_steps=max_steps, throw=False
        )
        return within(found.value)

    found = in_float64(run)(in_units(start, unit), contexts, kernel)
    return in_units(found, 1 / unit)


def _moments(
    params: Hyperparameters, contexts: Observations, points: Array, kernel: Kernel
) -> tuple[Array, Array]:
    """Mean ``(m, c)`` and V = L⁻¹ k(X, x), ``(n, m)``.

    The covariance is k(x, x') - VᵀV.
    """
    factor = _factor(params, contexts.points, kernel)
    cross = covariance(kernel, contexts.points, points, params.std, params.length)
    v = _whiten(factor, cross)
    offset = jnp.broadcast_to(params.mean, contexts.values.shape)
    white = _whiten(factor, contexts.values - offset)
    mean = params.mean[None] + jnp.matmul(v.T, white, precision="highest")
    return mean, v


@jax.jit
@float64_primal
def _prediction(
    params: Hyperparameters, contexts: Observations, points: Array, kernel: Kernel
) -> Prediction:
    mean, v = _moments(params, contexts, points, kernel)
    variance = params.std**2 - jnp.sum(v**2, axis=0)
    least = (LEAST_NOISE * params.std) ** 2  # above the rounding of the difference
    std = jnp.sqrt(jnp.maximum(variance, least))
    return Prediction(mean, jnp.broadcast_to(std[:, None], mean.shape))


def gp_predictor(kernel: Kernel = matern32) -> Callable[..., Prediction]:
    """The function ``(hyperparameters, contexts, points, key) -> Prediction``.

    `std` is the standard deviation of the noise-free function. The key is not used.
    """

    def predict(
        params: Hyperparameters,
        contexts: Observations,
        points: Float[Array, "m dim"],
        key: PRNGKeyArray,
        /,
    ) -> Prediction:
        del key
        return _prediction(params, contexts, points, pointwise(kernel))

    return predict


def gp_posterior(
    params: Hyperparameters,
    contexts: Observations,
    points: Float[Array, "m dim"],
    shape: tuple[int, ...] | None = None,
    kernel: Kernel = matern32,
) -> Gaussian:
    """The full posterior at m target points as a `Gaussian`: the prior of a constraint.

    Shapes: one channel; the field has `shape`, whose size is m; ``(m,)`` by default.
    Dense: O(m³) time, O(m²) memory; for a space-time grid, `jax.vmap` over time slices.

    An independent error of LEAST_NOISE² of the kernel's variance is added to every
    target, so that close targets have a Cholesky factor. Take derivatives with
    ``jax_enable_x64``: the derivative of this factor is not accurate in float32.
    """
    channels = contexts.values.shape[1]
    require(channels == 1, "one channel", channels, "batch over channels by jax.vmap")

    mean, factor = _factored(params, contexts, points, pointwise(kernel))
    return Gaussian.from_cholesky(
        mean.reshape(points.shape[:1] if shape is None else shape), factor
    )


@jax.jit
@float64_primal
def _factored(
    params: Hyperparameters, contexts: Observations, points: Array, kernel: Kernel
) -> tuple[Array, Array]:
    """Mean ``(m)`` and Cholesky factor of the covariance ``(m, m)``."""
    mean, v = _moments(params, contexts, points, kernel)
    k = covariance(kernel, points, points, params.std, params.length)
    eye = jnp.eye(points.shape[0], dtype=k.dtype)
    nugget = (LEAST_NOISE * params.std) ** 2 * eye
    cov = k - jnp.matmul(v.T, v, precision="highest") + nugget
    return mean[:, 0], jnp.linalg.cholesky(cov)
