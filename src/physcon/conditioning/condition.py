"""Conditioning a Gaussian on linear constraints: the heart of physcon.

Any prediction with an uncertainty is a Gaussian prior; a law of physics in integral form is a few
rows G u = b; the posterior obeys it, moves the prediction where it is least certain, and is a
Gaussian again.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._linalg import Pair, along_rows, combine, gram, inner, join, lower_inverse
from physcon._typing import Array, Bool, Float, Int, Scalar, Shape
from physcon._whitening import whitening
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gain import REDUNDANT, solve, whiten
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.status import checked, status_of
from physcon.linear_map import ROUNDING, LinearMap


class Conditioned(NamedTuple):
    """Result of `condition`.

    Attributes:
        posterior: the Gaussian given the constraint.
        log_evidence: log N(b; G μ, S): how well the prior predicted the value, scalar.
        residual: b - G μ' of the posterior mean, ``(m)``, summed in float64.
        status: 0 independent rows, all met; 1 a NaN or infinity came in: all of the result is NaN;
            2 redundant rows (copies or sums of others, or rows that see only points of zero
            variance), all met: the answer is that without them; 3 rows that contradict each other
            or what the prior is certain of: the answer meets them in the sense of least squares,
            each row in units of its prior standard deviation.
    """

    posterior: Gaussian
    log_evidence: Scalar
    residual: Float[Array, " m"]
    status: Int[Array, ""]


def condition(prior: Gaussian, constraint: LinearConstraint, *, throw: bool = True) -> Conditioned:
    """The posterior of `prior` given `constraint`; exact where ``noise_std is None``.

        μ' = μ + Σ Gᵀ S⁻¹ (b - G μ)      Σ' = Σ - Σ Gᵀ S⁻¹ G Σ      S = G Σ Gᵀ + N

    Shapes: fields ``(*x)``, m rows; cost O(m n) for diagonal roots, memory O(m n), no n-by-n array.
    One sample; batch with `jax.vmap`.

    The mean is computed in float64 and rounded once: |G μ' - b| <= eps (|G| |μ'| + |b|) in the
    caller's precision. Differentiable in both modes in everything that is an array: mean, root,
    operator, value, noise. Gradients carry the caller's precision times the condition number of S.

    Raises:
        ValueError: shapes that don't match, while tracing.
        RuntimeError: at run time under ``throw=True``: NaN, or rows that contradict each other,
            named with what they miss (`Conditioned.status`). ``throw=False`` returns the status
            instead, and its program holds no host callback, so it can be exported.

    Source: Hansen et al. (2023), eq. 9 and the limit in sec. 4.1; Rasmussen and Williams (2006),
    eq. A.6.

    >>> from physcon.conditioning.constraint import integral
    >>> prior = Gaussian.diagonal(jnp.array([1.0, 1.0]), jnp.array([1.0, 2.0]))
    >>> posterior = condition(prior, integral(jnp.ones(2), 7.0)).posterior
    >>> posterior.mean.tolist()  # the missing 5 go where the variance is: 1 to 4
    [2.0, 5.0]
    """
    field, rows = prior.mean.shape, constraint.operator.in_shape
    remedy = "functions act on one sample: batch with jax.vmap"
    require(tuple(rows) == field, f"a constraint on fields of shape {field}", tuple(rows), remedy)
    exact = constraint.noise_std is None
    noise_std = jnp.zeros_like(constraint.value) if exact else constraint.noise_std
    gain = solve(prior.mean, prior.root, constraint.operator, constraint.value, noise_std)
    status = status_of(gain)
    mean = checked(gain.mean, gain, status) if throw else gain.mean
    root = Downdate(
        prior.root,
        constraint.operator,
        gain.scale,
        gain.whitener,
        gain.order,
        gain.log_det,
        constraint.noise_std,
    )
    posterior = Gaussian(mean, root)
    whitened = join(gain.whitener) @ (gain.scale * constraint.residual(prior.mean))
    rank = jnp.sum(root.kept())
    distance = jnp.sum(whitened**2)
    log_evidence = -0.5 * (distance + gain.log_det + rank * jnp.log(2 * jnp.pi))
    return Conditioned(posterior, log_evidence, constraint.residual(mean), status)


class Downdate(LinearMap):
    """Root of a posterior covariance, R' = R (I - W̃ᵀ M W̃), of the prior root's own shape.

    W̃ = d G R are the scaled whitened rows, d S d = L Lᵀ, B = L⁻¹, and M = L⁻ᵀ (L + d σ)⁻¹, which
    is BᵀB for exact rows; then R' R'ᵀ = Σ - Σ Gᵀ S⁻¹ G Σ. (L triangular up to the pivot order.)

    Source: Potter's square-root update in the vector form of Andrews, AIAA J. 6 (1968) 1165.
    """

    root: LinearMap
    operator: LinearMap
    scale: Float[Array, " m"]
    whitener: Pair
    order: Float[Array, "m m"]
    log_det: Scalar
    noise_std: Float[Array, " m"] | None

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
        return along_rows(self.scale, whiten(self.operator, self.root))

    def _factors(self) -> tuple[Float[Array, "m m"], Float[Array, "m m"]]:
        """B and (L + d σ)⁻¹ = (1 + B d σ)⁻¹ B; their product, the first one transposed, is M."""
        whitener = join(self.whitener)
        if self.noise_std is None:
            return whitener, whitener
        noise = whitener @ ((self.scale * self.noise_std)[:, None] * self.order.T)
        return whitener, lower_inverse(
            jnp.eye(noise.shape[0], dtype=noise.dtype) + noise
        ) @ whitener

    def mv(self, x: Array) -> Array:
        w, (left, right) = self._whitened(), self._factors()
        return self.root.mv(x - combine(left.T @ (right @ inner(w, x)), w))

    def rmv(self, y: Array) -> Array:
        w, (left, right) = self._whitened(), self._factors()
        x = self.root.rmv(y)
        return x - combine(right.T @ (left @ inner(w, x)), w)

    def gram_diagonal(self) -> Array:
        explained = jax.vmap(lambda r: self.root.mv(combine(r, self._whitened())))(
            join(self.whitener)
        )
        variance = self.root.gram_diagonal() - jnp.sum(explained**2, axis=0)
        # Clipped at zero against rounding, without a kink in the derivative.
        return variance + jax.lax.stop_gradient(jnp.maximum(-variance, 0))

    def undiminished(self) -> LinearMap:
        return self.root.undiminished()

    def covariance_root_rank(self) -> Array:
        rank = self.root.covariance_root_rank()
        return jnp.asarray(rank) - (jnp.sum(self.kept()) if self.noise_std is None else 0)

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        distance, missed = self.root.mahalanobis(e, scale), self.operator.mv(e)
        if self.noise_std is not None:
            return distance + jnp.sum((missed / self.noise_std) ** 2)
        allowed = ROUNDING * inner(jnp.abs(self.operator.rows()), scale)
        return jnp.where(jnp.all(jnp.abs(missed) <= allowed), distance, jnp.inf)

    def _normals(self) -> Float[Array, "m *x"]:
        """The rows, made independent, along the support of the prior; zero where redundant."""
        rows = along_rows(self.scale, self.operator.rows())
        rows = jax.vmap(lambda b: combine(b, rows))(join(self.whitener))
        return self.root.tangential(rows)

    def tangential(self, rows: Float[Array, "m *x"]) -> Float[Array, "m *x"]:
        rows = self.root.tangential(rows)
        if self.noise_std is not None:
            return rows
        normals = self._normals()
        normals, _ = _unit(normals)
        b = whitening(gram(normals), REDUNDANT).whitener
        normals = jax.vmap(lambda b: combine(b, normals))(b)  # orthonormal
        return rows - jax.vmap(lambda row: combine(inner(normals, row), normals))(rows)

    def log_volume(self) -> Array:
        if self.noise_std is not None:
            gained = jnp.sum(jnp.log(self.noise_std)) - 0.5 * self.log_det
        else:  # co-area factor of the new plane within the old one; the whitened rows have S = 1
            normals, log_size = _unit(self._normals())
            area = whitening(gram(normals), REDUNDANT)
            gained = jnp.sum(jnp.log(area.diagonal)) + log_size
        return self.root.log_volume() + gained


def _unit(rows: Float[Array, "m *x"]) -> tuple[Float[Array, "m *x"], Scalar]:
    """Rows divided by their largest entry, and the sum of its logarithms; zero rows stay zero."""
    size = jnp.max(jnp.abs(rows), axis=tuple(range(1, rows.ndim)))
    size = jax.lax.stop_gradient(jnp.where(size > 0, size, 1))
    return along_rows(1 / size, rows), jnp.sum(jnp.log(size))
