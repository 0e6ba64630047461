"""Products of a few long rows with fields: sums, inner products and Gram matrices."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float, Scalar

#: Rows up to which accelerators combine them by written-out sums.
WRITTEN_OUT = 16


def along_rows(
    d: Float[Array, " m"], rows: Float[Array, "m *x"]
) -> Float[Array, "m *x"]:
    """Row r of `rows` times d_r."""
    return d.reshape((-1,) + (1,) * (rows.ndim - 1)) * rows


def combine(d: Float[Array, " m"], rows: Float[Array, "m *x"]) -> Float[Array, "*x"]:
    """Σ_r d_r rows_r.

    A product of matrices, so that its transpose, in gradients, is one: XLA's CPU
    backend sums the products of two long float32 arrays up to sixty times slower than
    it forms their inner product. Values, which are in float64, are written elementwise
    for a few rows, to be fused.
    """
    if rows.shape[0] <= 3 and rows.dtype == jnp.float64:
        return sum((d[r] * rows[r] for r in range(1, rows.shape[0])), d[0] * rows[0])
    return _product_or_sums(_combined, _combined_by_sums, (d, rows))


def inner(rows: Float[Array, "m *x"], x: Float[Array, "*x"]) -> Float[Array, " m"]:
    """rows_r · x for every r."""
    return _product_or_sums(_inner, _sums, (rows, x))


def gram(rows: Float[Array, "m *x"]) -> Float[Array, "m m"]:
    """rows_r · rows_s for every pair."""
    return _product_or_sums(_gram, _gram_by_sums, (rows,))


@partial(jax.jit, static_argnums=(0, 1))  # one program for all calls outside of jit
def _product_or_sums(
    product: Callable[..., Array], sums: Callable[..., Array], args: tuple[Array, ...]
) -> Array:
    """Of long arrays: a product of matrices, but in float64 sums of products on
    accelerators.

    There float64 matrix products are not fused with the conversion from float32, so
    copies are written (GPU, 12 times what reading the rows once costs), or emulated by
    way of arrays larger than the memory (TPU). Sums convert on the way.

    Both are functions of this module, not closures: the choice is compiled once.
    """
    if args[0].dtype != jnp.float64:
        return product(*args)
    return jax.lax.platform_dependent(*args, cpu=product, default=sums)


def _combined(d: Array, rows: Array) -> Array:
    return jnp.tensordot(d, rows, axes=1, precision="highest")


def _combined_by_sums(d: Array, rows: Array) -> Array:
    return jnp.sum(along_rows(d, rows), axis=0)


def _inner(rows: Array, x: Array) -> Array:
    return jnp.tensordot(rows, x, axes=x.ndim, precision="highest")


def _gram(rows: Array) -> Array:
    flat = rows.reshape(rows.shape[0], -1)
    return jnp.matmul(flat, flat.T, precision="highest")


def _gram_by_sums(rows: Array) -> Array:
    """Row i with row i + k, for every offset k on the circle of rows.

    These are few reductions of one shape, which XLA computes in one pass.
    """
    m = rows.shape[0]
    if m > WRITTEN_OUT:
        return jax.lax.map(lambda row: _sums(rows, row), rows)
    field = tuple(range(1, rows.ndim))
    offsets = range(m // 2 + 1)
    moved = [rows * jnp.roll(rows, -k, axis=0) for k in offsets]
    sums = jnp.stack([jnp.sum(product, axis=field) for product in moved])
    i, j = np.indices((m, m))
    offset = (j - i) % m
    start = np.where(offset < len(offsets), i, j)
    return sums[np.minimum(offset, m - offset), start]


def _sums(rows: Float[Array, "m *x"], x: Float[Array, "*x"]) -> Float[Array, " m"]:
    return jnp.sum(rows * x[None], axis=tuple(range(1, rows.ndim)))


class Weighed(NamedTuple):
    """Sums over a field for a few rows of it."""

    product: Float[Array, " m"]  # rows x
    size: Float[Array, " m"]  # |rows| |x|
    gram: Float[Array, "m m"]
    square: Scalar | None  # Σ scale²


def weigh(
    rows: Float[Array, "m *x"],
    x: Float[Array, "*x"],
    others: Float[Array, "m *z"],
    scale: Float[Array, "*x"] | None = None,
) -> Weighed:
    """`inner(rows, x), inner(|rows|, |x|), gram(others), Σ scale²`, in one pass where
    the shapes allow it.

    For values only (not differentiable): one variadic reduction. XLA's CPU backend
    otherwise writes shared float64 intermediates to memory, or repeats a reduction
    inside every consumer (three to four times slower, measured).
    """
    m = rows.shape[0]
    if m > 3 or rows.shape != others.shape:
        square = None if scale is None else jnp.sum(scale**2)
        size = inner(jnp.abs(rows), jnp.abs(x))
        return Weighed(inner(rows, x), size, gram(others), square)
    products = [row * x for row in rows]
    pairs = [others[i] * others[j] for i in range(m) for j in range(i + 1)]
    squares = [] if scale is None else [scale * scale]
    total = _sums_at_once([*products, *map(jnp.abs, products), *pairs, *squares])
    lower = {
        (i, j): total[2 * m + i * (i + 1) // 2 + j]
        for i in range(m)
        for j in range(i + 1)
    }
    s = [jnp.stack([lower[max(i, j), min(i, j)] for j in range(m)]) for i in range(m)]
    product, size = jnp.stack(total[:m]), jnp.stack(total[m : 2 * m])
    return Weighed(product, size, jnp.stack(s), total[-1] if squares else None)


def inner_and_size(
    rows: Float[Array, "m *x"], x: Float[Array, "*x"]
) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """`inner(rows, x), inner(|rows|, |x|)`, in one pass for a few rows; values only."""
    m = rows.shape[0]
    if m > 3:
        return inner(rows, x), inner(jnp.abs(rows), jnp.abs(x))
    products = [row * x for row in rows]
    total = _sums_at_once([*products, *map(jnp.abs, products)])
    return jnp.stack(total[:m]), jnp.stack(total[m:])


def _sums_at_once(terms: list[Float[Array, "*x"]]) -> Sequence[Scalar]:
    """The sums of several fields, in one pass."""
    zeros = tuple(jnp.zeros((), x.dtype) for x in terms)
    return jax.lax.reduce(tuple(terms), zeros, _add, tuple(range(terms[0].ndim)))


def _add(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))
