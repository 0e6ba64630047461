"""Low-rank errors on top of independent ones, around any solver for the latter.

With Σ = D + Fᵀ F and S_D the Gram matrix under D alone, W = G Fᵀ (one column a vector):

    S = S_D + W Wᵀ,   Y = S_D⁻¹ W,   C = 1 + Wᵀ Y,   S⁻¹ = S_D⁻¹ - Y C⁻¹ Yᵀ

Source: Woodbury (1950); Rasmussen and Williams (2006), eqs. A.9 and A.10.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._extremes import largest_of
from physcon._numerics.products import combine, inner
from physcon._numerics.small import cholesky, lower_inverse
from physcon._status import Outcome, worse
from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Factor, OverRows, inverse, over, unmoved
from physcon.conditioning.solvers.interface import PriorAndLaw, Solver
from physcon.conditioning.solvers.refined import Refined, diagonal_and_vectors
from physcon.conditioning.solvers.units import law_over, sized
from physcon.linear_map import Diagonal, LinearMap, Root


class WoodburyFactor(Factor):
    """The factors of S_D and of C.

    Attributes:
        inner: the factor of S_D.
        rows: d, powers of two near the standard deviations of the rows, ``(*y)``, or
            near the size of all of them.
        solved: Y d, ``(r, *y)``.
        whitener: ``(r, r)``, L⁻¹ with C = L Lᵀ.
        missed: the vectors are seen by a row that S_D counts as redundant.
    """

    inner: Factor
    rows: Array
    solved: Float[Array, "r *y"]
    whitener: Float[Array, "r r"]
    missed: Bool[Array, ""]

    @property
    def outcome(self) -> Outcome:
        unseen = Outcome.where(self.missed, Outcome.not_solved, Outcome.good)
        return worse(unseen, self.inner.outcome)

    @property
    def log_det(self) -> Scalar | None:
        known = self.inner.log_det
        if known is None:
            return None
        return known - 2 * jnp.sum(jnp.log(jnp.diagonal(self.whitener)))

    def rank(self, rows: int) -> int | Array:
        return self.inner.rank(rows)

    def scaled(self, factor: Scalar) -> "WoodburyFactor | None":
        found = self.inner.scaled(factor)
        if found is None:
            return None
        rows = self.rows * factor
        return eqx.tree_at(lambda f: (f.inner, f.rows), self, (found, rows))

    def _white(self, x: Float[Array, "r *s"]) -> Float[Array, "r *s"]:
        return jnp.tensordot(self.whitener, x, axes=1, precision="highest")

    def units(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        return self.inner.units(r)

    def solve(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        columns = self._white(self.solved)
        moved = combine(inner(columns, over(r, self.rows)), columns)
        return self.inner.solve(r) - over(moved, self.rows)

    def variance_removed(self, root: Root, operator: LinearMap) -> Array | None:
        """Given z, the field has the variances of the inner posterior; z has C⁻¹."""
        diagonal, vectors = _parts(root)
        removed = self.inner.variance_removed(Diagonal(diagonal), operator)
        if removed is None:
            return None
        pulled = jax.vmap(lambda y: operator.rmv(over(y, self.rows)))(self.solved)
        moved = vectors - diagonal[None] ** 2 * pulled
        left = jnp.sum(self._white(moved) ** 2, axis=0)
        return removed + jnp.sum(vectors**2, axis=0) - left


class Woodbury(Refined):
    """Independent errors and a low-rank part, such as an ensemble: O(n r).

    Attributes:
        inner: the solver under the independent errors alone.
    """

    reweighs: ClassVar[bool] = True
    inner: Solver

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> WoodburyFactor:
        found = self.inner.factorise(_independent(prior), law)
        _, rows = sized(_independent(prior).root, law)
        solved, inside, missed = _eliminated(found, prior, law, rows)
        whitener = lower_inverse(cholesky(inside))
        return WoodburyFactor(found, rows, solved, whitener, missed)

    def tangent(self, factor: Any, primals: PriorAndLaw, tangents: PriorAndLaw) -> Any:
        """The derivative at the inner factor that is known."""
        _, d_prior = jax.jvp(_independent, primals[:1], tangents[:1])
        d_inner = self.inner.tangent(
            factor.inner, (_independent(primals[0]), primals[1]), (d_prior, tangents[1])
        )
        _, (d_solved, d_inside, _) = jax.jvp(
            lambda p, c: _eliminated(factor.inner, p, c, factor.rows),
            primals,
            tangents,
        )
        change = factor.whitener @ d_inside @ factor.whitener.T
        half = jnp.tril(jnp.ones_like(change))
        half = half - 0.5 * jnp.eye(half.shape[0], dtype=half.dtype)
        d_whitener = -(change * half) @ factor.whitener
        return eqx.tree_at(
            lambda f: (f.inner, f.solved, f.whitener),
            unmoved(factor),
            (d_inner, d_solved, d_whitener),
        )


def _parts(root: Root) -> tuple[Array, Array]:
    found = diagonal_and_vectors(root)
    if found is None:
        raise ValueError(
            "expected a sum of a Diagonal and LowRank parts for Woodbury, got "
            f"{type(root).__name__}; pass solver=None to have one chosen"
        )
    return found


def _independent(prior: Gaussian) -> Gaussian:
    """The prior without its low-rank part."""
    return Gaussian(prior.mean, Diagonal(_parts(prior.root)[0]))


def _eliminated(
    found: Factor, prior: Gaussian, law: LinearConstraint, rows: Array
) -> tuple[Float[Array, "r *y"], Float[Array, "r r"], Bool[Array, ""]]:
    """Y d, C, and whether S_D Y misses W.

    The factor of S_D is held fixed; Y has the derivative of S_D⁻¹ W.

    Args:
        rows: d, by which all rows are divided.
    """
    diagonal, vectors = _parts(prior.root)
    law = law_over(law, rows)
    seen = jax.vmap(law.operator.mv)(vectors)
    solve = inverse(OverRows(found, rows), Diagonal(diagonal), law)
    solved = jax.lax.map(lambda column: solve(column)[0], seen)
    flat = seen.reshape(seen.shape[0], -1)
    inside = jnp.matmul(flat, solved.reshape(flat.shape).T, precision="highest")
    eye = jnp.eye(flat.shape[0], dtype=flat.dtype)
    apply = jax.vmap(lambda y: _gram(diagonal, law, y))
    frozen = jax.lax.stop_gradient((seen, solved))
    left = largest_of(jnp.abs(frozen[0] - apply(frozen[1])), initial=0)
    missed = left > 1e-6 * largest_of(jnp.abs(frozen[0]), initial=0)
    return solved, eye + 0.5 * (inside + inside.T), missed


def _gram(diagonal: Array, law: LinearConstraint, y: Array) -> Array:
    diagonal, law = jax.lax.stop_gradient((diagonal, law))
    operator = law.operator
    seen = operator.mv(diagonal * (diagonal * operator.rmv(y)))
    return seen if law.noise_std is None else seen + law.noise_std**2 * y
