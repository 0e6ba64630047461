"""Priors inside a box: covariances with barriers, and with points that are held."""

from typing import NamedTuple

import jax.numpy as jnp

from physcon._numerics.products import combine, gram, inner
from physcon._numerics.small import cholesky, lower_inverse
from physcon._typing import Array, Bool, Float
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.refined import diagonal_and_vectors, independent_std
from physcon.linear_map import Diagonal, LowRank, Root, Sum


class Metric(NamedTuple):
    """Σ = diag(std²) + Fᵀ F, with the vectors F, or None for independent errors."""

    std: Float[Array, "*x"]
    vectors: Float[Array, "r *x"] | None

    def precision(self, x: Float[Array, "*x"]) -> Float[Array, "*x"]:
        """Σ⁻¹ x; zero at points of zero variance, under independent errors."""
        variance = jnp.where(self.std == 0, 1, self.std**2)
        own = jnp.where(self.std == 0, 0, x / variance)
        if self.vectors is None:
            return own
        white = _inner_factor(self.vectors, 1 / variance)
        pulled = jnp.matmul(white, inner(self.vectors, own), precision="highest")
        back = jnp.matmul(pulled, white, precision="highest")
        return own - combine(back, self.vectors) / variance

    def softened(self, stiffness: Float[Array, "*x"], held: Bool[Array, "*x"]) -> Root:
        """A root of (Σ⁻¹ + diag(stiffness))⁻¹; points `held` do not move."""
        variance = self.std**2
        share = jnp.where(held, 0, 1 / (1 + variance * stiffness))
        own = Diagonal(self.std * jnp.sqrt(share))
        if self.vectors is None:
            return own
        seen = jnp.where(held, 1 / variance, stiffness * share)
        white = _inner_factor(self.vectors, seen)
        vectors = jnp.tensordot(white, share[None] * self.vectors, axes=1)
        return Sum(LowRank(vectors), own)


def has_metric(prior: Gaussian) -> bool:
    """Whether the prior has independent errors, or a low-rank part on top of them."""
    alone = independent_std(prior.root) is not None
    return alone or diagonal_and_vectors(prior.root) is not None


def metric_of(prior: Gaussian) -> Metric:
    """The metric of a prior with independent errors, or with a low-rank part on top."""
    std = independent_std(prior.root)
    if std is not None:
        return Metric(jnp.abs(std), None)
    found = diagonal_and_vectors(prior.root)
    if found is None:
        raise ValueError(
            "expected a prior with independent errors, or an ensemble with independent "
            f"errors on top, got a root of type {type(prior.root).__name__}; pass "
            "Gaussian.diagonal(prior.mean, prior.std()), or "
            "Gaussian.from_samples(samples, std)"
        )
    return Metric(jnp.abs(found[0]), found[1])


def held_prior(
    prior: Gaussian, held: Bool[Array, "*x"], values: Float[Array, "*x"]
) -> Gaussian:
    """The prior given the values of the points `held`, which lose all variance."""
    metric = metric_of(prior)
    if metric.vectors is None:
        mean = jnp.where(held, values, prior.mean)
        return Gaussian(mean, Diagonal(jnp.where(held, 0, metric.std)))
    seen = jnp.where(held, 1 / metric.std**2, 0)
    white = _inner_factor(metric.vectors, seen)
    missing = jnp.where(held, values - prior.mean, 0)
    pulled = jnp.matmul(white, inner(metric.vectors, seen * missing))
    moved = prior.mean + combine(jnp.matmul(pulled, white), metric.vectors)
    mean = jnp.where(held, values, moved)
    return Gaussian(mean, metric.softened(jnp.zeros_like(mean), held))


def _inner_factor(
    vectors: Float[Array, "r *x"], weight: Float[Array, "*x"]
) -> Float[Array, "r r"]:
    """L⁻¹ of 1 + F diag(weight) Fᵀ = L Lᵀ."""
    scaled = vectors * jnp.sqrt(weight)[None]
    eye = jnp.eye(vectors.shape[0], dtype=vectors.dtype)
    return lower_inverse(cholesky(eye + gram(scaled)))
