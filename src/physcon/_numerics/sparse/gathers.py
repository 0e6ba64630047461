"""Gathers from batches of square fronts, and their products."""

import jax.numpy as jnp

from physcon._typing import Array, Float, UInt


def pick(x: Float[Array, "..."], index: UInt[Array, "..."]) -> Float[Array, "..."]:
    """Entries of the flattened `x`. Unsigned indices need no code for negative ones."""
    return x.reshape(-1).at[index].get(mode="promise_in_bounds")


def pick_square(
    x: Float[Array, "k n n"], index: UInt[Array, "k f"]
) -> Float[Array, "k f f"]:
    """x_k at rows and columns `index`; zero where the index is n."""
    k, n, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (0, 1), (0, 1)))
    start = jnp.arange(k, dtype=index.dtype)[:, None, None] * (n + 1) ** 2
    return pick(padded, start + index[:, :, None] * (n + 1) + index[:, None, :])


def pick_each(x: Float[Array, "k n"], index: UInt[Array, "k f"]) -> Float[Array, "k f"]:
    """x_k at `index`; zero where the index is n."""
    k, n = x.shape
    padded = jnp.pad(x, ((0, 0), (0, 1)))
    start = jnp.arange(k, dtype=index.dtype)[:, None] * (n + 1)
    return pick(padded, start + index)


def product(
    a: Float[Array, "k i j"], b: Float[Array, "k j l"]
) -> Float[Array, "k i l"]:
    """The matrix products of two batches."""
    return jnp.matmul(a, b, precision="highest")


#: Entries of a front up to which its product with a vector is written as a sum.
_SMALL = 2048


def product_with(
    a: Float[Array, "k i j"], x: Float[Array, "k j"]
) -> Float[Array, "k i"]:
    """The products of a batch of matrices with a vector each.

    A sum of small ones compiles three times as fast as a product by XLA's library.
    """
    if a.shape[1] * a.shape[2] > _SMALL:
        return product(a, x[:, :, None])[:, :, 0]
    return jnp.sum(a * x[:, None, :], axis=2)


def transpose(a: Float[Array, "k i j"]) -> Float[Array, "k j i"]:
    """The transposes of a batch."""
    return jnp.swapaxes(a, 1, 2)
