"""The Gram matrix of a few rows, and conditioning by it.

With prior mean μ and covariance Σ = R Rᵀ, rows G u = b with noise covariance N =
diag(σ²):

    W = G R                  whitened rows
    S = W Wᵀ + N             Gram matrix: the covariance of the predicted row values
    λ = S⁻¹ (b - G μ)        multipliers
    μ' = μ + R Wᵀ λ          posterior mean

Source: Rasmussen and Williams (2006), eq. A.6.

Rows are scaled by powers of two, d, to a unit diagonal of S, so that no choice of units
over- or underflows. The whitener B, with B d S d Bᵀ = 1 on the independent rows
(`physcon._numerics.whitening`), gives S⁻¹ = d Bᵀ B d.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp

from physcon._numerics.blocked import power_of_mixtures
from physcon._numerics.products import combine, inner
from physcon._numerics.whitening import solve_white, whitening
from physcon._status import Outcome, choose
from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning.gram_verdict import whiten as whiten
from physcon.conditioning.solvers.factor import Factor
from physcon.conditioning.solvers.step import Step
from physcon.linear_map import Diagonal, LinearMap, Root, Rows

#: Of a row's variance, once earlier rows are known: less than this is rounding, and the
#: row is redundant.
REDUNDANT = 1e-14


class GramFactor(Factor):
    """The factor of d S d, a small dense matrix, as its whitener."""

    scale: Float[Array, " m"]  # d; zero for rows that see no variance
    whitener: Float[Array, "m m"]  # B, in pivot order; zero rows for redundant ones
    order: Float[Array, "m m"]  # permutation to pivot order
    log_determinant: Scalar  # over the independent rows; NaN if S is not finite
    whitened: Float[Array, "m r"] | None = None  # W where it is small: for `LowRank`

    def kept(self) -> Bool[Array, " m"]:
        """Which rows, in pivot order, are not redundant."""
        return jnp.any(self.whitener != 0, axis=1)

    @property
    def log_det(self) -> Scalar:
        return self.log_determinant

    @property
    def outcome(self) -> Outcome:
        return choose(
            (~jnp.isfinite(self.log_determinant), Outcome.not_finite),
            (~jnp.all(self.kept()), Outcome.redundant),
        )

    def rank(self, rows: int) -> Array:
        return jnp.sum(self.kept())

    def scaled(self, factor: Scalar) -> "GramFactor":
        rank = jnp.sum(self.kept()).astype(self.scale.dtype)
        log_size = 2 * jnp.log(jnp.abs(factor)) * rank
        return replace(
            self,
            scale=self.scale / factor,
            log_determinant=self.log_determinant + log_size,
            whitened=None if self.whitened is None else factor * self.whitened,
        )

    def units(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        return self.scale.reshape(r.shape)

    def solve(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        return solve_white(self.whitener, self.scale, r.reshape(-1)).reshape(r.shape)

    def variance_removed(self, root: Root, operator: LinearMap) -> Float[Array, "*x"]:
        b = self.whitener * self.scale[None]
        if has_blocks(operator, root):
            assert isinstance(root, Diagonal)
            return power_of_mixtures(b, operator.rows(), root.diagonal)
        w = self.whitened if self.whitened is not None else whiten(operator, root)

        def removed(row: Array) -> Array:
            return root.mv(combine(row, w)) ** 2

        if b.shape[0] <= 3:  # one fused pass
            terms = [removed(row) for row in b]
            return sum(terms[1:], terms[0])
        return jnp.sum(jax.vmap(removed)(b), axis=0)


def factor_gram(
    s: Float[Array, "m m"],
    before: Float[Array, " m"] | None,
    noise_std: Float[Array, " m"],
    tolerance: float = REDUNDANT,
) -> tuple[GramFactor, Float[Array, "m m"]]:
    """The factor of s + N, and s + N.

    Args:
        s: W Wᵀ.
        before: the rows' variances before any earlier conditioning, if there was one.
        tolerance: share of a row's variance below which it is redundant.
    """
    noise = noise_std**2
    eye = jnp.eye(noise.size, dtype=s.dtype)
    s = s + eye * noise[:, None]
    variance = jnp.sum(eye * s, axis=1)
    seen = variance > tolerance * (variance if before is None else before + noise)
    exponent = jnp.round(-0.5 * jnp.log2(jnp.where(seen, variance, 1)))
    scale = jnp.where(seen, jnp.exp2(exponent), 0)
    # Rows without variance get 1 on the diagonal, so that the matrix stays regular.
    apart = jnp.where(seen[:, None], 0, eye)
    found = whitening(scale[:, None] * s * scale[None, :] + apart, tolerance)
    whitener = jnp.where(seen[None, :], found.whitener, 0)
    kept = jnp.any(whitener != 0, axis=1)
    size = jnp.log(jnp.where(kept, found.order @ scale, 1))
    log_det = 2 * jnp.sum(jnp.log(found.diagonal) - size)
    log_det = jnp.where(jnp.all(jnp.isfinite(variance)), log_det, jnp.nan)
    return GramFactor(scale, whitener, found.order, log_det), s


def multipliers(
    factor: GramFactor, s: Float[Array, "m m"], missing: Float[Array, " m"]
) -> Float[Array, " m"]:
    """λ = S⁻¹ missing, refined once: B is an inverse, whose own residual is larger."""
    first = factor.solve(missing)
    found = first + factor.solve(missing - s @ first)
    # NaN never means "missing": it spreads to everything.
    finite = jnp.all(jnp.isfinite(missing)) & (factor.outcome != Outcome.not_finite)
    return jnp.where(finite, found, jnp.nan)


def has_blocks(operator: LinearMap, root: Root) -> bool:
    """Whether there are more rows than are written out, under independent errors."""
    if not isinstance(operator, Rows) or not isinstance(root, Diagonal):
        return False
    return operator.weights.shape[0] > 3


def step_of(mean: Array, multiplier: Array, missing: Array, factor: GramFactor) -> Step:
    """The `Step` of a dense factor."""
    distance = inner(multiplier[None], missing)[0]
    no_steps = jnp.zeros((), jnp.int32)
    return Step(mean, multiplier, distance, factor, factor.outcome, no_steps)


def with_whitened(factor: GramFactor, w: Float[Array, "m r"]) -> GramFactor:
    """The factor with W stored."""
    return GramFactor(factor.scale, factor.whitener, factor.order, factor.log_det, w)


def row_variance(rows: Float[Array, "m *z"]) -> Float[Array, " m"]:
    """|row|² for every row."""
    return jnp.sum(rows * rows, axis=tuple(range(1, rows.ndim)))
