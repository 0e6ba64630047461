"""A structured law and a few further rows, by sequential conditioning.

The few rows are conditioned on with the posterior of the structured law as the prior.
In terms of S = [[A, B], [Bᵀ, C]] this is elimination of the first block:

    Y = A⁻¹ B,   K = C - Bᵀ Y,   λ_2 = K⁻¹ (r_2 - Yᵀ r_1),   λ_1 = A⁻¹ r_1 - Y λ_2
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._numerics.products import along_rows, combine, gram, inner
from physcon._numerics.whitening import whitening
from physcon._status import Outcome, worse
from physcon._typing import Array, Float, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Factor, OverRows, inverse, over, unmoved
from physcon.conditioning.solvers.interface import PriorAndLaw, Solver
from physcon.conditioning.solvers.refined import Refined
from physcon.conditioning.solvers.units import law_over, sized
from physcon.linear_map import Layout, LinearMap, Root, Rows, Stack

#: Of a row's variance, given the structured law: less is rounding, the row is
#: redundant.
REDUNDANT = 1e-13


class BorderedFactor(Factor):
    """The factors of the structured law and of the other rows, given that law.

    Attributes:
        inner: the factor of A.
        rows: powers of two near the standard deviations of the structured rows, or
            near the size of all of them.
        scale: d, powers of two, ``(k,)``.
        solved: rows Y d, one array of row values for each of the k further rows.
        whitener: ``(k, k)``, B with B d K d Bᵀ = 1 on the independent rows.
        border_log_det: log det K over the independent rows.
        layout: of the rows; the structured law is the first part.
    """

    inner: Factor
    rows: Array
    scale: Float[Array, " k"]
    solved: Float[Array, "k *y"]
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
        rows = self.rows * factor
        where = lambda f: (f.inner, f.rows, f.scale, f.border_log_det)  # noqa: E731
        return eqx.tree_at(where, self, (found, rows, self.scale / factor, log_det))

    def _rank(self) -> Array:
        return jnp.sum(jnp.any(self.whitener != 0, axis=1))

    def rank(self, rows: int) -> Array:
        k = self.scale.size
        return jnp.asarray(self.inner.rank(rows - k)) + self._rank()

    def _white(self, x: Float[Array, "k *s"]) -> Float[Array, "k *s"]:
        return jnp.tensordot(self.whitener, x, axes=1, precision="highest")

    def units(self, r: Float[Array, " m"]) -> Float[Array, " m"]:
        first, _ = self.layout.split(r)
        return self.layout.join([self.inner.units(first), self.scale])

    def solve(self, r: Float[Array, " m"]) -> Float[Array, " m"]:
        first, second = self.layout.split(r)
        inner_solution = self.inner.solve(first)
        white = self._white(
            self.scale * second - inner(self.solved, over(first, self.rows))
        )
        own = jnp.matmul(white, self.whitener, precision="highest")
        moved = inner_solution - over(combine(own, self.solved), self.rows)
        return self.layout.join([moved, self.scale * own])

    def variance_removed(self, root: Root, operator: LinearMap) -> Array | None:
        assert isinstance(operator, Stack)
        structured, border = operator.parts
        removed = self.inner.variance_removed(root, structured)
        if removed is None:
            return None
        rows = along_rows(self.scale, border.rows())
        known = jax.vmap(lambda y: structured.rmv(over(y, self.rows)))(self.solved)
        left = rows - known
        seen = jax.vmap(lambda row: root.mv(root.rmv(row)))(left)
        return removed + jnp.sum(self._white(seen) ** 2, axis=0)


class Bordered(Refined):
    """A `Stack` of a structured law and a few dense rows.

    Attributes:
        inner: the solver of the structured law.
    """

    reweighs: ClassVar[bool] = True
    inner: Solver

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> BorderedFactor:
        structured, _ = split_border(law)
        found = self.inner.factorise(prior, structured)
        _, rows = sized(prior.root, structured)
        scale = _border_scale(prior, law)
        solved, rest = _eliminated(found, prior, law, rows, scale)
        white = whitening(rest, REDUNDANT)
        kept = jnp.any(white.whitener != 0, axis=1)
        unscaled = jnp.where(kept, white.order @ scale, 1)
        log_det = 2 * jnp.sum(jnp.log(white.diagonal) - jnp.log(unscaled))
        assert isinstance(law.operator, Stack)
        layout = law.operator.layout
        return BorderedFactor(
            found, rows, scale, solved, white.whitener, log_det, layout
        )

    def tangent(self, factor: Any, primals: PriorAndLaw, tangents: PriorAndLaw) -> Any:
        """As of `DenseGram`, at the factor of the structured law that is known."""
        (prior, law), (d_prior, d_law) = primals, tangents
        structured, _ = split_border(law)
        _, d_structured = jax.jvp(lambda c: split_border(c)[0], (law,), (d_law,))
        d_inner = self.inner.tangent(
            factor.inner, (prior, structured), (d_prior, d_structured)
        )
        _, (d_solved, d_rest) = jax.jvp(
            lambda p, c: _eliminated(factor.inner, p, c, factor.rows, factor.scale),
            primals,
            tangents,
        )
        change = factor.whitener @ d_rest @ factor.whitener.T
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


def _border_scale(prior: Gaussian, law: LinearConstraint) -> Float[Array, " k"]:
    """d with a diagonal of d C d near 1; zero for a row that sees no variance."""
    _, border = split_border(law)
    white = jax.vmap(prior.root.rmv)(border.operator.rows())
    variance = jnp.diag(gram(white)) + border.noise() ** 2
    size = safe.sqrt(variance)
    return jnp.where(size > 0, 1 / safe.power_of_two(size), 0)


def _eliminated(
    found: Factor,
    prior: Gaussian,
    law: LinearConstraint,
    size: Array,
    scale: Float[Array, " k"],
) -> tuple[Float[Array, "k *y"], Float[Array, "k k"]]:
    """size Y d and d K d. The factor of A is held fixed; Y has the derivative of A⁻¹ B.

    Args:
        size: by which the structured rows are divided.
        scale: d.
    """
    structured, border = split_border(law)
    structured = law_over(structured, size)
    root = prior.root
    rows = along_rows(scale, border.operator.rows())
    white = jax.vmap(root.rmv)(rows)
    coupled = jax.vmap(lambda z: structured.operator.mv(root.mv(z)))(white)
    solve = inverse(OverRows(found, size), root, structured)
    # One at a time: a solve of many right-hand sides at once needs as many copies.
    solved = jax.lax.map(lambda column: solve(column)[0], coupled)
    whole = gram(white)
    if border.noise_std is not None:
        whole = whole + jnp.diag((scale * border.noise_std) ** 2)
    flat = coupled.reshape(coupled.shape[0], -1)
    known = jnp.matmul(flat, solved.reshape(flat.shape).T, precision="highest")
    return solved, whole - 0.5 * (known + known.T)
