"""Nonlinear laws h(u) = b: energy, entropy, a product of fields.

The most probable field that obeys the law is found by sequential quadratic programming:
conditioning on the linearised law again and again, corrected for curvature. Around it
the posterior is the one of the last linearisation (delta method), with a measure of the
error that the curvature adds.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import require, require_given
from physcon._numerics.closure import opened_in_two_dtypes
from physcon._numerics.float64 import entirely_in_float64, in_float64, in_one_dtype
from physcon._numerics.products import gram, inner
from physcon._numerics.small import cholesky
from physcon._show import shown
from physcon._status import (
    Outcome,
    choose,
    code,
    failed,
    settle,
)
from physcon._typing import Array, Float, Int, Scalar
from physcon.conditioning._condition import condition
from physcon.conditioning._nonlinear_law import (
    NonlinearConstraint,
    Static,
    joined,
    latent,
    parted,
)
from physcon.conditioning._sqp import solve
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.tangent import frame_at, irregular, rounding_of
from physcon.linear_map import Rows

__all__ = ["Nonlinear", "NonlinearConstraint", "condition_nonlinear", "log_density"]


class Nonlinear(NamedTuple):
    """Result of `condition_nonlinear`.

    Attributes:
        mean: most probable field on the surface h(u) = b (the stationary point to which
            the iteration leads), ``(*x)``.
        posterior: Gaussian on the tangent plane at the mean: the delta method.
        curvature: spectral norm of the curvature's share of the posterior precision,
            scalar. To first order it bounds the relative error of the delta method's
            variances; above 1/2 don't trust them.
        residual: b - h(mean), ``(m)``, in float64.
        outcome: `good`, `not_finite` (a NaN or an infinity came in or out) or
            `not_solved` (the returned field misses the law by more than rounding, is
            not stationary, or is a saddle and not a minimum; or its linearised law
            has no posterior).
    """

    mean: Float[Array, "*x"]
    posterior: Gaussian
    curvature: Scalar
    residual: Float[Array, " m"]
    outcome: Outcome

    __repr__ = shown

    @property
    def status(self) -> Int[Array, "*batch"]:
        """The outcome as in version 0.1: 0 good; 1 not finite; 2 not converged."""
        return code(self.outcome, {"good": 0, "not_finite": 1, "not_solved": 2})


def condition_nonlinear(
    prior: Gaussian,
    constraint: NonlinearConstraint,
    *,
    max_steps: int = 100,
    throw: bool = True,
) -> Nonlinear:
    """The most probable field under `prior` on the surface h(u) = b, and its spread.

        minimise ½ (u - μ)ᵀ Σ⁻¹ (u - μ)   subject to   h(u) = b

    Shapes: fields ``(*x)``, m equations, few; each step costs m + 10 to 100
    products with the root and with derivatives of h. Acts on one sample; batch with
    `jax.vmap`.

    For linear h this is `condition`. The law is solved in float64, to |h(u) - b| <= 4
    eps (|J| |u| + |b|) in float32 and 64 eps in float64, with J = dh/du, which the
    outcome tests. The result is a local minimum, the one to which the iteration from
    the prior mean leads. Derivatives, in both modes, follow from the
    stationarity conditions (implicit function theorem), and are computed in float64.

    Equations that others imply, to the rounding of the caller's dtype, are allowed:
    they are met too, or the outcome is `not_solved`.

    Raises:
        ValueError: shapes.
        RuntimeError: at run time under ``throw=True``, see `Nonlinear.outcome`.

    Source: Nocedal and Wright (2006), alg. 18.4 (a trust region), alg. 7.2 (conjugate
    gradients with a stop at negative curvature); Tarantola (2005), sec. 3.2, for the
    delta method.

    >>> prior = Gaussian.diagonal(jnp.array([3.0, 4.0]), jnp.ones(2))
    >>> circle = NonlinearConstraint(lambda u: jnp.sum(u**2)[None], jnp.ones(1))
    >>> [round(float(x), 6) for x in condition_nonlinear(prior, circle).mean]
    [0.6, 0.8]
    """
    require_given(prior, Gaussian, "prior")
    require_given(constraint, NonlinearConstraint, "constraint")
    out = jax.eval_shape(constraint.fn, prior.mean)
    prior, constraint, _ = in_one_dtype(prior, constraint, jnp.zeros((), out.dtype))
    got = out.shape
    remedy = "return one number per equation: an array of shape (m,)"
    require(
        got == constraint.value.shape,
        f"h(u) of shape {constraint.value.shape}",
        got,
        remedy,
    )
    require(len(got) == 1, "h(u) of shape (m,)", got, remedy)
    fn = opened_in_two_dtypes(constraint.fn, prior.mean)
    law = NonlinearConstraint(fn, constraint.value)
    found = _conditioned(prior, *parted(law), max_steps)
    return settle(found, found.outcome, throw, _MESSAGES, (prior, law))


@partial(jax.jit, static_argnums=(2, 3))  # compiled once where called without jit
def _conditioned(
    prior: Gaussian, arrays: NonlinearConstraint, static: Static, max_steps: int
) -> Nonlinear:
    mean, z, converged = solve(static, max_steps, prior, arrays)

    def tangent_plane(u: Array, arrays: NonlinearConstraint) -> tuple[Array, Array]:
        rows = jax.jacrev(joined(arrays, static).fn)(u)
        return rows, inner(rows, u)

    rows, value = entirely_in_float64(tangent_plane)(mean, arrays)
    plane = LinearConstraint(Rows(rows), value)
    around = condition(Gaussian(mean, prior.root), plane, throw=False)
    curvature = _curvature(static, prior, arrays, z)

    def judged(u: Array, arrays: NonlinearConstraint) -> tuple[Array, Array]:
        law = joined(arrays, static)
        missing = law.value - law.fn(u)
        slopes = jnp.abs(jax.jacrev(law.fn)(u))
        return missing, inner(slopes, jnp.abs(u)) + jnp.abs(law.value)

    residual, terms = in_float64(judged)(*jax.lax.stop_gradient((mean, arrays)))
    eps = float(jnp.finfo(mean.dtype).eps)
    rounding = (4 if eps > 1e-10 else 64) * eps
    met = jnp.all(jnp.abs(residual) <= rounding * terms)
    outcome = choose(
        (~jnp.all(jnp.isfinite(mean)), Outcome.not_finite),
        (~(converged & met) | failed(around.outcome), Outcome.not_solved),
    )
    return Nonlinear(
        mean=mean,
        posterior=Gaussian(mean, around.posterior.root),
        curvature=curvature,
        residual=residual,
        outcome=outcome,
    )


def log_density(
    prior: Gaussian, constraint: NonlinearConstraint, u: Float[Array, "*x"]
) -> Scalar:
    """log of N(u; μ, Σ) / sqrt(det J Jᵀ) at a point of the surface h(u) = b, J = dh/du.

    With respect to the surface measure this is the joint density of the field and of h
    = b. Its integral over the surface is the density of h(u) at b (the evidence);
    divided by the evidence it is the law of u given h(u) = b. Without the co-area
    factor 1 / sqrt(det J Jᵀ) the law is wrong wherever |J| varies along the surface,
    and depends on how h is written.

    Source: Federer (1969), 3.2.12 (co-area formula); Diaconis, Holmes and Shahshahani
    (2013), eq. 2.3.
    """
    jacobian = jax.jacrev(constraint.fn)(u)
    return prior.log_prob(u) - entirely_in_float64(_log_area)(jacobian)


def _log_area(jacobian: Array) -> Scalar:
    """½ log det J Jᵀ; squares of float32 numbers are in the range of float64."""
    return jnp.sum(jnp.log(jnp.diag(cholesky(gram(jacobian)))))


def _curvature(
    static: Static, prior: Gaussian, arrays: NonlinearConstraint, z: Array
) -> Scalar:
    """Spectral norm of P Σ λ_r ∇²g_r P by thirty power iterations."""
    least = rounding_of(z.dtype)

    def norm(prior: Gaussian, arrays: NonlinearConstraint, z: Array) -> Scalar:
        frame = frame_at(latent(prior, joined(arrays, static)), z, z, least)
        x = frame.tangential(irregular(z))

        def iterate(x: Array, _: None) -> tuple[Array, Array]:
            size = jnp.sqrt(jnp.sum(x**2))
            y = frame.tangential(frame.hessian(x / jnp.where(size > 0, size, 1)))
            return y, jnp.sqrt(jnp.sum(y**2))

        return jax.lax.scan(iterate, x, None, length=30)[1][-1]

    return in_float64(norm)(*jax.lax.stop_gradient((prior, arrays, z)))


_MESSAGES = {
    "not_finite": (
        "condition_nonlinear: expected finite numbers, and h(u) with independent "
        "gradients along the way, got NaN or infinity; start from another prior mean, "
        "or drop redundant equations"
    ),
    "not_solved": (
        "condition_nonlinear: expected h(u) = b to have a solution near the prior "
        "mean, got no convergence to a minimum; raise max_steps, or start from "
        "another prior mean"
    ),
}
