"""The root of independent errors: multiplication by an array."""

import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Float, Scalar, Shape
from physcon.linear_map.basic import ROUNDING, Root


class Diagonal(Root):
    """Multiplication by an array. The root of independent errors is their std."""

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

    def magnitude(self, x: Float[Array, "*x"]) -> Float[Array, "*x"]:
        return jnp.abs(self.diagonal * x)

    def gram_diagonal(self) -> Float[Array, "*x"]:
        return self.diagonal**2

    def unit(self) -> Scalar:
        return jnp.max(jnp.abs(self.diagonal), initial=0)

    def scaled(self, factor: Scalar) -> "Diagonal":
        return Diagonal(factor * self.diagonal)

    def covariance_root_rank(self) -> Array:
        return jnp.sum(self.diagonal != 0)

    def tangential(self, rows: Float[Array, "m *x"]) -> Float[Array, "m *x"]:
        return jnp.where(self.diagonal[None] != 0, rows, 0)

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        free = self.diagonal != 0
        white = safe.divide(e, self.diagonal)
        distance = jnp.sum(white**2)
        off = jnp.any(~free & (jnp.abs(e) > ROUNDING * scale))
        return jnp.where(off, jnp.inf, distance)

    def solve(self, y: Float[Array, "*x"]) -> Float[Array, "*x"]:
        return safe.quotient(y, self.diagonal)

    def log_volume(self) -> Array:
        size = jnp.abs(jnp.where(self.diagonal != 0, self.diagonal, 1))
        return jnp.sum(jnp.log(size))
