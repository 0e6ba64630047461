"""Kronecker products, for example of a root in time and a root in space."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from physcon._checks import require_shape
from physcon._numerics.safe import power_of_two
from physcon._typing import Array, Scalar, Shape
from physcon.linear_map.basic import Root

Apply: TypeAlias = Callable[[Array], Array]


class Kronecker(Root):
    """left ⊗ right on fields ``(*left, *right)``, for example time ⊗ space.

    Nest it for more factors. Variances multiply: (L Lᵀ) ⊗ (R Rᵀ) = (L ⊗ R)(L ⊗ R)ᵀ. The
    cost is one map per line, without an n-by-n array.
    """

    left: Root
    right: Root

    @property
    def in_shape(self) -> Shape:
        return (*self.left.in_shape, *self.right.in_shape)

    @property
    def out_shape(self) -> Shape:
        return (*self.left.out_shape, *self.right.out_shape)

    def mv(self, x: Array) -> Array:
        require_shape(x, self.in_shape, "the latent field")
        return _each(self.left.mv, self.right.mv, x, len(self.left.in_shape))

    def rmv(self, y: Array) -> Array:
        require_shape(y, self.out_shape, "the field")
        return _each(self.left.rmv, self.right.rmv, y, len(self.left.out_shape))

    def gram_diagonal(self) -> Array:
        return jnp.multiply.outer(self.left.gram_diagonal(), self.right.gram_diagonal())

    def unit(self) -> Scalar | float:
        return self.left.unit() * self.right.unit()

    def scaled(self, factor: Scalar) -> "Kronecker":
        # Each of the two is squared by itself: both must be near unit size.
        size = power_of_two(jax.lax.stop_gradient(jnp.asarray(self.right.unit())))
        left = self.left.scaled(factor * size.astype(jnp.result_type(factor)))
        return Kronecker(left, self.right.scaled(1 / size))

    def covariance_root_rank(self) -> int | Array:
        return self.left.covariance_root_rank() * self.right.covariance_root_rank()

    def solve(self, y: Array) -> Array:
        return _each(self.left.solve, self.right.solve, y, len(self.left.out_shape))

    def log_volume(self) -> Array:
        left = self.left.covariance_root_rank()
        right = self.right.covariance_root_rank()
        return right * self.left.log_volume() + left * self.right.log_volume()


def _each(left: Apply, right: Apply, x: Array, split: int) -> Array:
    """Apply `right` along the trailing axes of x, then `left` along the first ones."""
    lead = x.shape[:split]
    trail = x.shape[split:]
    y = jax.vmap(right)(x.reshape(-1, *trail))
    tail = y.shape[1:]
    y = jnp.moveaxis(y.reshape(*lead, -1), -1, 0)
    z = jax.vmap(left)(y)
    return jnp.moveaxis(z, 0, -1).reshape(*z.shape[1:], *tail)
