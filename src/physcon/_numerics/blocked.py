"""Long sums over float32 arrays with float64 results, a block at a time.

Before a product in float64, XLA's CPU backend writes a converted copy of the whole
array to memory: 24 times what reading the array once costs (measured, 10⁸ numbers).
Here blocks that stay in cache are converted, or multiplied in float32 and only then
summed in float64. For values, not tangents.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from physcon._numerics.products import WRITTEN_OUT
from physcon._typing import Array, Float, PyTree, Scalar

#: Terms summed in float32 before float64 takes over.
BLOCK = 512
#: Columns per block where each block is a product of matrices, which must be large
#: enough to outweigh what starting it costs.
COLUMNS = 2048
#: Points from which float64 copies of arrays are avoided.
LONG = 2**16
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
        product = _product_in_blocks(v, g)
        g = g.astype(float)
        return g @ y, jnp.abs(g) @ jnp.abs(y), product

    prediction, magnitude, product = _sum_of_blocks(part, x.size, COLUMNS)
    return prediction, magnitude, product.T


def _product_in_blocks(
    v: Float[Array, "r n"], g: Float[Array, "m n"]
) -> Float[Array, "r m"]:
    """v gᵀ (4 times as fast as g vᵀ), of which `BLOCK` terms are summed in float32."""
    whole = v.shape[1] // BLOCK * BLOCK
    rest = jnp.matmul(v[:, whole:], g[:, whole:].T, precision="highest").astype(float)
    if not whole:
        return rest
    v, g = (a[:, :whole].reshape(a.shape[0], -1, BLOCK) for a in (v, g))
    products = jnp.einsum("rkb,mkb->krm", v, g, precision="highest")
    return rest + jnp.sum(products.astype(float), axis=0)


def weigh_scaled(
    rows: Float[Array, "m *x"], x: Float[Array, "*x"], scale: Float[Array, "*x"]
) -> tuple[Float[Array, " m"], Float[Array, " m"], Float[Array, "m m"], Scalar]:
    """rows·x, |rows|·|x|, W Wᵀ of W = rows·scale, and Σ scale², in one pass."""
    rows = rows.reshape(rows.shape[0], -1)
    x = x.reshape(-1)
    scale = scale.reshape(-1)

    def part(start: int | Array, size: int) -> tuple[Array, Array, Array, Array]:
        cut = jax.lax.dynamic_slice_in_dim
        g = cut(rows, start, size, axis=1).astype(float)
        y = cut(x, start, size).astype(float)
        s = cut(scale, start, size).astype(float)
        w = g * s[None]
        return g @ y, jnp.abs(g) @ jnp.abs(y), w @ w.T, s @ s

    return _sum_of_blocks(part, x.size)


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


@jax.custom_jvp
def power_of_mixtures(
    b: Float[Array, "k m"], rows: Float[Array, "m *x"], scale: Float[Array, "*x"]
) -> Float[Array, "*x"]:
    """Σ_k (scale Σ_r b_kr rows_r scale)²; on CPUs, float64 values in blocks."""
    if scale.dtype != jnp.float64:
        return _power(b, rows, scale)
    return jax.lax.platform_dependent(
        b, rows, scale, cpu=_power_in_blocks, default=_power_point_by_point
    )


@power_of_mixtures.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    with jax.default_matmul_precision("highest"):
        _, moved = jax.jvp(_power, primals, tangents)
    return power_of_mixtures(*primals), moved


def _power(b: Array, rows: Array, scale: Array) -> Array:
    mixed = jnp.tensordot(b, rows * scale[None], axes=1, precision="highest")
    return jnp.sum((scale[None] * mixed) ** 2, axis=0)


def _power_point_by_point(b: Array, rows: Array, scale: Array) -> Array:
    """Written out for a few rows, to be fused with the conversion from float32.

    A float64 matrix product is not, so that GPUs write and read all mixtures.
    """
    if rows.shape[0] > WRITTEN_OUT:
        return _power(b, rows, scale)
    w = [row * scale for row in rows]
    terms = [(scale * _mixture(weights, w)) ** 2 for weights in b]
    return reduce(jnp.add, terms)


def _mixture(weights: Float[Array, " m"], w: list[Array]) -> Array:
    return reduce(jnp.add, [weights[r] * row for r, row in enumerate(w)])


def _power_in_blocks(b: Array, rows: Array, scale: Array) -> Array:
    if scale.size <= BLOCK:
        return _power(b, rows, scale)
    flat = rows.reshape(rows.shape[0], -1)

    def part(start: int | Array, size: int) -> Array:
        g = jax.lax.dynamic_slice_in_dim(flat, start, size, axis=1)
        s = jax.lax.dynamic_slice_in_dim(scale.reshape(-1), start, size)
        return _power(b, g, s)

    total = _blocks_in_a_row(part, scale.size, BLOCK, scale.dtype)
    return total.reshape(scale.shape)


def combined_squares(
    b: Float[Array, "k r"], vectors: Float[Array, "r n"]
) -> Float[Array, " n"]:
    """Σ_r vectors_r² - Σ_k (Σ_r b_kr vectors_r)² to float64's rounding, in one pass."""

    def part(start: int | Array, size: int) -> Array:
        v = jax.lax.dynamic_slice_in_dim(vectors, start, size, axis=1).astype(float)
        return jnp.sum(v * v, axis=0) - jnp.sum((b @ v) ** 2, axis=0)

    return _blocks_in_a_row(part, vectors.shape[1], COLUMNS, float)


def _blocks_in_a_row(
    part: Callable[[int | Array, int], Array], n: int, block: int, dtype: Any
) -> Float[Array, " n"]:
    """part(start, size) of all blocks of n points, the last one shorter."""
    whole, rest = divmod(n, block)

    def step(i: int | Array, found: Array) -> Array:
        start = i * block
        return jax.lax.dynamic_update_slice(found, part(start, block), (start,))

    found = jax.lax.fori_loop(0, whole, step, jnp.zeros(whole * block, dtype))
    if rest:
        found = jnp.concatenate([found, part(whole * block, rest)])
    return found


def _sum_of_blocks(
    part: Callable[[int | Array, int], PyTree], n: int, block: int = BLOCK
) -> PyTree:
    """Σ part(start, size) over blocks of n terms, the last one shorter."""
    whole, rest = divmod(n, block)

    def add(a: PyTree, b: PyTree) -> PyTree:
        return jax.tree.map(jnp.add, a, b)

    pieces = [part(whole * block, rest)] if rest else []
    if whole:
        start = part(0, block)
        pieces.append(
            jax.lax.fori_loop(
                1, whole, lambda i, t: add(t, part(i * block, block)), start
            )
        )
    return reduce(add, pieces)
