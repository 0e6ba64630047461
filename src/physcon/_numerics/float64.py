"""Float64 where it matters, inside a float32 program.

Rounding to float32 spoils two things only: the Gram matrix of nearly dependent rows,
and the residual of a constraint, which is a small difference of large sums. Both are
*values*; a tangent needs no more than the caller's precision. `float64_primal`
therefore computes the value of a function in float64 and rounds it once at the end, and
takes its derivative from the same formula in the caller's dtype.

There is no global flag and no host callback. The mechanism is one primitive
(`float64_rules.py`) that holds a program traced in float64, so jit, vmap, jvp, vjp,
transposition, scan, while, cond and remat compose in any order.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import inexact_leaves, is_traced, require_numbers
from physcon._numerics.float64_rules import float64_p
from physcon._operands import constants_first
from physcon._typing import Array, ArrayLike, Float, PyTree

F = TypeVar("F", bound=Callable[..., Any])


def cast(tree: PyTree, dtype: Any) -> PyTree:
    """The pytree with its floating-point arrays in another dtype."""
    return jax.tree.map(
        lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, tree
    )


def in_one_dtype(*trees: PyTree) -> tuple[Any, ...]:
    """The pytrees with all floating-point arrays in the widest of their dtypes.

    A float32 prediction meets a float64 grid if JAX_ENABLE_X64 is set, and a bfloat16
    prediction meets a float32 grid by default. Both are promoted, as they are in
    ``prediction * grid.volumes()``.
    """
    leaves = inexact_leaves(trees)
    return cast(trees, jnp.result_type(*leaves)) if leaves else trees


def floating(x: ArrayLike) -> Array:
    """`x` as a floating-point array: integers and lists of them are promoted."""
    x = jnp.asarray(require_numbers(x, "an array", is_complex=True))
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(float)


def in_float64(fn: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """`fn` evaluated in float64; arguments and results keep the caller's dtype.

    Derivatives and transposes of `fn` are computed in the caller's dtype. Arguments are
    pytrees of arrays. Arrays of an outer transformation that `fn` closes over are
    allowed, but are constants in derivatives.
    """

    def call(*args: PyTree) -> PyTree:
        dtype = jnp.result_type(*inexact_leaves(args))
        if dtype == jnp.float64:
            return fn(*args)
        return _call(lambda *a: cast(fn(*cast(a, jnp.float64)), dtype), fn, args)

    return call


def entirely_in_float64(fn: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """`in_float64` with derivatives and transposes of any order in float64, too.

    For functions whose derivatives leave the range of float32 on the way. Arrays that
    `fn` closes over have derivatives. A second derivative computes the first one again.
    """

    def call(*args: PyTree) -> PyTree:
        dtype = jnp.result_type(*inexact_leaves(args))
        if dtype == jnp.float64:
            return fn(*args)
        return _call(lambda *a: cast(fn(*cast(a, jnp.float64)), dtype), None, args)

    return call


def float64_primal(fn: F) -> F:
    """Decorator: the value in float64, rounded once; the tangent by autodiff of `fn`.

    Arguments are pytrees of arrays, which are promoted to one floating dtype. Products
    inside the tangent use `jax.lax.Precision.HIGHEST`. Inside a float64 computation the
    decorator changes nothing. The value is one compiled program even outside of jit, so
    that its float64 intermediates take no memory.
    """

    @partial(jax.jit, static_argnums=0)
    def widened(dtype: Any, *args: PyTree) -> PyTree:
        return cast(fn(*cast(args, jnp.float64)), dtype)

    compiled = jax.jit(fn)

    @wraps(fn)
    def call(*args: PyTree) -> PyTree:
        args = in_one_dtype(*args)
        dtype = jnp.result_type(*inexact_leaves(args))
        if dtype == jnp.float64:
            return compiled(*args)
        return _call(partial(widened, dtype), fn, args)

    return call  # type: ignore[return-value]


def _call(
    wide: Callable[..., PyTree],
    fn: Callable[..., PyTree] | None,
    args: tuple[PyTree, ...],
) -> PyTree:
    """Bind the primitive: `wide` traced under x64 is the value, `fn` the derivative.

    Without `fn` the derivative is the one of `wide`.
    """
    leaves, tree = jax.tree.flatten(args)
    leaves = [jnp.asarray(x) for x in leaves]
    narrow_integers = jnp.result_type(int) == jnp.int32

    def value(*leaves: Array) -> PyTree:
        out = wide(*tree.unflatten(leaves))
        return jax.tree.map(_narrow, out) if narrow_integers else out

    with jax.enable_x64(True):
        jaxpr, shapes = jax.make_jaxpr(value, return_shape=True)(*leaves)
    outer = [x for x in jaxpr.consts if is_traced(x)]
    if outer:
        with jax.enable_x64(True):
            jaxpr = constants_first(jaxpr, outer, leaves)

    def narrow(*operands: Any) -> list[Array]:
        assert fn is not None
        return jax.tree.leaves(fn(*tree.unflatten(operands[len(outer) :])))

    found = float64_p.bind(
        *outer,
        *leaves,
        jaxpr=jaxpr,
        narrow=None if fn is None else narrow,
        constants=len(outer),
    )
    return jax.tree.unflatten(jax.tree.structure(shapes), found)


def _narrow(x: Array) -> Array:
    """64-bit integers exist in the float64 context only."""
    return x.astype(jnp.int32) if x.dtype == jnp.int64 else x


class Pair(NamedTuple):
    """A small array of float64 accuracy (48 bits) as the sum of two float32 arrays."""

    high: Float[Array, "*s"]
    low: Float[Array, "*s"]


def split(x: Float[Array, "*s"]) -> Pair:
    """A float64 array as two parts that are exact in float32; `join` adds them."""
    high = x.astype(jnp.float32).astype(x.dtype)
    return Pair(high, x - high)


def join(pair: Pair) -> Float[Array, "*s"]:
    """The sum of both parts: full accuracy in float64, the high part in float32."""
    return pair.high + pair.low
