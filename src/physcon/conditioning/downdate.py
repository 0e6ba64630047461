"""The root of a posterior covariance, after a few rows are known."""

import jax
import jax.numpy as jnp

from physcon._numerics.float64 import Pair, join
from physcon._numerics.products import along_rows, combine, gram, inner
from physcon._numerics.small import lower_inverse
from physcon._numerics.whitening import whitening
from physcon._typing import Array, Bool, Float, Scalar, Shape
from physcon.conditioning.gain import REDUNDANT, whiten
from physcon.linear_map import ROUNDING, LinearMap


class Downdate(LinearMap):
    """Root of a posterior covariance, R' = R (I - W̃ᵀ M W̃), of the prior root's own
    shape.

    W̃ = d G R are the scaled whitened rows, d S d = L Lᵀ, B = L⁻¹, and M = L⁻ᵀ (L + d
    σ)⁻¹, which is BᵀB for exact rows; then R' R'ᵀ = Σ - Σ Gᵀ S⁻¹ G Σ. (L triangular up
    to the pivot order.) W itself is kept where it is small (`whitened`), else formed
    again.

    Source: Potter's square-root update in the vector form of Andrews, AIAA J. 6 (1968)
        1165.
    """

    root: LinearMap
    operator: LinearMap
    scale: Float[Array, " m"]
    whitener: Pair
    order: Float[Array, "m m"]
    log_det: Scalar
    noise_std: Float[Array, " m"] | None
    whitened: Pair | None = None

    @property
    def in_shape(self) -> Shape:
        return self.root.in_shape

    @property
    def out_shape(self) -> Shape:
        return self.root.out_shape

    def kept(self) -> Bool[Array, " m"]:
        """Which rows, in pivot order, are not redundant."""
        return jnp.any(self.whitener.high != 0, axis=1)

    def _whitened(self) -> Float[Array, "m *z"]:
        known = self.whitened
        w = whiten(self.operator, self.root) if known is None else join(known)
        return along_rows(self.scale, w)

    def _factors(self) -> tuple[Float[Array, "m m"], Float[Array, "m m"]]:
        """B and (L + d σ)⁻¹ = (1 + B d σ)⁻¹ B; their product, the first one transposed,
        is M.
        """
        whitener = join(self.whitener)
        if self.noise_std is None:
            return whitener, whitener
        order = (self.scale * self.noise_std)[:, None] * self.order.T
        noise = jnp.matmul(whitener, order, precision="highest")
        inverse = lower_inverse(jnp.eye(noise.shape[0], dtype=noise.dtype) + noise)
        return whitener, jnp.matmul(inverse, whitener, precision="highest")

    def mv(self, x: Array) -> Array:
        w, (left, right) = self._whitened(), self._factors()
        return self.root.mv(x - combine(combine(inner(right, inner(w, x)), left), w))

    def rmv(self, y: Array) -> Array:
        w, (left, right) = self._whitened(), self._factors()
        x = self.root.rmv(y)
        return x - combine(combine(inner(left, inner(w, x)), right), w)

    def gram_diagonal(self) -> Array:
        w, whitener = self._whitened(), join(self.whitener)

        def explained(b: Array) -> Array:
            return self.root.mv(combine(b, w)) ** 2

        if whitener.shape[0] <= 3:  # one fused pass
            total = sum(explained(b) for b in whitener)
        else:
            total = jnp.sum(jax.vmap(explained)(whitener), axis=0)
        variance = self.root.gram_diagonal() - total
        # Clipped at zero against rounding, without a kink in the derivative.
        return variance + jax.lax.stop_gradient(jnp.maximum(-variance, 0))

    def undiminished(self) -> LinearMap:
        return self.root.undiminished()

    def _exact(self) -> Bool[Array, " m"]:
        """Rows without noise that are not redundant."""
        if self.noise_std is None:
            return jnp.ones(self.scale.shape, bool)
        return (self.noise_std == 0) & (self.order.T @ self.kept() > 0)

    def covariance_root_rank(self) -> Array:
        exact = self.kept() if self.noise_std is None else self._exact()
        return jnp.asarray(self.root.covariance_root_rank()) - jnp.sum(exact)

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        distance, missed = self.root.mahalanobis(e, scale), self.operator.mv(e)
        allowed = ROUNDING * inner(jnp.abs(self.operator.rows()), scale)
        met = jnp.abs(missed) <= allowed
        if self.noise_std is not None:
            noisy = self.noise_std > 0
            seen = jnp.where(noisy, missed / jnp.where(noisy, self.noise_std, 1), 0)
            distance, met = distance + jnp.sum(seen**2), met | noisy
        return jnp.where(jnp.all(met), distance, jnp.inf)

    def _normals(self) -> Float[Array, "m *x"]:
        """The exact rows along the support of the prior, scaled; made independent where
        no row is noisy, zero where redundant.
        """
        rows = along_rows(self.scale, self.operator.rows())
        if self.noise_std is None:
            rows = jax.vmap(lambda b: combine(b, rows))(join(self.whitener))
        else:
            rows = along_rows(self._exact().astype(rows.dtype), rows)
        return self.root.tangential(rows)

    def tangential(self, rows: Float[Array, "m *x"]) -> Float[Array, "m *x"]:
        rows = self.root.tangential(rows)
        normals, _ = _unit(self._normals())
        b = whitening(_gram_of_all(normals), REDUNDANT).whitener
        normals = jax.vmap(lambda b: combine(b, normals))(b)  # orthonormal
        return rows - jax.vmap(lambda row: combine(inner(normals, row), normals))(rows)

    def log_volume(self) -> Array:
        """Rows on top of the prior: the co-area factor of the exact ones' plane within
        the old one, the noise of the others, less that of S; ½ log det(G Gᵀ) + Σ log σ
        - ½ log det S.
        """
        normals, log_size = _unit(self._normals())
        area = whitening(_gram_of_all(normals), REDUNDANT)
        gained = jnp.sum(jnp.log(area.diagonal)) + log_size
        if self.noise_std is not None:  # else the rows are whitened: S = 1
            exact, noisy = self._exact(), self.noise_std > 0
            gained = gained + jnp.sum(jnp.log(jnp.where(noisy, self.noise_std, 1)))
            gained = (
                gained
                - jnp.sum(jnp.log(jnp.where(exact, self.scale, 1)))
                - 0.5 * self.log_det
            )
        return self.root.log_volume() + gained


def _gram_of_all(rows: Float[Array, "m *x"]) -> Float[Array, "m m"]:
    """`gram`, with 1 on the diagonal for rows that are zero: no volume, and no singular
    matrix.
    """
    absent = jnp.all(rows == 0, axis=tuple(range(1, rows.ndim)))
    return gram(rows) + jnp.diag(absent.astype(rows.dtype))


def _unit(rows: Float[Array, "m *x"]) -> tuple[Float[Array, "m *x"], Scalar]:
    """Rows divided by their largest entry, and the sum of its logarithms; zero rows
    stay zero.
    """
    size = jnp.max(jnp.abs(rows), axis=tuple(range(1, rows.ndim)))
    size = jax.lax.stop_gradient(jnp.where(size > 0, size, 1))
    return along_rows(1 / size, rows), jnp.sum(jnp.log(size))
