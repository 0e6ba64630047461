"""Long sums over float32 arrays with float64 results, a block at a time.

Before a product in float64, XLA's CPU backend writes a converted copy of the whole
array to memory: 24 times what reading the array once costs (measured, 10⁸ numbers).
Here blocks that stay in cache are converted, or multiplied in float32 and only then
summed in float64. For values, not tangents.
"""

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, PyTree

#: Terms summed in float32 before float64 takes over.
BLOCK = 512
#: Fields added up per pass over the sum.
TOGETHER = 10


def weigh_blocked(
    rows: Float[Array, "m n"], x: Float[Array, " n"], vectors: Float[Array, "r n"]
) -> tuple[Float[Array, " m"], Float[Array, " m"], Float[Array, "m r"]]:
    """rows·x and |rows|·|x| to float64's rounding, rows·vectors to float32's in each
    block.

    Rounding errors of the blocks are independent, or at worst add up to the error of
    one block. The bound is |error| <= BLOCK eps |rows|·|vectors|; in practice the error
    is below eps |rows|·|vectors|.
    """

    def part(start: int | Array, size: int) -> tuple[Array, Array, Array]:
        g, v = (
            jax.lax.dynamic_slice_in_dim(a, start, size, axis=1)
            for a in (rows, vectors)
        )
        y = jax.lax.dynamic_slice_in_dim(x, start, size).astype(float)
        product = jnp.matmul(v, g.T, precision="highest").astype(
            float
        )  # 4 times as fast as g vᵀ
        g = g.astype(float)
        return g @ y, jnp.abs(g) @ jnp.abs(y), product

    prediction, magnitude, product = _sum_of_blocks(part, x.size)
    return prediction, magnitude, product.T


def inner_blocked(
    rows: Float[Array, "m n"], x: Float[Array, " n"]
) -> Float[Array, " m"]:
    """rows·x to float64's rounding; x in either precision."""

    def part(start: int | Array, size: int) -> Array:
        g = jax.lax.dynamic_slice_in_dim(rows, start, size, axis=1).astype(float)
        return g @ jax.lax.dynamic_slice_in_dim(x, start, size).astype(float)

    return _sum_of_blocks(part, x.size)


def combine_blocked(
    z: Float[Array, " r"], vectors: Float[Array, "r n"]
) -> Float[Array, " n"]:
    """Σ_k z_k vectors_k to float64's rounding."""

    def add(first: int | Array, count: int, total: Array) -> Array:
        for k in range(count):
            vector = jax.lax.dynamic_index_in_dim(vectors, first + k, keepdims=False)
            total = total + z[first + k] * vector.astype(float)
        return total

    whole, rest = divmod(z.size, TOGETHER)
    total = jnp.zeros(vectors.shape[1], float)
    total = jax.lax.fori_loop(
        0, whole, lambda i, t: add(i * TOGETHER, TOGETHER, t), total
    )
    return add(whole * TOGETHER, rest, total)


def _sum_of_blocks(part: Callable[[int | Array, int], PyTree], n: int) -> PyTree:
    """Σ part(start, size) over blocks of n terms, the last one shorter."""
    whole, rest = divmod(n, BLOCK)

    def add(a: PyTree, b: PyTree) -> PyTree:
        return jax.tree.map(jnp.add, a, b)

    pieces = [part(whole * BLOCK, rest)] if rest else []
    if whole:
        start = part(0, BLOCK)
        pieces.append(
            jax.lax.fori_loop(
                1, whole, lambda i, t: add(t, part(i * BLOCK, BLOCK)), start
            )
        )
    return reduce(add, pieces)
