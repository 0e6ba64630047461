"""A field from its measured points, and the root of its covariance."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, Scalar, Shape
from physcon.linear_map import LinearMap, Root


class Restored(LinearMap):
    """The field from its measured points: the others are sparse combinations of them.

    Attributes:
        kept: ``(n,)``, 1 where the point itself is taken.
        row, column, entry: of the combinations.
        shape: of the field.
        count: points of the reduced field, n and one for each noisy row.
    """

    kept: Float[Array, " n"]
    row: Array
    column: Array
    entry: Float[Array, " k"]
    shape: Shape = eqx.field(static=True)
    count: int = eqx.field(static=True)

    @property
    def in_shape(self) -> Shape:
        return (self.count,)

    @property
    def out_shape(self) -> Shape:
        return self.shape

    def mv(self, x: Float[Array, " e"]) -> Float[Array, "*x"]:
        n = self.kept.size
        own = self.kept * x[:n]
        terms = self.entry * x[self.column]
        return (own + jax.ops.segment_sum(terms, self.row, n)).reshape(self.shape)

    def rmv(self, y: Float[Array, "*x"]) -> Float[Array, " e"]:
        flat = y.reshape(-1)
        own = jnp.pad(self.kept * flat, (0, self.count - flat.size))
        terms = self.entry * flat[self.row]
        return own + jax.ops.segment_sum(terms, self.column, self.count)


class RestoredRoot(Root):
    """The root of a field's covariance, from the root at its measured points."""

    root: Root
    back: Restored
    solved: Array

    @property
    def in_shape(self) -> Shape:
        return self.root.in_shape

    @property
    def out_shape(self) -> Shape:
        return self.back.out_shape

    def mv(self, x: Array) -> Array:
        return self.back.mv(self.root.mv(x))

    def rmv(self, y: Array) -> Array:
        return self.root.rmv(self.back.rmv(y))

    def unit(self) -> Scalar | float:
        return self.root.unit()

    def scaled(self, factor: Scalar) -> "RestoredRoot":
        return RestoredRoot(self.root.scaled(factor), self.back, self.solved)

    def gram_diagonal(self) -> Array:
        """The variances; one application of the root for each unmeasured point."""
        n = self.back.kept.size
        known = self.back.kept * self.root.gram_diagonal()[:n]

        def variance(point: Array) -> Array:
            unit = (jnp.arange(n) == point).astype(known.dtype)
            return jnp.sum(self.rmv(unit.reshape(self.back.shape)) ** 2)

        found = jax.lax.map(variance, self.solved, batch_size=16)
        return known.at[self.solved].set(found).reshape(self.back.shape)
