"""Moments of samples and of covariance roots, and densities, computed in float64.

The public methods of `Gaussian` describe them; here is the arithmetic.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, inexact_leaves, require
from physcon._derivative_rules import WithDerivative
from physcon._numerics import safe
from physcon._numerics.float64 import (
    entirely_in_float64,
    float64_primal,
    in_float64,
    in_one_dtype,
)
from physcon._numerics.products import along_rows, gram
from physcon._typing import Array, Float, PRNGKeyArray
from physcon.linear_map import Diagonal, Root

NOT_POSITIVE = (
    "from_covariance: expected a positive definite covariance, got one without a "
    "Cholesky factor; add a nugget (noise variance) to its diagonal, or use "
    "from_samples for a low-rank one"
)


def require_lower(factor: Float[Array, "n n"]) -> None:
    """Raise for a known matrix with entries above its diagonal."""
    known = concrete(factor)
    require(
        known is None or known.ndim != 2 or not np.any(np.triu(known, 1)),
        "a lower triangular factor",
        "entries above the diagonal",
        "transpose the factor, or use Gaussian(mean, Dense(matrix, mean.shape))",
    )


def require_symmetric(covariance: Float[Array, "n n"]) -> None:
    """Raise for a known matrix that is not symmetric to rounding."""
    known = concrete(covariance)
    if known is None or known.ndim != 2 or known.shape[0] != known.shape[1]:
        return
    apart = np.max(np.abs(known - known.T), initial=0)
    size = np.max(np.abs(known), initial=0)
    require(
        not apart > 1e-5 * size,
        "a symmetric covariance",
        f"entries that differ from their mirror images by up to {apart:.3g}",
        "pass 0.5 * (covariance + covariance.T) if that is meant",
    )


@float64_primal
def contrasts(samples: Float[Array, "r *x"]) -> Float[Array, "r-1 *x"]:
    """r - 1 vectors with the scatter of r samples.

    The vectors (Σ_{i<k} u_i - k u_k) / √(k (k + 1)) are Helmert's orthonormal
    contrasts. They are independent, unlike the r anomalies, which sum to zero
    (Lancaster, Am. Math. Mon. 72 (1965) 4).
    """
    samples = samples - jnp.mean(samples, axis=0, keepdims=True)
    k = jnp.arange(1.0, samples.shape[0])
    before = jnp.cumsum(samples, axis=0)[:-1]
    return along_rows((k * (k + 1)) ** -0.5, before - along_rows(k, samples[1:]))


def root_mean_square(x: Float[Array, "k *x"]) -> Float[Array, "*x"]:
    """√(mean of x²) over the first axis, without overflow; zero has zero gradient."""
    size = safe.power_of_two(jnp.max(jnp.abs(x), axis=0))
    return size * safe.sqrt(jnp.mean((x / size[None]) ** 2, axis=0))


@float64_primal
def cholesky(covariance: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The lower Cholesky factor; NaN if the matrix is not positive definite."""
    return jnp.linalg.cholesky(covariance)


def variance(root: Root) -> Array:
    """diag(R Rᵀ); the tangent uses the same formula in the caller's dtype."""
    (root,) = in_one_dtype(root)
    return in_float64(partial(_variance, single=_is_single(root)))(root)


def _is_single(root: Root) -> bool:
    """Whether the arrays have float32 or less, and are converted for values."""
    return jnp.result_type(*inexact_leaves(root)) != jnp.float64


@partial(jax.jit, static_argnames="single")
def _variance(root: Root, single: bool) -> Array:
    """As one program outside of jit too, whose intermediates take no memory."""
    found = root.gram_diagonal_in_blocks(None) if single else None
    return root.gram_diagonal() if found is None else found


@WithDerivative
def std(root: Root) -> Array:
    """√diag(R Rᵀ), where the root is taken before the value is rounded."""
    return in_float64(partial(_std, single=_is_single(root)))(root)


@partial(jax.jit, static_argnames="single")
def _std(root: Root, single: bool) -> Array:
    """As one program: an eager loop over rows would be compiled at every call."""
    return safe.sqrt(_variance(root, single))


@std.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """d(v)/(2 √v), with the root scaled to unit size so that v stays in range."""
    value = std(*primals)
    size = safe.power_of_two(jnp.max(value, initial=0))
    scaled = lambda root: root.scaled(1 / size).gram_diagonal()  # noqa: E731
    with jax.default_matmul_precision("highest"):
        _, moved = jax.jvp(scaled, primals, tangents)
    return value, size * safe.divide(moved, 2 * (value / size))


def covariance(root: Root) -> Array:
    """R Rᵀ; the rows and columns of variances that the dtype can't hold are zero.

    Below its smallest normal number a dtype has few digits or none, and a matrix of
    such numbers need not be positive semi-definite.
    """
    found = _covariance(root)
    held = jnp.diagonal(found) >= jnp.finfo(found.dtype).tiny
    return jnp.where(held[:, None] & held[None], found, 0)


@float64_primal
def _covariance(root: Root) -> Array:
    return gram(root.rows())


@float64_primal
def affine(mean: Array, root: Root, z: Array) -> Array:
    """mean + R z."""
    return mean + root.mv(z)


@partial(jax.jit, static_argnames="count")  # once per shape where called eagerly
def draws(
    key: PRNGKeyArray, mean: Array, root: Root, count: int
) -> Float[Array, "s *x"]:
    """Samples mean + R z with white noise z."""

    def draw(key: PRNGKeyArray) -> Array:
        noise = jax.random.normal(key, root.in_shape, mean.dtype)
        return affine(mean, root, noise)

    return jax.vmap(draw)(jax.random.split(key, count))


def log_prob(mean: Array, root: Root, u: Array) -> Array:
    """The log density at u, on the plane of the exact rows if there are any.

    Derivatives of correlated priors square the root on the way, and are computed in
    float64.
    """
    if isinstance(root, Diagonal):
        return _density(mean, root, u)
    return entirely_in_float64(_wide_density)(*in_one_dtype(mean, root, u))


def _log_density(mean: Array, root: Root, u: Array) -> Array:
    distance = root.mahalanobis(u - mean, jnp.abs(u) + jnp.abs(mean))
    rank = jnp.asarray(root.covariance_root_rank(), u.dtype)
    return -0.5 * (distance + rank * jnp.log(2 * jnp.pi)) - root.log_volume()


_density = float64_primal(_log_density)
_wide_density = jax.jit(_log_density)  # one program outside of jit, too
