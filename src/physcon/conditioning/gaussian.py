"""Gaussian distributions over fields, as a mean and a root of the covariance.

The covariance is root rootᵀ. No n-by-n array is formed except by `Gaussian.covariance`.
"""

import math

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import (
    require,
    require_no_negative,
    require_numbers,
    require_sampling,
    require_shape,
)
from physcon._deprecation import accepts_old_positions
from physcon._numerics.float64 import floating, in_one_dtype
from physcon._status import Outcome, choose, settle
from physcon._typing import Array, ArrayLike, Float, PRNGKeyArray, Scalar
from physcon.conditioning import moments
from physcon.linear_map import Dense, Diagonal, LowRank, Root, Sum
from physcon.linear_map.basic import as_root


class Gaussian(eqx.Module):
    """The distribution N(mean, root rootᵀ) over one field; batch with `jax.vmap`.

    Attributes:
        mean: expected field, ``(*x)``.
        root: a linear map from latent white noise to the field.
    """

    mean: Float[Array, "*x"]
    root: Root = eqx.field(converter=as_root)

    def __check_init__(self) -> None:
        require(
            isinstance(self.root, Root),
            "root: a LinearMap, such as Diagonal(std)",
            f"a {type(self.root).__name__}",
            "use Gaussian.diagonal(mean, std) for standard deviations, "
            "Gaussian.from_covariance(mean, covariance) for a matrix, or "
            "Gaussian.from_samples(samples) for an ensemble",
        )
        require_numbers(self.mean, "a mean")
        require(
            tuple(self.root.out_shape) == self.mean.shape,
            f"a root whose output has the mean's shape {self.mean.shape}",
            tuple(self.root.out_shape),
            "a mean and a root describe one sample; batch with jax.vmap",
        )

    @classmethod
    def diagonal(cls, mean: ArrayLike, std: ArrayLike) -> "Gaussian":
        """Independent errors with standard deviation `std`.

        Most networks predict such errors. A negative std is refused; under jit, where
        values aren't known, its sign is ignored.

        Shapes:
            `mean` is ``(*x)``; `std` is the same, or a scalar for all points.

        >>> prior = Gaussian.diagonal(jnp.zeros(3), jnp.array([1.0, 2.0, 3.0]))
        >>> prior.variance().tolist()
        [1.0, 4.0, 9.0]
        """
        centre, spread = in_one_dtype(floating(mean), floating(std))
        spread = jnp.broadcast_to(spread, centre.shape) if spread.ndim == 0 else spread
        require_shape(spread, centre.shape, "std")
        require_no_negative(spread, "std", "pass standard deviations")
        return cls(centre, Diagonal(spread))

    @classmethod
    def from_variance(cls, mean: ArrayLike, variance: ArrayLike) -> "Gaussian":
        """Independent errors with the given variance.

        A zero variance is allowed and has zero gradient.

        Shapes:
            As in `diagonal`.
        """
        variance = floating(variance)
        require_no_negative(variance, "a variance", "pass variances, or use `diagonal`")
        positive = variance > 0
        root = jnp.sqrt(jnp.where(positive, variance, 1))
        # Under jit a negative variance becomes NaN, which `condition` reports.
        return cls.diagonal(
            mean, jnp.where(positive, root, jnp.where(variance == 0, 0, jnp.nan))
        )

    @classmethod
    def from_samples(
        cls, samples: ArrayLike, std: ArrayLike | None = None
    ) -> "Gaussian":
        """Mean and covariance of an ensemble ``(r, *x)`` of r members.

            Σ = Σ_k (u_k - mean)(u_k - mean)ᵀ / (r - 1) + diag(std²)

        The covariance has low rank: its root takes O(r n) memory for fields of size n.

        Args:
            std: standard deviation of independent errors that are added. Without them,
                r - 1 exact rows use up all degrees of freedom.

        Source:
            Sample covariance of the ensemble Kalman filter (Evensen 2009, eq. 4.20).

        >>> members = jnp.array([[1.0, 0.0], [3.0, 0.0]])
        >>> [round(v, 5) for v in Gaussian.from_samples(members).variance().tolist()]
        [2.0, 0.0]
        """
        samples = floating(samples)
        require(
            samples.shape[0] >= 2,
            "2 or more samples",
            samples.shape[0],
            "draw more samples",
        )
        root = LowRank(moments.contrasts(samples) * (samples.shape[0] - 1) ** -0.5)
        mean = jnp.mean(samples, axis=0)
        if std is None:
            return cls(mean, root)
        std = floating(std)
        require_shape(std, mean.shape, "std")
        require_no_negative(std, "std", "pass standard deviations")
        return cls(mean, Sum(root, Diagonal(std)))

    @classmethod
    def from_mixture(
        cls, means: Float[Array, "k *x"], stds: Float[Array, "k *x"], ddof: int = 0
    ) -> "Gaussian":
        """First two moments of a mixture of k predictions with independent errors.

            Σ = Σ_k (m_k - mean)(m_k - mean)ᵀ / (k - ddof) + diag(mean of stds²)

        All predictions have equal weight. A latent-variable model (ANP) or a deep
        ensemble predicts such a mixture. The disagreement between members is correlated
        over the field; the uncertainty of each member is not.
        """
        means = floating(means)
        stds = floating(stds)
        k = means.shape[0]
        require_shape(stds, means.shape, "stds")
        require_no_negative(stds, "stds", "pass standard deviations")
        require(
            k >= 2 and k > ddof,
            f"{max(2, ddof + 1)} or more members",
            k,
            "draw more samples",
        )
        root = LowRank(moments.contrasts(means) * (k - ddof) ** -0.5)
        mean = jnp.mean(means, axis=0)
        return cls(mean, Sum(root, Diagonal(moments.root_mean_square(stds))))

    @classmethod
    def from_cholesky(
        cls, mean: Float[Array, "*x"], factor: Float[Array, "n n"]
    ) -> "Gaussian":
        """Dense covariance `factor` factorᵀ over the flattened field.

        Args:
            mean: expected field, ``(*x)``.
            factor: lower triangular matrix, ``(n, n)``.
        """
        moments.require_lower(factor)
        mean, factor = in_one_dtype(floating(mean), floating(factor))
        return cls(mean, Dense(factor, mean.shape, lower=True))

    @classmethod
    @accepts_old_positions
    def from_covariance(
        cls,
        mean: Float[Array, "*x"],
        covariance: Float[Array, "n n"],
        *,
        throw: bool = True,
    ) -> "Gaussian":
        """Dense positive definite covariance over the flattened field.

        The cost is one Cholesky factorisation, O(n³).

        Raises:
            RuntimeError: at run time under ``throw=True`` if it is not positive
                definite.
        """
        moments.require_symmetric(covariance)
        factor = moments.cholesky(floating(covariance))
        outcome = choose((~jnp.all(jnp.isfinite(factor)), Outcome.not_finite))
        sentences = {"not_finite": moments.NOT_POSITIVE}
        mean, factor = settle((floating(mean), factor), outcome, throw, sentences)
        return cls.from_cholesky(mean, factor)

    def variance(self) -> Float[Array, "*x"]:
        """Marginal variances.

        They are computed in float64 and then rounded, because a posterior variance is a
        difference of larger numbers.
        """
        return moments.variance(self.root)

    def std(self) -> Float[Array, "*x"]:
        """Marginal standard deviations; a zero variance has zero gradient."""
        return moments.std(self.root)

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = ()
    ) -> Float[Array, "*s_x"]:
        """Draw samples mean + root z with white noise z; ``(*shape, *x)``.

        Each sample of a posterior obeys the exact constraints.

        Source:
            Matheron's rule for posteriors (Wilson et al., JMLR 22 (2021), eq. 11).
        """

        require_sampling(key, shape)
        draws = moments.draws(key, self.mean, self.root, math.prod(shape))
        return draws.reshape(*shape, *self.mean.shape)

    def log_prob(self, u: Float[Array, "*x"]) -> Scalar:
        """Log density at `u`.

        Under exact constraints the distribution lives on the plane G u = b. The density
        is then taken with respect to the surface measure of that plane, and is -inf off
        the plane (beyond rounding).

        Source:
            Rasmussen and Williams (2006), eq. A.20; for the plane, the co-area factor
            sqrt(det G Gᵀ) (Federer 1969, 3.2.12).
        """
        require_shape(u, self.mean.shape, "u")
        return moments.log_prob(self.mean, self.root, u)

    def covariance(self) -> Float[Array, "n n"]:
        """The dense covariance matrix of the flattened field, for small fields.

        Variances that the dtype can't hold (float32: of a std below 1e-19 or above
        1.8e19) become zero, with their rows and columns, or infinite.

        Shapes:
            ``(n, n)``, where n is the size of the field.
        """
        return moments.covariance(self.root)
