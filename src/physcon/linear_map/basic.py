"""Linear maps between arrays: observation operators G and covariance roots R.

A map has `mv` (apply) and `rmv` (apply the transpose) on arrays of any shape, so that
fields need no flattening. Leaves are arrays only: jit, vmap and grad work on a map as
on any array.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._arguments import check_fields
from physcon._typing import Array, Float, PyTree, Scalar, Shape


class LinearMap(eqx.Module):
    """A linear map A from arrays of `in_shape` to arrays of `out_shape`.

    These four members make an observation operator. The root of a covariance needs a
    few more: see `Root`.
    """

    def __check_init__(self) -> None:
        check_fields(self)

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
        """A as an array ``(m, *in_shape)``, m the size of the output; for small m."""
        m = size(self.out_shape)
        basis = jnp.eye(m).reshape(m, *self.out_shape)
        return jax.vmap(self.rmv)(basis)

    def magnitude(self, x: Array) -> Array:
        """|A| |x|, with which rounding errors of A x are compared.

        The default, for maps whose entries are not known, is the largest |A |x||.
        """
        largest = jnp.max(jnp.abs(self.mv(jnp.abs(x))), initial=0)
        return jnp.broadcast_to(largest, self.out_shape)

    def measured(self, x: Array) -> tuple[Array, Array]:
        """A x and |A| |x|; values only, without a derivative."""
        return self.mv(x), self.magnitude(x)


class DividedMap(LinearMap):
    """An operator whose field is divided among devices, inside `jax.shard_map`."""

    @abc.abstractmethod
    def total(self, x: PyTree) -> PyTree:
        """Sums over this device's block, added up over all devices."""


def total(operator: LinearMap, x: PyTree) -> PyTree:
    """Sums over the operator's field, complete where the field is divided."""
    return operator.total(x) if isinstance(operator, DividedMap) else x


class Root(LinearMap):
    """A map A that can be the root of a covariance, A Aᵀ.

    Every method has a default; a subclass overrides what its structure makes cheap. A
    density needs `covariance_root_rank`, `solve` and `log_volume`.
    """

    def gram_diagonal(self) -> Array:
        """diag(A Aᵀ), the variances. The default applies `rmv` once per point."""
        n = size(self.out_shape)

        def norm(i: Array) -> Array:
            unit = (jnp.arange(n) == i).astype(float).reshape(self.out_shape)
            return jnp.sum(self.rmv(unit) ** 2)

        # In blocks, so that the rows are never all in memory at once.
        norms = jax.lax.map(norm, jnp.arange(n), batch_size=min(n, 64))
        return norms.reshape(self.out_shape)

    def gram_diagonal_in_blocks(self, b: Float[Array, "k r"] | None) -> Array | None:
        """diag(A (I - bᵀ b) Aᵀ) of arrays that were converted from float32.

        They can be converted again, one block after another, so that no float64 copy
        is made. None where that is not worthwhile, or not known.

        Args:
            b: what is subtracted; None for nothing.
        """
        return None

    def scaled(self, factor: Scalar) -> "Root":
        """The root times a number.

        Variances of fields of size 1e20 overflow float32, but standard deviations
        don't: they are computed from the scaled root. The default scales the result of
        `gram_diagonal`; a subclass scales its arrays.
        """
        return Scaled(self, factor)

    def unit(self) -> Scalar | float:
        """The rough size of A's entries, by which tangents are scaled; 1: unknown."""
        return 1.0

    def undiminished(self) -> "Root":
        """For the root of a posterior the root of its prior, else the map itself."""
        return self

    def covariance_root_rank(self) -> int | Array:
        """Dimension of the support of N(0, A Aᵀ)."""
        raise NotImplementedError(f"the rank of {type(self).__name__} is not known")

    def tangential(self, rows: Float[Array, "m *x"]) -> Float[Array, "m *x"]:
        """Project each row onto the support of N(0, A Aᵀ); the default is all space."""
        return rows

    def solve(self, y: Array) -> Array:
        """A⁻¹ y, for a map with a cheap inverse."""
        raise NotImplementedError(f"{type(self).__name__} has no cheap inverse")

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        """eᵀ (A Aᵀ)⁺ e; infinite where e leaves the range of A.

        Args:
            scale: |e - Pe| up to rounding of this counts as inside the range.
        """
        return jnp.sum(self.solve(e) ** 2)

    def log_volume(self) -> Array:
        """½ log of the pseudo-determinant of A Aᵀ."""
        raise NotImplementedError(
            f"{type(self).__name__} has no density; draw samples instead"
        )


class Scaled(Root):
    """A root times a number, without a scaled copy of its arrays.

    The number is applied between A and Aᵀ, so that neither A Aᵀ y nor its transpose
    leaves the range of float32 where A has entries of 1e-30 or 1e30.
    """

    root: Root
    factor: Scalar

    @property
    def in_shape(self) -> Shape:
        return self.root.in_shape

    @property
    def out_shape(self) -> Shape:
        return self.root.out_shape

    def mv(self, x: Array) -> Array:
        return self.root.mv(self.factor * x)

    def rmv(self, y: Array) -> Array:
        return self.factor * self.root.rmv(y)

    def gram_diagonal(self) -> Array:
        return self.factor**2 * self.root.gram_diagonal()


class RootOf(Root):
    """Any linear map as the root of a covariance."""

    map: LinearMap

    @property
    def in_shape(self) -> Shape:
        return self.map.in_shape

    @property
    def out_shape(self) -> Shape:
        return self.map.out_shape

    def mv(self, x: Array) -> Array:
        return self.map.mv(x)

    def rmv(self, y: Array) -> Array:
        return self.map.rmv(y)

    def rows(self) -> Float[Array, "m *x"]:
        return self.map.rows()

    def magnitude(self, x: Array) -> Array:
        return self.map.magnitude(x)


def as_root(map: LinearMap) -> Root:
    """The map itself if it is a `Root`, else wrapped to be one."""
    return (
        map if isinstance(map, Root) or not isinstance(map, LinearMap) else RootOf(map)
    )


def size(shape: Shape) -> int:
    """Number of entries of an array."""
    return math.prod(shape)


#: Relative size of rounding in fields of the default precision, with some room.
ROUNDING = 8 * float(jnp.finfo(jnp.float32).eps)
