"""Linear maps between arrays: observation operators G and covariance roots alike.

A map knows `mv` (apply) and `rmv` (apply the transpose) on arrays of any shape, so
fields need no flattening. Leaves are arrays only: jit, vmap and grad work on a map as
on any array.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require, require_shape
from physcon._numerics.products import combine, inner
from physcon._typing import Array, Float, PyTree, Shape


class LinearMap(eqx.Module):
    """A linear map A from arrays of `in_shape` to arrays of `out_shape`."""

    @property
    @abc.abstractmethod
    def in_shape(self) -> Shape:
        """Shape of x in A x."""

    @property
    @abc.abstractmethod
    def out_shape(self) -> Shape:
        """Shape of A x."""

    @abc.abstractmethod
    def mv(self, x: Array) -> Array:
        """A x."""

    @abc.abstractmethod
    def rmv(self, y: Array) -> Array:
        """Aᵀ y."""

    def rows(self) -> Float[Array, "m *x"]:
        """The map as an array ``(m, *in_shape)``, m the size of the output: for a few
        rows only.
        """
        size = 1
        for n in self.out_shape:
            size *= n
        basis = jnp.eye(size).reshape(size, *self.out_shape)
        return jax.vmap(self.rmv)(basis)

    def gram_diagonal(self) -> Array:
        """diag(A Aᵀ): the variances, if A is the root of a covariance. Overridden where
        cheap.
        """
        size = 1
        for n in self.out_shape:
            size *= n

        def norm(i: Array) -> Array:
            row = self.rmv(
                (jnp.arange(size) == i).astype(float).reshape(self.out_shape)
            )
            return jnp.sum(row**2)

        # In blocks, so that the rows never stand in memory together.
        norms = jax.lax.map(norm, jnp.arange(size), batch_size=min(size, 64))
        return norms.reshape(self.out_shape)

    def total(self, x: PyTree) -> PyTree:
        """Sums over the field, complete: added up over devices where the field is
        divided.
        """
        return x

    def undiminished(self) -> "LinearMap":
        """The map before any subtraction: for the root of a posterior, the root of its
        prior.
        """
        return self

    def covariance_root_rank(self) -> int | Array:
        """Dimension of the support of N(0, A Aᵀ)."""
        raise NotImplementedError(f"the rank of {type(self).__name__} is not known")

    def tangential(self, rows: Float[Array, "m *x"]) -> Float[Array, "m *x"]:
        """The part of each row along the support of N(0, A Aᵀ): all, unless the map
        says less.
        """
        return rows

    def solve(self, y: Array) -> Array:
        """A⁻¹ y, for a map with a cheap inverse."""
        raise NotImplementedError(f"{type(self).__name__} has no cheap inverse")

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        """eᵀ (A Aᵀ)⁺ e; infinite if e leaves the range of A by more than rounding of
        `scale`.
        """
        return jnp.sum(self.solve(e) ** 2)

    def log_volume(self) -> Array:
        """½ log of the pseudo-determinant of A Aᵀ."""
        raise NotImplementedError(
            f"{type(self).__name__} has no density; ask for samples instead"
        )


#: Relative size of rounding in fields of the default precision, with some room.
ROUNDING = 8 * float(jnp.finfo(jnp.float32).eps)


class Diagonal(LinearMap):
    """Multiplication by an array: the root of independent errors is their standard
    deviation.
    """

    diagonal: Float[Array, "*x"]

    @property
    def in_shape(self) -> Shape:
        return self.diagonal.shape

    @property
    def out_shape(self) -> Shape:
        return self.diagonal.shape

    def mv(self, x: Float[Array, "*x"]) -> Float[Array, "*x"]:
        return self.diagonal * x

    def rmv(self, y: Float[Array, "*x"]) -> Float[Array, "*x"]:
        return self.diagonal * y

    def rows(self) -> Float[Array, "m *x"]:
        return jnp.diag(self.diagonal.reshape(-1)).reshape(-1, *self.in_shape)

    def gram_diagonal(self) -> Float[Array, "*x"]:
        return self.diagonal**2

    def covariance_root_rank(self) -> Array:
        return jnp.sum(self.diagonal != 0)

    def tangential(self, rows: Float[Array, "m *x"]) -> Float[Array, "m *x"]:
        return jnp.where(self.diagonal[None] != 0, rows, 0)

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        free = self.diagonal != 0
        distance = jnp.sum(
            jnp.where(free, e / jnp.where(free, self.diagonal, 1), 0) ** 2
        )
        off = jnp.any(~free & (jnp.abs(e) > ROUNDING * scale))
        return jnp.where(off, jnp.inf, distance)

    def solve(self, y: Float[Array, "*x"]) -> Float[Array, "*x"]:
        return y / self.diagonal

    def log_volume(self) -> Array:
        return jnp.sum(
            jnp.log(jnp.abs(jnp.where(self.diagonal != 0, self.diagonal, 1)))
        )


class Rows(LinearMap):
    """A few dense rows over a field: ``weights`` of shape ``(m, *x)``; (G u)_r = Σ
    weights_r u.
    """

    weights: Float[Array, "m *x"]

    def __check_init__(self) -> None:
        require(
            self.weights.ndim >= 2,
            "weights of shape (m, *x)",
            self.weights.shape,
            "put the row axis first: weights[None] for one row",
        )

    @property
    def in_shape(self) -> Shape:
        return self.weights.shape[1:]

    @property
    def out_shape(self) -> Shape:
        return self.weights.shape[:1]

    def mv(self, x: Float[Array, "*x"]) -> Float[Array, " m"]:
        require_shape(x, self.in_shape, "the field")
        return inner(self.weights, x)

    def rmv(self, y: Float[Array, " m"]) -> Float[Array, "*x"]:
        require_shape(y, self.out_shape, "the row values")
        return combine(y, self.weights)

    def rows(self) -> Float[Array, "m *x"]:
        return self.weights
