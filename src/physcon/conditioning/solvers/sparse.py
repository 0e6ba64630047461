"""Sparse rows under independent errors: a sparse Cholesky factor of S."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics import sparse
from physcon._numerics.sparse import Factored, pick, refactor
from physcon._status import Outcome
from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Factor, unmoved
from physcon.conditioning.solvers.interface import PriorAndLaw
from physcon.conditioning.solvers.nearest import nearest
from physcon.conditioning.solvers.refined import Refined, independent_std
from physcon.conditioning.solvers.unsuited import unsuited
from physcon.linear_map import LinearMap, Root, Sparse


class SparseFactor(Factor):
    """d S d = L Lᵀ on the independent rows.

    Attributes:
        factored: L, d, and the rows that are kept.
        entries: the stored entries of d S d.
        present: false for a row without entries, which is no row.
        log_determinant: log det S over the rows that are kept.
    """

    factored: Factored
    entries: Float[Array, " s"]
    present: Bool[Array, " m"]
    log_determinant: Scalar

    @property
    def log_det(self) -> Scalar:
        return self.log_determinant

    def _dropped(self) -> Bool[Array, " m"]:
        return self.present & ~self.factored.kept

    @property
    def outcome(self) -> Outcome:
        redundant = jnp.any(self._dropped())
        found = Outcome.where(redundant, Outcome.redundant, Outcome.good)
        return Outcome.where(self.factored.regular, found, Outcome.not_solved)

    def rank(self, rows: int) -> Array:
        return jnp.sum(self.factored.kept)

    def scaled(self, factor: Scalar) -> "SparseFactor":
        kept = jnp.sum(self.factored.kept).astype(self.entries.dtype)
        log_det = self.log_determinant + 2 * jnp.log(jnp.abs(factor)) * kept
        # A row without variance has no unit.
        seen = self.entries[: self.factored.scale.size] != 0
        scale = jnp.where(seen, self.factored.scale / factor, self.factored.scale)
        where = lambda f: (f.factored.scale, f.log_determinant)  # noqa: E731
        return eqx.tree_at(where, self, (scale, log_det))

    def _times(self, x: Float[Array, " m"]) -> Float[Array, " m"]:
        """d S d x."""
        pattern = self.factored.pattern
        m = pattern.size
        low = self.entries * pick(x, pattern.column)
        high = jnp.where(pattern.row == pattern.column, 0, self.entries)
        high = high * pick(x, pattern.row)
        total = jax.ops.segment_sum(low, pattern.row, m)
        return total + jax.ops.segment_sum(high, pattern.column, m)

    def solve(self, r: Float[Array, " m"]) -> Float[Array, " m"]:
        """S⁻¹ r, refined once."""
        return self.nearest(r, jnp.zeros_like(r))

    def nearest(
        self, r: Float[Array, " m"], slack: Float[Array, " m"]
    ) -> Float[Array, " m"]:
        scale = jnp.where(self.present, self.factored.scale, 0)
        dropped = self._dropped()
        found = nearest(self.factored, self._times, dropped, scale * r, scale * slack)
        return scale * jnp.where(self.factored.regular, found, jnp.nan)

    def units(self, r: Float[Array, " m"]) -> Float[Array, " m"]:
        return jnp.where(self.entries[: r.size] == 0, 0, self.factored.scale)

    def null(
        self,
        v: Float[Array, " m"],
        met: Bool[Array, " m"],
        apply: Callable[[Array], Array],
    ) -> Float[Array, " m"]:
        return v  # what least squares miss; one more solve would be compiled

    def variance_removed(self, root: Root, operator: LinearMap) -> Array:
        std = independent_std(root)
        assert std is not None
        assert isinstance(operator, Sparse)
        gram = operator.gram
        assert gram is not None
        inverse = sparse.selected_inverse(self.factored)
        scale = pick(self.factored.scale, operator.row)
        scaled = scale * operator.entries * pick(std, operator.column)
        twice = jnp.where(gram.first == gram.second, 1.0, 2.0)
        terms = pick(scaled, gram.first) * pick(scaled, gram.second)
        terms = twice * terms * pick(inverse, gram.entry)
        column = operator.column.at[gram.first].get(mode="promise_in_bounds")
        share = jax.ops.segment_sum(terms, column, std.size).reshape(std.shape)
        return std**2 * share


class SparseCholesky(Refined):
    """A sparse law (`from_matrix`, `incidence`) and independent errors.

    Nested dissection on the host when the law is built, then a multifrontal
    factorisation in JAX. The determinant and the variances come from the same factor.
    """

    always: ClassVar[bool] = False
    scales: ClassVar[bool] = True
    #: Whether no exact row is implied by others, which saves the search for such rows.
    trusted: Bool[Array, ""] | None = None

    @classmethod
    def suits(cls, prior: Gaussian, law: LinearConstraint) -> "SparseCholesky | None":
        operator = law.operator
        known = independent_std(prior.root) is not None
        fits = isinstance(operator, Sparse) and operator.gram is not None
        return cls() if known and fits else None

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> SparseFactor:
        operator = _sparse(prior, law)
        assert operator.gram is not None
        present = operator.present()
        entries = _entries(prior.root, law)
        pattern = operator.gram.pattern
        trusted = False if self.trusted is None else self.trusted
        factored = sparse.factorise(pattern, entries, present, trusted)
        scaled = sparse.scaled(factored, entries)
        return SparseFactor(factored, scaled, present, sparse.log_det(factored))

    def tangent(self, factor: Any, primals: PriorAndLaw, tangents: PriorAndLaw) -> Any:
        """d log det S = tr(S⁻¹ dS), with S⁻¹ where S has entries only."""
        factored = factor.factored

        def scaled(prior: Gaussian, law: LinearConstraint) -> Array:
            return _entries(prior.root, law, factored.scale)

        _, d_entries = jax.jvp(scaled, primals, tangents)
        pattern = factored.pattern
        twice = jnp.where(pattern.row == pattern.column, 1.0, 2.0)
        inverse = sparse.selected_inverse(factored)
        _, d_fronts = jax.jvp(
            lambda entries: refactor(factored, entries), (factor.entries,), (d_entries,)
        )
        d_log_det = jnp.sum(twice * inverse * d_entries)
        return eqx.tree_at(
            lambda f: (f.factored.fronts, f.entries, f.log_determinant),
            unmoved(factor),
            (d_fronts, d_entries, d_log_det),
        )


def _sparse(prior: Gaussian, law: LinearConstraint) -> Sparse:
    operator = law.operator
    if independent_std(prior.root) is None or not isinstance(operator, Sparse):
        given = prior.root, operator
        remedy = (
            "build the law with from_matrix, or pass solver=None to have one chosen"
        )
        raise unsuited("SparseCholesky", "a Sparse operator", given, remedy)
    if operator.gram is None:
        raise ValueError(
            "expected a Sparse operator with a sparse factor, got one whose rows are "
            "coupled so much that elimination would fill the matrix; pass "
            "solver=ConjugateGradient(), or stack dense rows last"
        )
    return operator


def _entries(
    root: Root, law: LinearConstraint, scale: Float[Array, " m"] | None = None
) -> Float[Array, " s"]:
    """The stored entries of S, or of d S d for a given `scale` d.

    Rows are scaled before anything is squared, since float32 holds no squares of 1e-30.
    """
    std, operator = independent_std(root), law.operator
    assert std is not None
    assert isinstance(operator, Sparse)
    gram = operator.gram
    assert gram is not None
    reach = operator.entries * pick(std, operator.column)
    noise = law.noise()
    if scale is not None:
        reach = pick(scale, operator.row) * reach
        noise = scale * noise
    terms = pick(reach, gram.first) * pick(reach, gram.second)
    stored = gram.pattern.row.shape[0]
    entries = jax.ops.segment_sum(terms, gram.entry, stored)
    return entries.at[: operator.count].add(noise**2)
