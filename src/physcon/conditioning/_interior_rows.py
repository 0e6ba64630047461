"""The interior point of `constrained` where only rows have bounds, and all are dense.

Then the field is u = μ + Σ Gᵀ λ at every step, so that the values s of the inequality
rows C u are the only unknowns. Given the equality rows A u + N λ = b,

    s ~ N(C μ + C R Wᵀ S⁻¹ (b - A μ), K),    K = C R (1 - Wᵀ S⁻¹ W) Rᵀ Cᵀ

with Σ = R Rᵀ, W = A R and S = W Wᵀ + N. K is the same in all steps, which therefore
cost one Cholesky factor of the size of the inequalities. In a batch that shares its
rows and variances, K is computed once.
"""

import jax
import jax.numpy as jnp

from physcon._typing import Array, Bool, Float, Shape
from physcon.conditioning._interior import Interior, interior_point
from physcon.conditioning._interior_box import Boxed
from physcon.conditioning._metric import Metric
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.gram import REDUNDANT, factor_gram
from physcon.conditioning.gram_verdict import whiten
from physcon.conditioning.solvers.factor import Factor
from physcon.conditioning.solvers.interface import Solver
from physcon.linear_map import LinearMap


class _Kept(LinearMap):
    """Rows ``(k, z)`` of which only some count; the others are zero.

    The rows themselves are not multiplied, so that a batch can share them.
    """

    weights: Float[Array, "k z"]
    keep: Float[Array, " k"]  # 1 or 0

    @property
    def in_shape(self) -> Shape:
        return self.weights.shape[1:]

    @property
    def out_shape(self) -> Shape:
        return self.weights.shape[:1]

    def mv(self, x: Array) -> Array:
        return self.keep * jnp.matmul(self.weights, x, precision="highest")

    def rmv(self, y: Array) -> Array:
        return jnp.matmul(self.keep * y, self.weights, precision="highest")

    def magnitude(self, x: Array) -> Array:
        return self.keep * jnp.matmul(jnp.abs(self.weights), jnp.abs(x))


class _Cholesky(Factor):
    """d S d = L Lᵀ, with a jitter that one step of refinement removes."""

    matrix: Float[Array, "k k"]  # d S d
    lower: Float[Array, "k k"]
    scale: Float[Array, " k"]  # d

    def solve(self, r: Float[Array, " k"]) -> Float[Array, " k"]:
        right = self.scale * r
        first = jax.scipy.linalg.cho_solve((self.lower, True), right)
        left = right - jnp.matmul(self.matrix, first, precision="highest")
        return self.scale * (
            first + jax.scipy.linalg.cho_solve((self.lower, True), left)
        )


class _FixedGram(Solver):
    """S = K + N, where only N changes."""

    gram: Float[Array, "k k"]

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> _Cholesky:
        k = self.gram.shape[0]
        eye = jnp.eye(k, dtype=self.gram.dtype)
        matrix = self.gram + eye * (law.noise() ** 2)[:, None]
        diagonal = jnp.diagonal(matrix)
        seen = diagonal > 0
        scale = jnp.where(seen, jnp.where(seen, diagonal, 1) ** -0.5, 1)
        matrix = scale[:, None] * matrix * scale[None, :]
        jitter = jnp.where(seen, 4 * k * float(jnp.finfo(matrix.dtype).eps), 1)
        lower = jnp.linalg.cholesky(matrix + eye * jitter[:, None])
        return _Cholesky(matrix, lower, scale)


def interior_point_of_rows(
    problem: Boxed, prior: Gaussian, equalities: int, kept: Bool[Array, " m"]
) -> Interior:
    """As `interior_point`, for a field without bounds.

    Args:
        problem: its equality rows come first, and only they may have noise.
        equalities: their number.
        kept: false for rows that are open at both ends.
    """
    shape = problem.noise.shape
    noise_std = jnp.sqrt(problem.noise.reshape(-1))
    mean, root, operator = prior.mean, prior.root, problem.operator
    low, high = problem.row_lower.reshape(-1), problem.row_upper.reshape(-1)
    white = whiten(operator, root).reshape(low.size, -1)
    first, second = white[:equalities], white[equalities:]
    # Errors of the equality rows are further unknowns.
    errors = jnp.diag(noise_std[:equalities])
    first = jnp.concatenate([first, errors], axis=1)
    second = jnp.pad(second, ((0, 0), (0, equalities)))
    none = jnp.zeros(equalities, first.dtype)
    solve = _nothing
    if equalities:
        factor, _ = factor_gram(_product(first, first.T), None, none, REDUNDANT)
        solve = factor.solve
    solved = jax.vmap(solve)(_product(second, first.T))
    rest = second - _product(solved, first)

    predicted = operator.mv(mean).reshape(-1)
    missing = low[:equalities] - predicted[:equalities]
    start = predicted[equalities:] + _product(solved, missing)
    keep = kept.reshape(-1)[equalities:].astype(low.dtype)
    latent = jnp.zeros(rest.shape[1], low.dtype)
    reduced = Boxed(
        latent,
        Metric(jnp.ones_like(latent), None),
        _Kept(rest, keep),
        jnp.zeros_like(start),
        jnp.full_like(latent, -jnp.inf),
        jnp.full_like(latent, jnp.inf),
        jnp.where(keep > 0, low[equalities:] - start, 0),
        jnp.where(keep > 0, high[equalities:] - start, 0),
    )
    gram = _product(rest, rest.T) * keep[:, None] * keep[None, :]
    found = interior_point(reduced, _FixedGram(gram))
    active = keep * found.multiplier
    own = solve(missing) - _product(active, solved)
    multiplier = jnp.concatenate([own, active]).reshape(shape)
    field = mean + root.mv(root.rmv(operator.rmv(multiplier)))
    free = jnp.zeros(mean.shape, bool)
    none = jnp.zeros(equalities, bool)
    row_below, row_above = (
        jnp.concatenate([none, flags]).reshape(shape)
        for flags in (found.row_below, found.row_above)
    )
    return Interior(field, multiplier, free, free, row_below, row_above, found.steps)


def _nothing(r: Array) -> Array:
    """The solution of a system without equations."""
    return r


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
