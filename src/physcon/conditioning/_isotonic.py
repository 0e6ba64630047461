"""Weighted isotonic regression: the blocks of one value, and sums over them."""

import jax
import jax.numpy as jnp

from physcon._typing import Array, Bool, Float, Int, Scalar, Shape
from physcon.linear_map import Root


class Blocks(Root):
    """A latent variable for each block: ``mv(z)_i = scale[k] z[k]``, k = index[i]."""

    scale: Float[Array, " n"]
    index: Int[Array, " n"]

    @property
    def in_shape(self) -> Shape:
        return self.scale.shape

    @property
    def out_shape(self) -> Shape:
        return self.index.shape

    def mv(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        return (self.scale * x)[self.index]

    def rmv(self, y: Float[Array, " n"]) -> Float[Array, " n"]:
        return self.scale * block_sums(y, self.index)

    def gram_diagonal(self) -> Float[Array, " n"]:
        return (self.scale**2)[self.index]

    def unit(self) -> Scalar:
        return jnp.max(jnp.abs(self.scale))

    def scaled(self, factor: Scalar) -> "Blocks":
        return Blocks(factor * self.scale, self.index)


@jax.jit
def isotonic_blocks(
    y: Float[Array, " n"], weight: Float[Array, " n"]
) -> Int[Array, " n"]:
    """Block of every point in the weighted isotonic regression of `y`: 0, 0, 1, ...

    The regression itself is the weighted average of each block. Neighbouring blocks out
    of order belong to one block of the answer, so all of them are pooled at once, until
    none is left: O(n) for each round, with some 8 rounds for a thousand noisy points
    and 19 for a million. At worst, on a long ramp with a fall at its end, there are as
    many rounds as points.

    >>> isotonic_blocks(jnp.array([1.0, 0.0, 4.0]), jnp.ones(3)).tolist()
    [0, 0, 1]
    """

    def pool(state: tuple[Array, Array]) -> tuple[Array, Array]:
        opens, _ = state
        index = _number(opens)
        total = block_sums(weight, index)
        value = (block_sums(weight * y, index) / jnp.where(total > 0, total, 1))[index]
        ordered = jnp.concatenate([jnp.ones(1, bool), value[1:] > value[:-1]])
        return opens & ordered, jnp.any(opens & ~ordered)

    start = (jnp.ones(y.shape, bool), jnp.array(True))
    return _number(jax.lax.while_loop(lambda s: s[1], pool, start)[0])


def _number(opens: Bool[Array, " n"]) -> Int[Array, " n"]:
    """Index of the block of every point, from the points that open a block."""
    return jnp.cumsum(opens, dtype=jnp.int32) - 1


def block_sums(x: Float[Array, " n"], index: Int[Array, " n"]) -> Float[Array, " n"]:
    """Sum over each block, in an array as long as the profile."""
    return jnp.zeros_like(x).at[index].add(x)
