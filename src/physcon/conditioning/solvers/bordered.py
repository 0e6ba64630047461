"""A structured law and a few further rows, by sequential conditioning.

The few rows are conditioned on with the posterior of the structured law as the prior.
In terms of S = [[A, B], [Bᵀ, C]] this is elimination of the first block:

    Y = A⁻¹ B,   K = C - Bᵀ Y,   λ_2 = K⁻¹ (r_2 - Yᵀ r_1),   λ_1 = A⁻¹ r_1 - Y λ_2
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._numerics.products import combine, gram, inner
from physcon._numerics.whitening import whitening
from physcon._status import Outcome, worse
from physcon._typing import Array, Float, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Factor, inverse, unmoved
from physcon.conditioning.solvers.interface import Solver
from physcon.conditioning.solvers.refined import Refined
from physcon.linear_map import Layout, LinearMap, Root, Rows, Stack

#: Of a row's variance, given the structured law: less is rounding, the row is
#: redundant.
REDUNDANT = 1e-13


class BorderedFactor(Factor):
    """The factors of the structured law and of the other rows, given that law.

    Attributes:
        inner: the factor of A.
        solved: Y, one array of row values for each of the k further rows.
        scale: d, ``(k,)``.
        whitener: ``(k, k)``, B with B d K d Bᵀ = 1 on the independent rows.
        border_log_det: log det K over the independent rows.
        layout: of the rows; the structured law is the first part.
    """

    inner: Factor
    solved: Float[Array, "k *y"]
    scale: Float[Array, " k"]
    whitener: Float[Array, "k k"]
    border_log_det: Scalar
    layout: Layout

    @property
    def outcome(self) -> Outcome:
        redundant = self._rank() < self.scale.size
        own = Outcome.where(redundant, Outcome.redundant, Outcome.good)
        return worse(own, self.inner.outcome)

    @property
    def log_det(self) -> Scalar | None:
        known = self.inner.log_det
        return None if known is None else known + self.border_log_det

    def scaled(self, factor: Scalar) -> "BorderedFactor | None":
        found = self.inner.scaled(factor)
        if found is None:
            return None
        rank = self._rank().astype(self.scale.dtype)
        log_det = self.border_log_det + 2 * jnp.log(jnp.abs(factor)) * rank
        where = lambda f: (f.inner, f.scale, f.border_log_det)  # noqa: E731
        return eqx.tree_at(where, self, (found, self.scale / factor, log_det))

    def _rank(self) -> Array:
        return jnp.sum(jnp.any(self.whitener != 0, axis=1))

    def rank(self, rows: int) -> Array:
        k = self.scale.size
        return jnp.asarray(self.inner.rank(rows - k)) + self._rank()

    def _white(self, x: Float[Array, "k *s"]) -> Float[Array, "k *s"]:
        weights = self.whitener * self.scale[None]
        return jnp.tensordot(weights, x, axes=1, precision="highest")

    def solve(self, r: Float[Array, " m"]) -> Float[Array, " m"]:
        first, second = self.layout.split(r)
        inner_solution = self.inner.solve(first)
        white = self._white(second - inner(self.solved, first))
        own = self.scale * jnp.matmul(white, self.whitener, precision="highest")
        return self.layout.join([inner_solution - combine(own, self.solved), own])

    def variance_removed(self, root: Root, operator: LinearMap) -> Array | None:
        assert isinstance(operator, Stack)
        structured, border = operator.parts
        removed = self.inner.variance_removed(root, structured)
        if removed is None:
            return None
        left = border.rows() - jax.vmap(structured.rmv)(self.solved)
        seen = jax.vmap(lambda row: root.mv(root.rmv(row)))(left)
        return removed + jnp.sum(self._white(seen) ** 2, axis=0)


class Bordered(Refined):
    """A `Stack` of a structured law and a few dense rows.

    Attributes:
        inner: the solver of the structured law.
    """

    inner: Solver

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> BorderedFactor:
        structured, _ = split_border(law)
        found = self.inner.factorise(prior, structured)
        solved, rest, before = _eliminated(found, prior, law)
        size = safe.sqrt(before)
        scale = jnp.where(size > 0, 1 / safe.power_of_two(size), 0)
        border = scale[:, None] * rest * scale[None, :]
        white = whitening(border, REDUNDANT)
        kept = jnp.any(white.whitener != 0, axis=1)
        unscaled = jnp.where(kept, white.order @ scale, 1)
        log_det = 2 * jnp.sum(jnp.log(white.diagonal) - jnp.log(unscaled))
        assert isinstance(law.operator, Stack)
        return BorderedFactor(
            found, solved, scale, white.whitener, log_det, law.operator.layout
        )

    def tangent(
        self,
        factor: Any,
        primals: tuple[Gaussian, LinearConstraint],
        tangents: tuple[Gaussian, LinearConstraint],
    ) -> Any:
        """As of `DenseGram`, at the factor of the structured law that is known."""
        (prior, law), (d_prior, d_law) = primals, tangents
        structured, _ = split_border(law)
        _, d_structured = jax.jvp(lambda c: split_border(c)[0], (law,), (d_law,))
        d_inner = self.inner.tangent(
            factor.inner, (prior, structured), (d_prior, d_structured)
        )
        _, (d_solved, d_rest, _) = jax.jvp(
            lambda p, c: _eliminated(factor.inner, p, c), primals, tangents
        )
        weights = factor.whitener * factor.scale[None]
        change = weights @ d_rest @ weights.T
        eye = jnp.eye(factor.scale.size, dtype=change.dtype)
        half = jnp.tril(jnp.ones_like(change)) - 0.5 * eye
        d_whitener = -(change * half) @ factor.whitener
        return eqx.tree_at(
            lambda f: (f.inner, f.solved, f.whitener, f.border_log_det),
            unmoved(factor),
            (d_inner, d_solved, d_whitener, jnp.sum(eye * change)),
        )


def split_border(law: LinearConstraint) -> tuple[LinearConstraint, LinearConstraint]:
    """The structured law and the further rows of a `Stack` of the two."""
    operator = law.operator
    if (
        not isinstance(operator, Stack)
        or len(operator.parts) != 2
        or not isinstance(operator.parts[1], Rows)
    ):
        raise ValueError(
            "expected a Stack of a structured operator and dense Rows for Bordered, "
            "got "
            f"{type(operator).__name__}; build the law with stack, or pass solver=None "
            "to have one chosen"
        )
    values = operator.layout.split(law.value)
    noises: list[Any] = [None, None]
    if law.noise_std is not None:
        noises = operator.layout.split(law.noise_std)
    first, second = (
        LinearConstraint(part, value, noise)
        for part, value, noise in zip(operator.parts, values, noises, strict=True)
    )
    return first, second


def _eliminated(
    found: Factor, prior: Gaussian, law: LinearConstraint
) -> tuple[Float[Array, "k *y"], Float[Array, "k k"], Float[Array, " k"]]:
    """Y, K, and the diagonal of C. The factor of A is held fixed; Y has the derivative
    of A⁻¹ B.
    """
    structured, border = split_border(law)
    root = prior.root
    rows = border.operator.rows()
    white = jax.vmap(root.rmv)(rows)
    coupled = jax.vmap(lambda z: structured.operator.mv(root.mv(z)))(white)
    solve = inverse(found, root, structured)
    # One at a time: a solve of many right-hand sides at once needs as many copies.
    solved = jax.lax.map(lambda column: solve(column)[0], coupled)
    whole = gram(white)
    if border.noise_std is not None:
        whole = whole + jnp.diag(border.noise_std**2)
    flat = coupled.reshape(coupled.shape[0], -1)
    known = jnp.matmul(flat, solved.reshape(flat.shape).T, precision="highest")
    rest = whole - 0.5 * (known + known.T)
    return solved, rest, jnp.diag(whole)
