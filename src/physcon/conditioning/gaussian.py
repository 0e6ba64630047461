"""Gaussian distributions over fields, as a mean and a root of the covariance.

Covariance = root rootᵀ; no n-by-n array is formed unless `Gaussian.covariance` is asked for.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require, require_shape
from physcon._linalg import float64_primal, gram
from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.linear_map import Diagonal, LinearMap


class Gaussian(eqx.Module):
    """N(mean, root rootᵀ) over one field of shape ``(*x)``. Batch with `jax.vmap`.

    Attributes:
        mean: expected field, ``(*x)``.
        root: a linear map from latent white noise to the field.
    """

    mean: Float[Array, "*x"]
    root: LinearMap

    def __check_init__(self) -> None:
        require(
            tuple(self.root.out_shape) == self.mean.shape,
            f"a root whose output has the mean's shape {self.mean.shape}",
            tuple(self.root.out_shape),
            "a mean and a root describe one sample; batch with jax.vmap",
        )

    @classmethod
    def diagonal(cls, mean: Float[Array, "*x"], std: Float[Array, "*x"]) -> "Gaussian":
        """Independent errors with standard deviation `std` (what most networks predict).

        >>> prior = Gaussian.diagonal(jnp.zeros(3), jnp.array([1.0, 2.0, 3.0]))
        >>> prior.variance().tolist()
        [1.0, 4.0, 9.0]
        """
        mean, std = jnp.asarray(mean), jnp.asarray(std)
        require_shape(std, mean.shape, "std")
        return cls(mean, Diagonal(std))

    @classmethod
    def from_variance(cls, mean: Float[Array, "*x"], variance: Float[Array, "*x"]) -> "Gaussian":
        """Independent errors with the given variance. Zero is allowed and has zero gradient."""
        positive = variance > 0
        root = jnp.sqrt(jnp.where(positive, variance, 1))
        # A negative variance becomes NaN, which `condition` reports.
        return cls.diagonal(mean, jnp.where(positive, root, jnp.where(variance == 0, 0, jnp.nan)))

    def variance(self) -> Float[Array, "*x"]:
        """Marginal variances, computed in float64 (a posterior's is a difference) and rounded."""
        return _variance(self.root)

    def std(self) -> Float[Array, "*x"]:
        """Marginal standard deviations; zero variance has zero gradient."""
        variance = self.variance()
        positive = variance > 0
        return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), 0)

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "*s_x"]:
        """Draws mean + root z, z white; ``(*shape, *x)``. Each obeys the constraints exactly met.

        Source: for a posterior this is Matheron's rule (Wilson et al., JMLR 22 (2021), eq. 11).
        """

        def draw(key: PRNGKeyArray) -> Array:
            return _affine(
                self.mean, self.root, jax.random.normal(key, self.root.in_shape, self.mean.dtype)
            )

        count = 1
        for n in shape:
            count *= n
        draws = jax.vmap(draw)(jax.random.split(key, count))
        return draws.reshape(*shape, *self.mean.shape)

    def log_prob(self, u: Float[Array, "*x"]) -> Scalar:
        """Log density at `u`.

        Under exact constraints the distribution lives on the plane G u = b: the density is with
        respect to the surface measure of that plane, and -inf off it (beyond rounding).

        Source: Rasmussen and Williams (2006), eq. A.20; for the plane the co-area factor
        sqrt(det G Gᵀ) (Federer 1969, 3.2.12).
        """
        require_shape(u, self.mean.shape, "u")
        return _log_prob(self.mean, self.root, u)

    def covariance(self) -> Float[Array, "n n"]:
        """The dense covariance matrix, ``(n, n)`` with n = size of the field. Small fields only."""
        return _covariance(self.root)


@float64_primal
def _variance(root: LinearMap) -> Array:
    return root.gram_diagonal()


@float64_primal
def _covariance(root: LinearMap) -> Array:
    return gram(root.rows())


@float64_primal
def _affine(mean: Array, root: LinearMap, z: Array) -> Array:
    return mean + root.mv(z)


@float64_primal
def _log_prob(mean: Array, root: LinearMap, u: Array) -> Array:
    distance = root.mahalanobis(u - mean, jnp.abs(u) + jnp.abs(mean))
    rank = root.covariance_root_rank()
    return -0.5 * (distance + rank * jnp.log(2 * jnp.pi)) - root.log_volume()
