"""Rows that see disjoint points, under independent errors: S is diagonal."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._status import Outcome
from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Factor, unmoved
from physcon.conditioning.solvers.interface import PriorAndLaw
from physcon.conditioning.solvers.refined import Refined, independent_std
from physcon.conditioning.solvers.unsuited import unsuited
from physcon.linear_map import Disjoint, LinearMap, Root


class DiagonalFactor(Factor):
    """d S d, a diagonal matrix near the identity, d powers of two.

    Attributes:
        scale: d.
        pivots: the scaled diagonal; zero for a row that sees no variance.
        present: false for a group without points, which has no row.
    """

    scale: Float[Array, "*g"]
    pivots: Float[Array, "*g"]
    present: Bool[Array, "*g"]

    def kept(self) -> Bool[Array, "*g"]:
        """Which rows can move something."""
        return self.present & ~(self.pivots == 0)

    @property
    def outcome(self) -> Outcome:
        idle = jnp.any(self.present & ~self.kept())
        return Outcome.where(idle, Outcome.redundant, Outcome.good)

    @property
    def log_det(self) -> Scalar:
        kept = self.kept()
        pivots = jnp.log(jnp.where(kept, self.pivots, 1))
        return jnp.sum(pivots - 2 * jnp.log(jnp.where(kept, self.scale, 1)))

    def rank(self, rows: int) -> Array:
        return jnp.sum(self.kept())

    def scaled(self, factor: Scalar) -> "DiagonalFactor":
        return eqx.tree_at(lambda f: f.scale, self, self.scale / factor)

    def units(self, r: Float[Array, "*g"]) -> Float[Array, "*g"]:
        return self.scale

    def solve(self, r: Float[Array, "*g"]) -> Float[Array, "*g"]:
        return self.scale * self._divide(self.scale * r)

    def _divide(self, r: Float[Array, "*g"]) -> Float[Array, "*g"]:
        kept = self.kept()
        return jnp.where(kept, r / jnp.where(kept, self.pivots, 1), 0)

    def variance_removed(self, root: Root, operator: LinearMap) -> Array:
        std = independent_std(root)
        assert std is not None
        assert isinstance(operator, Disjoint)
        ones = jnp.ones_like(self.scale)
        scaled = operator.groups.spread(self.scale) * operator.weights * std
        share = scaled**2 * operator.groups.spread(self._divide(ones))
        return std**2 * share


class DiagonalGram(Refined):
    """Exact, O(n), without a matrix: a `Disjoint` law and independent errors.

    A group adds to every point its multiplier times weight times variance. Use it for
    block means and for totals of labelled regions.
    """

    always: ClassVar[bool] = False
    scales: ClassVar[bool] = True

    @classmethod
    def suits(cls, prior: Gaussian, law: LinearConstraint) -> "DiagonalGram | None":
        known = independent_std(prior.root) is not None
        return cls() if known and isinstance(law.operator, Disjoint) else None

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> DiagonalFactor:
        std, operator = independent_std(prior.root), law.operator
        if std is None or not isinstance(operator, Disjoint):
            given = prior.root, operator
            raise unsuited("DiagonalGram", "a Disjoint operator", given)
        groups = operator.groups
        fields = operator.weights, std.reshape(operator.in_shape)
        size = safe.sqrt(groups.total_of(_variance, fields) + law.noise() ** 2)
        scale = jnp.where(size == 0, 0, 1 / safe.power_of_two(size))
        pivots = _pivots(prior, law, scale)
        return DiagonalFactor(scale, pivots, operator.present())

    def tangent(self, factor: Any, primals: PriorAndLaw, tangents: PriorAndLaw) -> Any:
        def pivots(prior: Gaussian, law: LinearConstraint) -> Array:
            return _pivots(prior, law, factor.scale)

        _, d_pivots = jax.jvp(pivots, primals, tangents)
        return eqx.tree_at(lambda f: f.pivots, unmoved(factor), d_pivots)


def _pivots(
    prior: Gaussian, law: LinearConstraint, scale: Float[Array, "*g"]
) -> Float[Array, "*g"]:
    """The diagonal of d S d for a given `scale` d."""
    std, operator = independent_std(prior.root), law.operator
    assert std is not None
    assert isinstance(operator, Disjoint)
    groups = operator.groups
    fields = operator.weights, std.reshape(operator.in_shape)
    pivots = groups.total_of(_scaled_variance, fields, scale)
    return pivots + (scale * law.noise()) ** 2


def _variance(weight: Array, std: Array) -> Array:
    return (weight * std) ** 2


def _scaled_variance(weight: Array, std: Array, scale: Array) -> Array:
    return (scale * (weight * std)) ** 2
