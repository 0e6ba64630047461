"""Nonlinear laws h(u) = b: energy, entropy, a product of fields.

The most probable field that obeys the law is found by sequential quadratic programming:
conditioning on the linearised law again and again, corrected for curvature. Around it
the posterior is that of the last linearisation (delta method), with a measure of the
error that the curvature adds.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require, require_given
from physcon._numerics.float64 import in_float64, in_one_dtype
from physcon._numerics.products import gram, inner
from physcon._numerics.small import cholesky
from physcon._status import Outcome, choose, code, settle
from physcon._typing import Array, Float, Int, Scalar
from physcon.conditioning._closure import opened
from physcon.conditioning._condition import condition
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.tangent import conjugate_gradients, frame_at
from physcon.linear_map import Rows


class NonlinearConstraint(eqx.Module):
    """``fn(u) = value``, exactly, m equations.

    Attributes:
        fn: from a field ``(*x)`` to ``(m)``, twice differentiable in JAX. Parameters
            that should have gradients can be closed over, or be leaves of a callable
            pytree (`equinox.Module`, `jax.tree_util.Partial`).
        value: right-hand side, ``(m)``.
    """

    fn: Callable[[Array], Array]
    value: Float[Array, " m"]


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
            `not_solved` (the returned field misses the law by more than rounding, or is
            not stationary).
    """

    mean: Float[Array, "*x"]
    posterior: Gaussian
    curvature: Scalar
    residual: Float[Array, " m"]
    outcome: Outcome

    @property
    def status(self) -> Int[Array, "*batch"]:
        """The outcome as in version 0.1: 0 good; 1 not finite; 2 not converged."""
        return code(self.outcome, {"good": 0, "not_finite": 1, "not_solved": 2})


def condition_nonlinear(
    prior: Gaussian,
    constraint: NonlinearConstraint,
    *,
    max_steps: int = 50,
    throw: bool = True,
) -> Nonlinear:
    """The most probable field under `prior` on the surface h(u) = b, and its spread.

        minimise ½ (u - μ)ᵀ Σ⁻¹ (u - μ)   subject to   h(u) = b

    Shapes: fields ``(*x)``, m equations, few; each step costs m + some ten to hundred
    products with the root and with derivatives of h. Acts on one sample; batch with
    `jax.vmap`.

    For linear h this is `condition`. The law is solved in float64, to |h(u) - b| <= 4
    eps (|J| |u| + |b|) in float32 and 64 eps in float64, with J = dh/du, which the
    outcome tests. The result is a local minimum, the one to which the iteration from
    the prior mean leads. Derivatives, in both modes, are those of the stationarity
    conditions (implicit function theorem).

    Raises:
        ValueError: shapes.
        RuntimeError: at run time under ``throw=True``, see `Nonlinear.outcome`.

    Source: Nocedal and Wright (2006), ch. 18 (steps), alg. 7.2 (conjugate gradients
    with a stop at negative curvature); Tarantola (2005), sec. 3.2, for the delta
    method.

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
    fn = opened(constraint.fn, prior.mean)
    law = NonlinearConstraint(fn, constraint.value)
    arrays, static = eqx.partition(law, _is_array)
    leaves, tree = jax.tree.flatten(static)
    found = _conditioned(prior, arrays, (tuple(leaves), tree), max_steps)
    return settle(found, found.outcome, throw, _MESSAGES)


#: What remains of a constraint without its arrays, as a hashable key.
_Static = tuple[tuple[Any, ...], Any]


def _is_array(x: Any) -> bool:
    return eqx.is_array(x) or isinstance(x, np.ndarray)


def _law(arrays: NonlinearConstraint, static: _Static) -> NonlinearConstraint:
    leaves, tree = static
    return eqx.combine(arrays, jax.tree.unflatten(tree, leaves))


@partial(jax.jit, static_argnums=(2, 3))  # compiled once where called without jit
def _conditioned(
    prior: Gaussian, arrays: NonlinearConstraint, static: _Static, max_steps: int
) -> Nonlinear:
    mean, z, converged = _solve(static, max_steps, prior, arrays)
    constraint = _law(arrays, static)
    rows = jax.jacrev(constraint.fn)(mean)
    plane = LinearConstraint(Rows(rows), inner(rows, mean))
    posterior = condition(Gaussian(mean, prior.root), plane, throw=False).posterior
    curvature = _curvature(prior, constraint, jax.lax.stop_gradient(z))

    def judged(u: Array, arrays: NonlinearConstraint) -> tuple[Array, Array]:
        law = _law(arrays, static)
        missing = law.value - law.fn(u)
        slopes = jnp.abs(jax.jacrev(law.fn)(u))
        return missing, inner(slopes, jnp.abs(u)) + jnp.abs(law.value)

    residual, terms = in_float64(judged)(*jax.lax.stop_gradient((mean, arrays)))
    eps = float(jnp.finfo(mean.dtype).eps)
    rounding = (4 if eps > 1e-10 else 64) * eps
    met = jnp.all(jnp.abs(residual) <= rounding * terms)
    outcome = choose(
        (~jnp.all(jnp.isfinite(mean)), Outcome.not_finite),
        (~(converged & met), Outcome.not_solved),
    )
    return Nonlinear(
        mean=mean,
        posterior=Gaussian(mean, posterior.root),
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
    area = jnp.sum(jnp.log(jnp.diag(cholesky(gram(jacobian)))))
    return prior.log_prob(u) - area


# In white latent variables z, u = μ + R z: minimise ½ |z|² subject to g(z) = h(μ + R z)
# - b = 0. Stationary: z = Wᵀ λ with W = dg/dz. Hessian of the Lagrangian: K = I - Σ λ_r
# ∇²g_r.


def _latent(
    prior: Gaussian, constraint: NonlinearConstraint
) -> Callable[[Array], Array]:
    return lambda z: constraint.fn(prior.mean + prior.root.mv(z)) - constraint.value


def _sqp(
    prior: Gaussian, constraint: NonlinearConstraint, max_steps: int
) -> tuple[Array, Array, Array]:
    """Minimiser, its z, and whether it is one.

    Each step is Newton's in the tangent plane, with a step back to the surface.
    """
    g = _latent(prior, constraint)
    size = 1e-13 * jnp.abs(constraint.value)

    def body(s: tuple) -> tuple:
        z, count, _, _ = s
        f = g(z)
        frame = frame_at(g, z, z)
        normal = -frame.normal(f)
        plane = frame.tangential
        force = plane(frame.hessian(normal) - z)
        along = conjugate_gradients(lambda x: plane(x - frame.hessian(x)), force, 100)
        step = normal + along
        norms = jnp.sqrt(jnp.diag(gram(frame.rows)))
        penalty = 2 * jnp.abs(frame.multiplier) + 1 / norms
        scale = 1 + jnp.sqrt(jnp.sum(z**2))

        def merit(z: Array) -> Array:
            return 0.5 * jnp.sum(z**2) + jnp.sum(penalty * jnp.abs(g(z)))

        def refused(t: Array) -> Array:
            new = g(z + t * step)
            nearer = jnp.max(jnp.abs(new) / norms) < 0.5 * jnp.max(jnp.abs(f) / norms)
            small = ~(
                t * jnp.sqrt(jnp.sum(step**2)) >= 1e-3 * scale
            )  # NaN ends the search too
            return ~((merit(z + t * step) < merit(z)) | nearer | small)

        t = jax.lax.while_loop(refused, lambda t: 0.5 * t, jnp.ones((), z.dtype))
        met = jnp.all(jnp.abs(f) <= size + 1e-12 * norms * scale)
        stationary = jnp.sqrt(jnp.sum(plane(z) ** 2)) <= 1e-9 * scale
        done = met & stationary
        broken = ~jnp.all(jnp.isfinite(step))
        return jnp.where(done | broken, z, z + t * step), count + 1, done, broken

    zero = jnp.zeros(prior.root.in_shape, prior.mean.dtype)
    no = jnp.array(False)
    running = lambda s: ~(s[2] | s[3]) & (s[1] < max_steps)  # noqa: E731
    z, _, converged, broken = jax.lax.while_loop(
        running, body, (zero, jnp.int32(0), no, no)
    )
    z = jnp.where(broken, jnp.nan, z)
    return prior.mean + prior.root.mv(z), z, converged


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _solve(
    static: _Static, max_steps: int, prior: Gaussian, arrays: NonlinearConstraint
) -> tuple[Array, Array, Array]:
    """`_sqp` with the derivative of the stationarity conditions.

    K dz - Wᵀ dλ = ∂(Wᵀ λ), W dz = -∂g, where ∂ acts on prior and law at fixed z and λ.
    """

    def sqp(prior: Gaussian, arrays: NonlinearConstraint) -> tuple[Array, Array, Array]:
        return _sqp(prior, _law(arrays, static), max_steps)

    return in_float64(sqp)(prior, arrays)


@_solve.defjvp
def _(
    static: _Static, max_steps: int, primals: tuple, tangents: tuple
) -> tuple[Any, Any]:
    mean, z, converged = _solve(static, max_steps, *primals)
    frame = frame_at(_latent(primals[0], _law(primals[1], static)), z, z)
    plane = frame.tangential

    def pull(prior: Gaussian, arrays: NonlinearConstraint) -> tuple[Array, Array]:
        g = _latent(prior, _law(arrays, static))
        return jax.grad(lambda z: jnp.sum(frame.multiplier * g(z)))(z), g(z)

    def apply(x: Array) -> Array:
        flat = plane(x)
        return x - plane(frame.hessian(flat))

    with jax.default_matmul_precision("highest"):
        _, (bent, missed) = jax.jvp(pull, primals, tangents)
        normal = -frame.normal(missed)
        force = plane(bent + frame.hessian(normal))
        along = jax.lax.custom_linear_solve(
            apply,
            force,
            lambda mv, r: conjugate_gradients(mv, r, 200),
            symmetric=True,
        )
        dz = normal + plane(along)
        moved = lambda prior, z: prior.mean + prior.root.mv(z)  # noqa: E731
        _, d_mean = jax.jvp(moved, (primals[0], z), (tangents[0], dz))
    still = np.zeros(converged.shape, jax.dtypes.float0)
    return (mean, z, converged), (d_mean, dz, still)


def _curvature(prior: Gaussian, constraint: NonlinearConstraint, z: Array) -> Scalar:
    """Spectral norm of P Σ λ_r ∇²g_r P by thirty power iterations."""
    prior, constraint = jax.tree.map(
        lambda x: jax.lax.stop_gradient(x) if eqx.is_array(x) else x,
        (prior, constraint),
    )
    frame = frame_at(_latent(prior, constraint), z, z)
    x = frame.tangential(jax.random.normal(jax.random.key(0), z.shape, z.dtype))

    def iterate(x: Array, _: None) -> tuple[Array, Array]:
        size = jnp.sqrt(jnp.sum(x**2))
        y = frame.tangential(frame.hessian(x / jnp.where(size > 0, size, 1)))
        return y, jnp.sqrt(jnp.sum(y**2))

    return jax.lax.scan(iterate, x, None, length=30)[1][-1]


_MESSAGES = {
    "not_finite": (
        "condition_nonlinear: expected finite numbers, and h(u) with independent "
        "gradients along the way, got NaN or infinity; start from another prior mean, "
        "or drop redundant equations"
    ),
    "not_solved": (
        "condition_nonlinear: expected h(u) = b to have a solution near the prior "
        "mean, got no convergence; raise max_steps, or start from another prior mean"
    ),
}
