"""The posterior around its mode: a Gaussian whose precision is the curvature there.

All formulas use white latent variables z with θ = μ + R z, where R is the root of the
prior. The curvature of the prior is then the identity, and the posterior is

    N(θ̂, R (I + K)⁻¹ Rᵀ),  K = JᵀJ (Gauss-Newton, J = d misfit / dz) or the Hessian.

Only products with K are used, at one jvp and one vjp each; J is never formed.

Source:
    Tarantola (2005), sec. 3.4.4; MacKay, Neural Comput. 4 (1992) 448, for the evidence
    in this approximation.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import error_if, require_shape
from physcon._numerics.closure import Opened, opened
from physcon._numerics.float64 import float64_primal
from physcon._typing import Array, Bool, Float, PRNGKeyArray
from physcon.conditioning import Gaussian
from physcon.linear_map import Dense

#: A product with a symmetric matrix that has the shape of the latent variables.
Product = Callable[[Array], Array]


def gauss_newton(misfit: Callable[[Array], Array], z: Float[Array, "*z"]) -> Product:
    """v -> JᵀJ v with the derivative J of `misfit` at z, which is linearised once."""
    _, forward = jax.linearize(misfit, z)
    backward = jax.linear_transpose(forward, z)
    return lambda v: backward(forward(v))[0]


def hessian(loss: Callable[[Array], Array], z: Float[Array, "*z"]) -> Product:
    """v -> ∇²loss v, the derivative of the gradient along v, linearised once."""
    return jax.linearize(jax.grad(loss), z)[1]


def spread_at(product: Product, z: Float[Array, "*z"]) -> Dense:
    """The root (I + K)^(-1/2) of the posterior covariance of z.

    The cost is q products and a Cholesky factorisation. The result is NaN if I + K is
    not positive definite (to rounding).
    """
    basis = jnp.eye(z.size, dtype=z.dtype).reshape(z.size, *z.shape)
    columns = jax.vmap(product)(basis).reshape(z.size, z.size)
    return Dense(_inverse_root(columns), z.shape)


@float64_primal
def _inverse_root(k: Float[Array, "q q"]) -> Float[Array, "q q"]:
    """L⁻ᵀ, where L Lᵀ = I + K."""
    eye = jnp.eye(k.shape[0], dtype=k.dtype)
    factor = jnp.linalg.cholesky(eye + 0.5 * (k + k.T))
    return jax.lax.linalg.triangular_solve(
        factor, eye, left_side=True, lower=True, transpose_a=True
    )


def laplace_sample(
    key: PRNGKeyArray,
    misfit: Callable[[Float[Array, "*p"]], Float[Array, "*r"]],
    prior: Gaussian,
    latent: Float[Array, "*z"],
    shape: tuple[int, ...] = (),
    *,
    rtol: float | None = None,
    max_steps: int = 1000,
    throw: bool = True,
) -> Float[Array, "*s_p"]:
    """Draw samples of the Gauss-Newton posterior without forming a matrix.

    Each sample is one solve by conjugate gradients:

        θ = μ + R (z + (I + JᵀJ)⁻¹ (ε + Jᵀ η)),    ε, η white

    has exactly the covariance R (I + JᵀJ)⁻¹ Rᵀ. The method scales to millions of
    parameters.

    Args:
        misfit, prior: as in `least_squares`.
        latent: `Estimate.latent`, the point of the linearisation.
        rtol: tolerance of the solves; default √eps of the dtype.

    Raises:
        RuntimeError: at run time under ``throw=True`` if a solve does not converge;
            under ``throw=False`` the sample is NaN.

    Source:
        Papandreou and Yuille, NeurIPS 2010, sec. 2.2 (perturb, then solve).
    """
    require_shape(latent, tuple(prior.root.in_shape), "latent")
    tolerance = float(jnp.finfo(latent.dtype).eps) ** 0.5 if rtol is None else rtol
    program = opened(misfit, jax.eval_shape(_parameters, prior, latent))
    keys = jax.random.split(key, math.prod(shape))
    changes, good = _changes(program, prior, latent, keys, tolerance, max_steps)
    changes = error_if(changes, ~jnp.all(good), _NOT_SOLVED, throw)
    changes = jnp.where(good.reshape(-1, *[1] * latent.ndim), changes, jnp.nan)
    draws = _drawn(prior, latent, changes)
    return draws.reshape(*shape, *prior.mean.shape)


def _parameters(prior: Gaussian, z: Float[Array, "*z"]) -> Float[Array, "*p"]:
    return prior.mean + prior.root.mv(z)


@jax.jit
def _drawn(prior: Gaussian, latent: Array, changes: Float[Array, "s *z"]) -> Array:
    return jax.vmap(lambda dz: _parameters(prior, latent + dz))(changes)


@eqx.filter_jit  # compiled once where called without jit
def _changes(
    misfit: Opened,
    prior: Gaussian,
    latent: Float[Array, "*z"],
    keys: Array,
    tolerance: float,
    max_steps: int,
) -> tuple[Float[Array, "s *z"], Bool[Array, " s"]]:
    """What each sample adds to the latent variables, and whether it was solved."""
    import lineax as lx

    def of_latent(z: Array) -> Array:
        return misfit(_parameters(prior, z))

    residual, forward = jax.linearize(of_latent, latent)
    backward = jax.linear_transpose(forward, latent)
    operator = lx.FunctionLinearOperator(
        lambda v: v + backward(forward(v))[0],
        jax.ShapeDtypeStruct(latent.shape, latent.dtype),
        tags=lx.positive_semidefinite_tag,
    )
    solver = lx.CG(rtol=tolerance, atol=tolerance, max_steps=max_steps)

    def draw(key: PRNGKeyArray) -> tuple[Array, Array]:
        epsilon, eta = _white(key, latent, residual)
        right = epsilon + backward(eta)[0]
        solution = lx.linear_solve(operator, right, solver, throw=False)
        return solution.value, solution.result == lx.RESULTS.successful

    return eqx.filter_vmap(draw)(keys)


def _white(key: PRNGKeyArray, *like: Array) -> list[Array]:
    """White noise of the shapes and dtypes of the given arrays."""
    keys = jax.random.split(key, len(like))
    pairs = zip(keys, like, strict=True)
    return [jax.random.normal(k, x.shape, x.dtype) for k, x in pairs]


_NOT_SOLVED = (
    "laplace_sample: expected conjugate gradients to reach rtol, got no further within "
    "max_steps; raise max_steps or rtol, or scale the parameters by a prior that is "
    "closer to the posterior"
)
