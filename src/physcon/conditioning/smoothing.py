"""Conditioning on noisy three-point rows, an artificial diffusion: O(n) for n points.

A conservation law alone allows an uncertain model to correct its field by jumps. Rows
that say that second differences are small, up to the noise that the model's own
uncertainty implies, spread the correction without oscillation.
"""

import jax.numpy as jnp

from physcon._checks import error_if, require, require_given
from physcon._numerics import banded, safe
from physcon._numerics.float64 import float64_primal
from physcon._typing import Array, ArrayLike, Float, Scalar, Shape
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.rows import unit_difference
from physcon.linear_map import Diagonal, Root, Stencil


class Smoothed(Root):
    """Root of (Σ⁻¹ + Gᵀ N⁻¹ G)⁻¹ for diagonal Σ = s², N = σ² and three-point rows G.

    In units of s the precision is 1 + HᵀH with H = σ⁻¹ G s, which is pentadiagonal, = C
    Cᵀ; the root is s C⁻ᵀ. Zero s is allowed; the cost of everything is a few scans over
    the points.
    """

    std: Float[Array, " n"]
    operator: Stencil
    noise_std: Float[Array, " r"]

    @property
    def in_shape(self) -> Shape:
        return self.std.shape

    @property
    def out_shape(self) -> Shape:
        return self.std.shape

    def _factor(self) -> banded.Band:
        s = self.std
        noise = self.noise_std
        scaled = self.operator.coefficients * jnp.stack([s[:-2], s[1:-1], s[2:]])
        # Rows of zero noise see no variance either (`correlated_noise`): ignored.
        heard = safe.ratio(scaled, jnp.broadcast_to(noise, scaled.shape))
        return banded.cholesky(banded.normal_equations(heard))

    def mv(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        return self.std * banded.solve_upper(self._factor(), x)

    def rmv(self, y: Float[Array, " n"]) -> Float[Array, " n"]:
        return banded.solve_lower(self._factor(), self.std * y)

    def gram_diagonal(self) -> Float[Array, " n"]:
        return self.std**2 * banded.inverse_diagonal(self._factor())

    def unit(self) -> Scalar:
        return jnp.max(jnp.abs(self.std))

    def scaled(self, factor: Scalar) -> "Smoothed":
        return Smoothed(factor * self.std, self.operator, factor * self.noise_std)

    def covariance_root_rank(self) -> Array:
        return jnp.sum(self.std != 0)

    def tangential(self, rows: Float[Array, "m n"]) -> Float[Array, "m n"]:
        return Diagonal(self.std).tangential(rows)

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        heard = jnp.where(self.noise_std > 0, self.noise_std, jnp.inf)
        return Diagonal(self.std).mahalanobis(e, scale) + jnp.sum(
            (self.operator.mv(e) / heard) ** 2
        )

    def log_volume(self) -> Array:
        return Diagonal(self.std).log_volume() - jnp.sum(
            jnp.log(self._factor().diagonal)
        )


def diffuse(prior: Gaussian, alpha: ArrayLike, *, throw: bool = True) -> Gaussian:
    """The prior given that its second differences u₋ - 2u + u₊ are small.

    This is artificial diffusion. The rows are zero up to the noise that they have under
    a prior whose neighbours correlate by `alpha`, see `correlated_noise`. Apply it
    before the conservation law, which then stays exact.

    Shapes: a field ``(n)`` with a diagonal root; batch with `jax.vmap`. The cost is
        O(n) in time and memory, sequential over the points. Spacings are ignored, as in
        the article.

    Args:
        alpha: assumed correlation of neighbours, in [0, 1); larger is smoother.

    Raises:
        ValueError: a prior with another root or shape.
        RuntimeError: alpha outside of [0, 1), at run time under ``throw=True``.

    Source: Hansen et al. (2023), sec. 4.2; the posterior in information form is Rue and
    Held, Gaussian Markov Random Fields (2005), eq. 2.30.
    """
    require_given(prior, Gaussian, "prior")
    root = prior.root
    require(
        isinstance(root, Diagonal) and prior.mean.ndim == 1,
        "a diagonal prior over one axis",
        f"{type(root).__name__} over {prior.mean.shape}",
        "use condition with second_difference for other priors; batch with jax.vmap",
    )
    assert isinstance(root, Diagonal)  # for type checkers
    require(
        prior.mean.shape[0] >= 3,
        "3 or more points",
        prior.mean.shape[0],
        "refine the grid",
    )
    alpha = jnp.asarray(alpha, prior.mean.dtype)
    alpha = error_if(
        alpha,
        ~((alpha >= 0) & (alpha < 1)),
        "diffuse: expected 0 <= alpha < 1; lower alpha (1 means second differences "
        "without any noise)",
        throw,
    )
    unit = safe.power_of_two(jnp.max(jnp.abs(root.diagonal)))
    std = root.diagonal / unit
    noise = correlated_noise(std, alpha)
    smoothed = Smoothed(std, unit_difference(std.size), noise)
    # Gradients have the size of a variance on their way, which has to be in range.
    mean = unit * _informed_mean(prior.mean / unit, smoothed)
    return Gaussian(mean, smoothed.scaled(unit))


@float64_primal
def correlated_noise(std: Float[Array, " n"], alpha: Array) -> Float[Array, " n-2"]:
    """Standard deviation of u₋ - 2u + u₊.

    Neighbours correlate by α, second neighbours by α². Square root of  s₋² + 4s² + s₊²
    - 4α s₋s + 2α² s₋s₊ - 4α s s₊.
    """
    s0 = std[:-2]
    s1 = std[1:-1]
    s2 = std[2:]
    # As a sum of squares (Cholesky factor of the correlations), which rounding keeps
    # positive.
    rest = 1 - alpha**2
    first = (s0 + alpha * (alpha * s2 - 2 * s1)) ** 2
    return jnp.sqrt(first + rest * (alpha * s2 - 2 * s1) ** 2 + rest * s2**2)


@float64_primal
def _informed_mean(mean: Array, root: Smoothed) -> Array:
    """μ + Σ' Gᵀ N⁻¹ (0 - G μ)."""
    heard = safe.ratio(root.operator.mv(mean), root.noise_std)
    pulled = root.operator.rmv(safe.ratio(heard, root.noise_std))
    return mean - root.mv(root.rmv(pulled))
