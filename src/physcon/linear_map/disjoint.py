"""Rows that see disjoint points, and rows that see one point each."""

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require, require_shape
from physcon._typing import Array, Bool, Float, Shape
from physcon.linear_map.basic import LinearMap
from physcon.linear_map.groups import Groups


class Disjoint(LinearMap):
    """Weighted sums over disjoint groups of points: block means, regional totals.

    Attributes:
        weights: ``(*x)``.
        groups: which points belong together. A group whose weights are all zero has no
            row: its value is not used.
    """

    weights: Float[Array, "*x"]
    groups: Groups

    def __check_init__(self) -> None:
        require_shape(self.weights, self.groups.in_shape, "the weights")

    @property
    def in_shape(self) -> Shape:
        return self.groups.in_shape

    @property
    def out_shape(self) -> Shape:
        return self.groups.out_shape

    def mv(self, x: Float[Array, "*x"]) -> Float[Array, "*g"]:
        require_shape(x, self.in_shape, "the field")
        return self.groups.total_of(jnp.multiply, (self.weights, x))

    def rmv(self, y: Float[Array, "*g"]) -> Float[Array, "*x"]:
        require_shape(y, self.out_shape, "the values of the groups")
        return self.weights * self.groups.spread(y)

    def magnitude(self, x: Float[Array, "*x"]) -> Float[Array, "*g"]:
        return self.groups.total_of(_size, (self.weights, x))

    def present(self) -> Bool[Array, "*g"]:
        """Which groups have a row."""
        return self.groups.total_of(_is_seen, (self.weights,)) > 0


def _size(weight: Array, x: Array) -> Array:
    return jnp.abs(weight * x)


def _is_seen(weight: Array) -> Array:
    return (weight != 0).astype(weight.dtype)


class Pointwise(LinearMap):
    """A small matrix at every point: ``(G u)_r(x) = Σ_c matrix_rc(x) u_c(x)``.

    Attributes:
        matrix: ``(r, c)`` for all points, or one per point, ``(r, c, *x)``.
        space: the shape of the points, ``(*x)``; fields are ``(c, *x)``.
    """

    matrix: Float[Array, "r c *x"]
    space: Shape = eqx.field(static=True)

    def __init__(self, matrix: Float[Array, "r c *x"], space: Shape):
        require(
            matrix.ndim >= 2 and matrix.shape[2:] in ((), tuple(space)),
            f"a matrix of shape (rows, components) or (rows, components, *{space})",
            matrix.shape,
            "put the axes of the points last",
        )
        self.matrix = matrix
        self.space = tuple(space)

    @property
    def in_shape(self) -> Shape:
        return (self.matrix.shape[1], *self.space)

    @property
    def out_shape(self) -> Shape:
        return (self.matrix.shape[0], *self.space)

    def entry(self, r: int, c: int) -> Float[Array, "*x"]:
        """One entry of the matrix, as an array that broadcasts against the points."""
        one = self.matrix[r, c]
        return one if one.ndim else jnp.reshape(one, (1,) * len(self.space))

    def _apply(self, x: Array, absolute: bool = False) -> Array:
        matrix = jnp.abs(self.matrix) if absolute else self.matrix
        if matrix.ndim == 2:
            return jnp.tensordot(matrix, x, axes=1, precision="highest")
        return jnp.sum(matrix * x[None], axis=1)

    def mv(self, x: Float[Array, "c *x"]) -> Float[Array, "r *x"]:
        require_shape(x, self.in_shape, "the field")
        return self._apply(x)

    def rmv(self, y: Float[Array, "r *x"]) -> Float[Array, "c *x"]:
        require_shape(y, self.out_shape, "the row values")
        matrix = self.matrix
        if matrix.ndim == 2:
            return jnp.tensordot(matrix.T, y, axes=1, precision="highest")
        return jnp.sum(matrix * y[:, None], axis=0)

    def magnitude(self, x: Float[Array, "c *x"]) -> Float[Array, "r *x"]:
        return self._apply(jnp.abs(x), absolute=True)
