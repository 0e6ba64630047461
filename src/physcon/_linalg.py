"""Float64 where it matters, inside a float32 program.

Rounding to float32 spoils two things only: the Gram matrix of nearly dependent rows, and the
residual of a constraint, a small difference of large sums. Both are *values*; a tangent needs no
more than the caller's precision. Hence one decorator, `float64_primal`: the value of a function is
computed in float64 and rounded once at the end, its derivative is that of the same formula in the
caller's dtype. No global flag, no host callback; it composes with jit, vmap, jvp, vjp, scan, remat.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from physcon._checks import inexact_leaves
from physcon._typing import Array, ArrayLike, Float, PyTree

F = TypeVar("F", bound=Callable[..., Any])


def cast(tree: PyTree, dtype: Any) -> PyTree:
    """The pytree with its floating-point arrays in another dtype."""
    return jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, tree)


def in_one_dtype(*trees: PyTree) -> tuple[Any, ...]:
    """The pytrees with all floating-point arrays in the widest of their dtypes.

    A float32 prediction meets a float64 grid where JAX_ENABLE_X64 is set, a bfloat16 one a float32
    grid anywhere: both are promoted, as in ``prediction * grid.volumes()``.
    """
    leaves = inexact_leaves(trees)
    return cast(trees, jnp.result_type(*leaves)) if leaves else trees


def floating(x: ArrayLike) -> Array:
    """`x` as a floating-point array: integers and lists of them are promoted."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(float)


def in_float64(fn: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """`fn` evaluated in float64; arguments and results keep the caller's dtype.

    Not differentiable by itself: see `float64_primal`. The batching rule hands the batch axis to
    the core, so that no float64 operation is ever batched outside of the float64 context.
    """

    def call(*args: PyTree) -> PyTree:
        dtype = jnp.result_type(*inexact_leaves(args))
        if dtype == jnp.float64:
            return fn(*args)

        @custom_vmap
        def core(*args: PyTree) -> PyTree:
            with jax.enable_x64(True):
                return cast(fn(*cast(args, jnp.float64)), dtype)

        @core.def_vmap
        def _(axis_size: Any, batched: Any, *args: PyTree) -> tuple[PyTree, PyTree]:
            axes = jax.tree.map(lambda b: 0 if b else None, batched)
            out = in_float64(jax.vmap(fn, in_axes=tuple(axes), axis_size=axis_size))(*args)
            return out, jax.tree.map(lambda _: True, out)

        return core(*args)

    return call


def float64_primal(fn: F) -> F:
    """Decorator: the value in float64, rounded once; the tangent by plain autodiff of `fn`.

    Arguments are pytrees of arrays, promoted to one floating dtype. Products inside the tangent use
    `jax.lax.Precision.HIGHEST`. Inside an already-float64 computation it is the identity. The value
    is one compiled program even outside of jit, so that its float64 intermediates take no memory.
    """
    compiled = jax.jit(fn)

    @jax.custom_jvp
    def core(*args: PyTree) -> PyTree:
        return in_float64(compiled)(*args)

    @core.defjvp
    def _(primals: tuple, tangents: tuple) -> tuple[PyTree, PyTree]:
        with jax.default_matmul_precision("highest"):
            _, tangent = jax.jvp(fn, primals, tangents)
        return core(*primals), tangent

    @wraps(fn)
    def call(*args: PyTree) -> PyTree:
        return core(*in_one_dtype(*args))

    return call  # type: ignore[return-value]


def along_rows(d: Float[Array, " m"], rows: Float[Array, "m *x"]) -> Float[Array, "m *x"]:
    """Row r of `rows` times d_r."""
    return d.reshape((-1,) + (1,) * (rows.ndim - 1)) * rows


def combine(d: Float[Array, " m"], rows: Float[Array, "m *x"]) -> Float[Array, "*x"]:
    """Σ_r d_r rows_r.

    A product of matrices, so that its transpose, in gradients, is one: XLA's CPU backend sums the
    products of two long float32 arrays up to sixty times slower than it forms their inner product.
    Values, which are in float64, are written elementwise for a few rows, to be fused.
    """
    if rows.shape[0] <= 3 and rows.dtype == jnp.float64:
        return sum((d[r] * rows[r] for r in range(1, rows.shape[0])), d[0] * rows[0])
    return _product_or_sums(
        lambda d, rows: jnp.tensordot(d, rows, axes=1, precision="highest"),
        lambda d, rows: jnp.sum(along_rows(d, rows), axis=0),
        (d, rows),
    )


def inner(rows: Float[Array, "m *x"], x: Float[Array, "*x"]) -> Float[Array, " m"]:
    """rows_r · x for every r."""
    return _product_or_sums(
        lambda rows, x: jnp.tensordot(rows, x, axes=x.ndim, precision="highest"), _sums, (rows, x)
    )


def gram(rows: Float[Array, "m *x"]) -> Float[Array, "m m"]:
    """rows_r · rows_s for every pair."""

    def product(rows: Array) -> Array:
        flat = rows.reshape(rows.shape[0], -1)
        return jnp.matmul(flat, flat.T, precision="highest")

    def sums(rows: Array) -> Array:
        if rows.shape[0] <= 16:  # written out, to be fused with one another
            return jnp.stack([_sums(rows, row) for row in rows])
        return jax.lax.map(lambda row: _sums(rows, row), rows)

    return _product_or_sums(product, sums, (rows,))


def _product_or_sums(
    product: Callable[..., Array], sums: Callable[..., Array], args: tuple[Array, ...]
) -> Array:
    """Of long arrays: a product of matrices, but in float64 sums of products on accelerators.

    There float64 matrix products are not fused with the conversion from float32, so copies are
    written (GPU, 12 times what reading the rows once costs), or emulated by way of arrays larger
    than the memory (TPU). Sums convert on the way.
    """
    if args[0].dtype != jnp.float64:
        return product(*args)
    return jax.lax.platform_dependent(*args, cpu=product, default=sums)


def _sums(rows: Float[Array, "m *x"], x: Float[Array, "*x"]) -> Float[Array, " m"]:
    return jnp.sum(rows * x[None], axis=tuple(range(1, rows.ndim)))


def weigh(
    rows: Float[Array, "m *x"], x: Float[Array, "*x"], others: Float[Array, "m *z"]
) -> tuple[Float[Array, " m"], Float[Array, " m"], Float[Array, "m m"]]:
    """`inner(rows, x), inner(|rows|, |x|), gram(others)`, in one pass where the shapes allow it.

    For values only (not differentiable): one variadic reduction. XLA's CPU backend otherwise writes
    shared float64 intermediates to memory, or repeats a reduction inside every consumer (three to
    four times slower, measured).
    """
    m = rows.shape[0]
    if m > 3 or rows.shape != others.shape:
        return inner(rows, x), inner(jnp.abs(rows), jnp.abs(x)), gram(others)
    products = [row * x for row in rows]
    pairs = [others[i] * others[j] for i in range(m) for j in range(i + 1)]
    terms = (*products, *(jnp.abs(p) for p in products), *pairs)
    zeros = (jnp.zeros((), x.dtype),) * len(terms)
    total = jax.lax.reduce(terms, zeros, _add, tuple(range(x.ndim)))
    lower = {(i, j): total[2 * m + i * (i + 1) // 2 + j] for i in range(m) for j in range(i + 1)}
    s = [jnp.stack([lower[max(i, j), min(i, j)] for j in range(m)]) for i in range(m)]
    return jnp.stack(total[:m]), jnp.stack(total[m : 2 * m]), jnp.stack(s)


def _add(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def cholesky(a: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """Lower Cholesky factor; NaN if not positive definite. Unrolled for m <= 3: no LAPACK call."""
    m = a.shape[0]
    if m > 3:
        return jnp.linalg.cholesky(a)
    factor = [[jnp.zeros((), a.dtype)] * m for _ in range(m)]
    for j in range(m):
        for i in range(j, m):
            s = a[i, j] - sum(factor[i][k] * factor[j][k] for k in range(j))
            factor[i][j] = jnp.sqrt(s) if i == j else s / factor[j][j]
    return jnp.stack([jnp.stack(row) for row in factor])


def lower_inverse(factor: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """Inverse of a lower triangular matrix; forward substitution, unrolled for m <= 3."""
    m = factor.shape[0]
    if m > 3:
        eye = jnp.eye(m, dtype=factor.dtype)
        return jax.lax.linalg.triangular_solve(factor, eye, left_side=True, lower=True)
    inverse = [[jnp.zeros((), factor.dtype)] * m for _ in range(m)]
    for j in range(m):
        for i in range(j, m):
            s = (i == j) - sum(factor[i][k] * inverse[k][j] for k in range(j, i))
            inverse[i][j] = s / factor[i][i]
    return jnp.stack([jnp.stack(row) for row in inverse])


class Pair(NamedTuple):
    """A small array of float64 accuracy (48 bits) in a float32 container: high + low part."""

    high: Float[Array, "*s"]
    low: Float[Array, "*s"]


def split(x: Float[Array, "*s"]) -> Pair:
    """A float64 array as two parts that are each exact in float32: `join(split(x)) == x`."""
    high = x.astype(jnp.float32).astype(x.dtype)
    return Pair(high, x - high)


def join(pair: Pair) -> Float[Array, "*s"]:
    """The sum of both parts: full accuracy in float64, the high part in float32."""
    return pair.high + pair.low
