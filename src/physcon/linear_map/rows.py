"""A few dense rows over a field, the operator of most laws."""

import jax.numpy as jnp

from physcon._checks import require, require_array, require_shape
from physcon._numerics.products import combine, inner, inner_and_size
from physcon._typing import Array, Float, Shape
from physcon.linear_map.basic import LinearMap


class Rows(LinearMap):
    """A few dense rows over a field: (G u)_r = Σ weights_r u.

    Attributes:
        weights: ``(m, *x)``, one field of weights for each row.
    """

    weights: Float[Array, "m *x"]

    def __check_init__(self) -> None:
        require_array(self.weights, "weights")
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

    def magnitude(self, x: Float[Array, "*x"]) -> Float[Array, " m"]:
        return inner(jnp.abs(self.weights), jnp.abs(x))

    def measured(self, x: Float[Array, "*x"]) -> tuple[Array, Array]:
        return inner_and_size(self.weights, x)
