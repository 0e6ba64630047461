"""The root of a posterior covariance, after a few rows are known."""

from dataclasses import replace

import jax
import jax.numpy as jnp

from physcon._numerics.products import along_rows, combine, gram, inner
from physcon._numerics.small import lower_inverse
from physcon._numerics.whitening import whitening
from physcon._typing import Array, Bool, Float, Scalar, Shape
from physcon.conditioning.gram import REDUNDANT, GramFactor
from physcon.conditioning.gram_verdict import whiten
from physcon.conditioning.solvers.factor import Exact
from physcon.linear_map import ROUNDING, LinearMap, Root


class DowndatedRoot(Root):
    """Root of a posterior covariance, R' = R (I - W̃ᵀ M W̃), on the latent space of R.

    W̃ = d G R are the scaled whitened rows, d S d = L Lᵀ, B = L⁻¹, and M = L⁻ᵀ (L + d
    σ)⁻¹, which is BᵀB for exact rows; then R' R'ᵀ = Σ - Σ Gᵀ S⁻¹ G Σ. (L is triangular
    up to the pivot order.) W is stored where it is small, and formed again elsewhere.

    Attributes:
        root: R of the prior.
        operator: G.
        noise_std: σ per row; None where all rows are exact.
        factor: of S.

    Source: Potter's square-root update in the vector form of Andrews, AIAA J. 6 (1968)
        1165.
    """

    root: Root
    operator: LinearMap
    noise_std: Float[Array, "*y"] | None
    factor: Exact[GramFactor]

    @property
    def in_shape(self) -> Shape:
        return self.root.in_shape

    @property
    def out_shape(self) -> Shape:
        return self.root.out_shape

    @property
    def scale(self) -> Float[Array, " m"]:
        """d; zero for rows that see no variance."""
        return self.factor.high.scale

    def _noise(self) -> Float[Array, " m"] | None:
        return None if self.noise_std is None else self.noise_std.reshape(-1)

    def _whitened(self, factor: GramFactor) -> Float[Array, "m *z"]:
        w = factor.whitened
        if w is None:
            w = whiten(self.operator, self.root)
        return along_rows(factor.scale, w)

    def _halves(self, factor: GramFactor) -> tuple[Array, Array]:
        """B and (L + d σ)⁻¹ = (1 + B d σ)⁻¹ B, with M = Bᵀ (L + d σ)⁻¹."""
        whitener = factor.whitener
        sigma = self._noise()
        if sigma is None:
            return whitener, whitener
        order = (factor.scale * sigma)[:, None] * factor.order.T
        noise = jnp.matmul(whitener, order, precision="highest")
        inverse = lower_inverse(jnp.eye(noise.shape[0], dtype=noise.dtype) + noise)
        return whitener, jnp.matmul(inverse, whitener, precision="highest")

    def mv(self, x: Array) -> Array:
        factor = self.factor.tree()
        w = self._whitened(factor)
        left, right = self._halves(factor)
        return self.root.mv(x - combine(combine(inner(right, inner(w, x)), left), w))

    def rmv(self, y: Array) -> Array:
        factor = self.factor.tree()
        w = self._whitened(factor)
        left, right = self._halves(factor)
        x = self.root.rmv(y)
        return x - combine(combine(inner(left, inner(w, x)), right), w)

    def gram_diagonal(self) -> Array:
        removed = self.factor.tree().variance_removed(self.root, self.operator)
        variance = self.root.gram_diagonal() - removed
        # Clipped at zero against rounding, without a kink in the derivative.
        return variance + jax.lax.stop_gradient(jnp.maximum(-variance, 0))

    def gram_diagonal_in_blocks(self, b: Array | None) -> Array | None:
        factor = self.factor.tree()
        if factor.whitened is None or b is not None:
            return None
        white = factor.whitener * factor.scale[None]
        rows = jnp.matmul(white, factor.whitened, precision="highest")
        found = self.root.gram_diagonal_in_blocks(rows)
        return None if found is None else found + jnp.maximum(-found, 0)

    def unit(self) -> Scalar | float:
        return self.root.unit()

    def scaled(self, factor: Scalar) -> "DowndatedRoot":
        sigma = None if self.noise_std is None else factor * self.noise_std
        held = Exact.of(self.factor.tree().scaled(factor), single=False)
        return replace(
            self, root=self.root.scaled(factor), noise_std=sigma, factor=held
        )

    def undiminished(self) -> Root:
        return self.root.undiminished()

    def _exact(self) -> Bool[Array, " m"]:
        """Rows without noise that are not redundant."""
        factor = self.factor.high
        sigma = self._noise()
        if sigma is None:
            return jnp.ones(factor.scale.shape, bool)
        kept = factor.order.T @ factor.kept().astype(factor.order.dtype) > 0
        return (sigma == 0) & kept

    def covariance_root_rank(self) -> Array:
        kept = self.factor.high.kept()
        exact = kept if self.noise_std is None else self._exact()
        return jnp.asarray(self.root.covariance_root_rank()) - jnp.sum(exact)

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        distance = self.root.mahalanobis(e, scale)
        missed = self.operator.mv(e).reshape(-1)
        allowed = ROUNDING * inner(jnp.abs(self.operator.rows()), scale)
        met = jnp.abs(missed) <= allowed
        sigma = self._noise()
        if sigma is not None:
            noisy = sigma > 0
            seen = jnp.where(noisy, missed / jnp.where(noisy, sigma, 1), 0)
            distance = distance + jnp.sum(seen**2)
            met = met | noisy
        return jnp.where(jnp.all(met), distance, jnp.inf)

    def _normals(self) -> Float[Array, "m *x"]:
        """The exact rows along the support of the prior, scaled.

        Redundant ones are zero. Where no row is noisy they are whitened: S = 1.
        """
        factor = self.factor.tree()
        rows = along_rows(factor.scale, self.operator.rows())
        if self.noise_std is None:
            rows = jax.vmap(lambda b: combine(b, rows))(factor.whitener)
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
        """½ log det(G Gᵀ) + Σ log σ - ½ log det S, on top of the prior's volume.

        The first term, over the exact rows, is the co-area factor of their plane within
        the prior's support; the second is over the noisy rows.
        """
        normals, log_size = _unit(self._normals())
        area = whitening(_gram_of_all(normals), REDUNDANT)
        gained = jnp.sum(jnp.log(area.diagonal)) + log_size
        sigma = self._noise()
        if sigma is not None:  # otherwise the rows are whitened, and S = 1
            factor = self.factor.tree()
            exact = self._exact()
            noisy = sigma > 0
            gained = gained + jnp.sum(jnp.log(jnp.where(noisy, sigma, 1)))
            gained = gained - jnp.sum(jnp.log(jnp.where(exact, factor.scale, 1)))
            gained = gained - 0.5 * factor.log_det
        return self.root.log_volume() + gained


#: The name of version 0.1.
Downdate = DowndatedRoot


def _gram_of_all(rows: Float[Array, "m *x"]) -> Float[Array, "m m"]:
    """`gram` with 1 on the diagonal for rows that are zero, so that it is regular."""
    absent = jnp.all(rows == 0, axis=tuple(range(1, rows.ndim)))
    return gram(rows) + jnp.diag(absent.astype(rows.dtype))


def _unit(rows: Float[Array, "m *x"]) -> tuple[Float[Array, "m *x"], Scalar]:
    """Rows divided by their largest entry, and the sum of the logarithms of these.

    Rows that are zero stay zero.
    """
    size = jnp.max(jnp.abs(rows), axis=tuple(range(1, rows.ndim)))
    size = jax.lax.stop_gradient(jnp.where(size > 0, size, 1))
    return along_rows(1 / size, rows), jnp.sum(jnp.log(size))
