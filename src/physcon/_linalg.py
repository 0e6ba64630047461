"""Float64 where it matters, inside a float32 program.

Rounding to float32 spoils two things only: the Gram matrix of nearly dependent rows, and the
residual of a constraint, a small difference of large sums. Both are *values*; a tangent needs no
more than the caller's precision. Hence one decorator, `float64_primal`: the value of a function is
computed in float64 and rounded once at the end, its derivative is that of the same formula in the
caller's dtype. No global flag, no host callback; it composes with jit, vmap, jvp, vjp, scan, remat.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from physcon._checks import inexact_leaves
from physcon._typing import Array, Float, PyTree

F = TypeVar("F", bound=Callable[..., Any])


def _cast(tree: PyTree, dtype: Any) -> PyTree:
    return jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, tree)


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
                return _cast(fn(*_cast(args, jnp.float64)), dtype)

        @core.def_vmap
        def _(axis_size: int, batched: Any, *args: PyTree) -> tuple[PyTree, PyTree]:
            axes = jax.tree.map(lambda b: 0 if b else None, batched)
            out = in_float64(jax.vmap(fn, in_axes=tuple(axes), axis_size=axis_size))(*args)
            return out, jax.tree.map(lambda _: True, out)

        return core(*args)

    return call


def float64_primal(fn: F) -> F:
    """Decorator: the value in float64, rounded once; the tangent by plain autodiff of `fn`.

    Arguments are pytrees of arrays, all of one floating dtype. Products inside the tangent use
    `jax.lax.Precision.HIGHEST`. Inside an already-float64 computation it is the identity.
    """

    @jax.custom_jvp
    def core(*args: PyTree) -> PyTree:
        return in_float64(fn)(*args)

    @core.defjvp
    def _(primals: tuple, tangents: tuple) -> tuple[PyTree, PyTree]:
        with jax.default_matmul_precision("highest"):
            _, tangent = jax.jvp(fn, primals, tangents)
        return core(*primals), tangent

    @wraps(fn)
    def call(*args: PyTree) -> PyTree:
        return core(*args)

    return call  # type: ignore[return-value]


def _gram(rows: Float[Array, "m k"], noise_std: Float[Array, " m"]) -> Float[Array, "m m"]:
    """S = W Wᵀ + diag(noise²), by elementwise sums: fusable, and no BLAS call under vmap."""
    m = rows.shape[0]
    entry = [[jnp.sum(rows[i] * rows[j]) for j in range(i + 1)] for i in range(m)] if m <= 3 else []
    if entry:
        gram = jnp.stack(
            [jnp.stack([entry[max(i, j)][min(i, j)] for j in range(m)]) for i in range(m)]
        )
    else:
        gram = jnp.matmul(rows, rows.T, precision="highest")
    return gram + jnp.diag(noise_std**2)


def _cholesky(gram: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """Lower Cholesky factor; unrolled for m <= 3."""
    m = gram.shape[0]
    if m > 3:
        return jnp.linalg.cholesky(gram)
    factor = [[jnp.zeros((), gram.dtype)] * m for _ in range(m)]
    for j in range(m):
        for i in range(j, m):
            s = gram[i, j] - sum(factor[i][k] * factor[j][k] for k in range(j))
            factor[i][j] = jnp.sqrt(s) if i == j else s / factor[j][j]
    return jnp.stack([jnp.stack(row) for row in factor])
