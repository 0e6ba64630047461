"""Float64 where it matters, inside a float32 program.

Rounding to float32 spoils two things only: the Gram matrix of nearly dependent rows,
and the residual of a constraint, a small difference of large sums. Both are *values*; a
tangent needs no more than the caller's precision. Hence one decorator,
`float64_primal`: the value of a function is computed in float64 and rounded once at the
end, its derivative is that of the same formula in the caller's dtype. No global flag,
no host callback; it composes with jit, vmap, jvp, vjp, scan, remat.
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
    return jax.tree.map(
        lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, tree
    )


def in_one_dtype(*trees: PyTree) -> tuple[Any, ...]:
    """The pytrees with all floating-point arrays in the widest of their dtypes.

    A float32 prediction meets a float64 grid where JAX_ENABLE_X64 is set, a bfloat16
    one a float32 grid anywhere: both are promoted, as in ``prediction *
    grid.volumes()``.
    """
    leaves = inexact_leaves(trees)
    return cast(trees, jnp.result_type(*leaves)) if leaves else trees


def floating(x: ArrayLike) -> Array:
    """`x` as a floating-point array: integers and lists of them are promoted."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(float)


def in_float64(fn: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """`fn` evaluated in float64; arguments and results keep the caller's dtype.

    Not differentiable by itself: see `float64_primal`. The batching rule hands the
    batch axis to the core, so that no float64 operation is ever batched outside of the
    float64 context.
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
            out = in_float64(jax.vmap(fn, in_axes=tuple(axes), axis_size=axis_size))(
                *args
            )
            return out, jax.tree.map(lambda _: True, out)

        return core(*args)

    return call


def float64_primal(fn: F) -> F:
    """Decorator: the value in float64, rounded once; the tangent by plain autodiff of
    `fn`.

    Arguments are pytrees of arrays, promoted to one floating dtype. Products inside the
    tangent use `jax.lax.Precision.HIGHEST`. Inside an already-float64 computation it is
    the identity. The value is one compiled program even outside of jit, so that its
    float64 intermediates take no memory.
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


class Pair(NamedTuple):
    """A small array of float64 accuracy (48 bits) in a float32 container: high + low
    part.
    """

    high: Float[Array, "*s"]
    low: Float[Array, "*s"]


def split(x: Float[Array, "*s"]) -> Pair:
    """A float64 array as two parts that are each exact in float32: `join(split(x)) ==
    x`.
    """
    high = x.astype(jnp.float32).astype(x.dtype)
    return Pair(high, x - high)


def join(pair: Pair) -> Float[Array, "*s"]:
    """The sum of both parts: full accuracy in float64, the high part in float32."""
    return pair.high + pair.low
