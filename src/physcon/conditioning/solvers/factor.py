"""What a solver makes of the Gram matrix of a constraint, S = G Σ Gᵀ + N."""

import abc
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._numerics.float64 import split
from physcon._status import Outcome
from physcon._typing import Array, Bool, Float, Int, PyTree, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.linear_map import LinearMap, Root

T = TypeVar("T")


class Factor(eqx.Module):
    """S in a form that is cheap to solve with; a pytree of arrays.

    The fields hold what was computed, in the working precision. `solve` is never
    differentiated: `inverse` gives it its derivative.
    """

    @abc.abstractmethod
    def solve(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        """S⁻¹ r; with redundant rows S⁺ r, in the sense of least squares."""

    def nearest(
        self, r: Float[Array, "*y"], slack: Float[Array, "*y"]
    ) -> Float[Array, "*y"]:
        """`solve`; redundant rows that `slack` suffices for may share it."""
        return self.solve(r)

    def units(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        """One over the standard deviation of each row, roughly; 0 if that is 0.

        Least squares are taken in these units.
        """
        return jnp.ones_like(r)

    def null(
        self,
        v: Float[Array, "*y"],
        met: Bool[Array, "*y"],
        apply: Callable[[Float[Array, "*y"]], Float[Array, "*y"]],
    ) -> Float[Array, "*y"]:
        """A vector with S v = 0 near `v`, for `apply` the product with S.

        A solver whose least squares miss such a vector may return `v`. At rows that are
        `met` v is rounding.
        """
        v = jnp.where(met, 0, v)
        for _ in range(2):  # the second step removes rounding errors of the first
            v = v - self.solve(apply(v))
        return v

    @property
    def null_error(self) -> float:
        """The relative error of `null` beyond rounding."""
        return 0.0

    @property
    def outcome(self) -> Outcome:
        """`good`; `redundant` where S is singular; `not_finite`."""
        return Outcome.good

    @property
    def log_det(self) -> Scalar | None:
        """log det S over the independent rows; None where it is not computed."""
        return None

    def rank(self, rows: int) -> int | Array:
        """Number of independent rows among `rows`."""
        return rows

    def variance_removed(
        self, root: Root, operator: LinearMap
    ) -> Float[Array, "*x"] | None:
        """diag(Σ Gᵀ S⁻¹ G Σ), the decrease of variances; None if it is not cheap."""
        return None

    def scaled(self, factor: Scalar) -> "Factor | None":
        """The factor of S times the square of `factor`, or None if it is not known."""
        return None

    def attempt(
        self, r: Float[Array, "*y"]
    ) -> tuple[Float[Array, "*y"], Outcome, Int[Array, ""]]:
        """`solve`, how it ended, and the number of steps; for iterative solvers."""
        return self.solve(r), self.outcome, jnp.zeros((), jnp.int32)


def over(x: Array, size: Array) -> Array:
    """x / size of a constant size, a power of two.

    Neither the derivative by it nor a division before this one, which XLA would merge
    with it, may form a product of sizes: it can be out of range.
    """
    return x * jax.lax.optimization_barrier(1 / jax.lax.stop_gradient(size))


class OverRows(Factor):
    """The factor of S with its rows and columns divided by `rows`."""

    whole: Factor
    rows: Array

    def solve(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        return self.rows * self.whole.solve(self.rows * r)


class Exact(eqx.Module, Generic[T]):
    """A pytree of float64 arrays as it leaves a float64 context: two parts per array.

    Both parts are rounded to the caller's float32 without loss, so that `tree`, called
    in another float64 context, has 48 bits. Called in float32 it has the rounded
    values.
    """

    high: T
    low: T

    @classmethod
    def of(cls, tree: T, single: bool) -> "Exact[T]":
        """The parts of a pytree of float64 arrays; two parts for single precision.

        Values must fit float32: scale them first.
        """
        values, rest = eqx.partition(tree, eqx.is_inexact_array)
        high = jax.tree.map(lambda x: split(x).high if single else x, values)
        low = jax.tree.map(jnp.subtract, values, high)
        return cls(eqx.combine(high, rest), low)

    def tree(self) -> T:
        """The pytree: high and low parts added."""
        values, rest = eqx.partition(self.high, eqx.is_inexact_array)
        return eqx.combine(jax.tree.map(jnp.add, values, self.low), rest)


def gram_apply(
    root: Root, law: LinearConstraint, y: Float[Array, "*y"]
) -> Float[Array, "*y"]:
    """S y = G Σ Gᵀ y + N y."""
    operator = law.operator
    seen = operator.mv(root.mv(root.rmv(operator.rmv(y))))
    if law.noise_std is None:
        return seen
    return seen + law.noise_std * (law.noise_std * y)


def inverse(factor: Factor, root: Root, law: LinearConstraint) -> Any:
    """The function r -> (S⁻¹ r, outcome, steps), with the derivative of S⁻¹.

    The factor is held fixed: d(S⁻¹ r) = S⁻¹ (dr - dS S⁻¹ r), where dS is the
    derivative of `gram_apply`.
    """

    def solve(_: Any, r: Array) -> tuple[Array, Any]:
        x, outcome, steps = factor.attempt(r)
        return x, (outcome, steps)

    def apply(r: Array) -> Any:
        x, (outcome, steps) = jax.lax.custom_linear_solve(
            lambda y: gram_apply(root, law, y), r, solve, symmetric=True, has_aux=True
        )
        return x, outcome, steps

    return apply


def unmoved(tree: PyTree) -> Any:
    """A zero tangent for every array of a pytree."""

    def zero(x: Array) -> Any:
        if jnp.issubdtype(x.dtype, jnp.inexact):
            return jnp.zeros_like(x)
        return np.zeros(x.shape, jax.dtypes.float0)

    return jax.tree.map(zero, tree)
