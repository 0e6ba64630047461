"""A user's function as a pytree: its arrays are leaves, its program is static.

A function that is written inside a loop, or as an argument, is a new object at every
call. A program that was compiled for such an object is compiled anew, though it
computes the same; compiled for one object, it misses a value that the function reads
and that has changed since. Functions are therefore traced at every call, which is
cheap, and compared by what they compute. Arrays that they close over become arguments,
including arrays of an outer `jax.vmap` or `jax.grad`; so do factors and summands.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from physcon._checks import is_traced, require
from physcon._numerics.program import Program, fingerprint, trace
from physcon._typing import Array, PyTree


class Opened(eqx.Module):
    """A function for arguments of the shapes and dtypes at which it was traced."""

    consts: tuple[Array | tuple[Array, Array], ...]
    program: Program = eqx.field(static=True)

    def __call__(self, *args: PyTree) -> PyTree:
        jaxpr = self.program.jaxpr
        given = _as([*self.consts, *jax.tree.leaves(args)], jaxpr.invars)
        found = jaxpr_as_fun(ClosedJaxpr(jaxpr, ()))(*given)
        return jax.tree.unflatten(self.program.tree, found)


def _as(arrays: Any, variables: Any) -> list[Array]:
    """Arrays in the dtypes of a program; a number in two parts is their sum."""

    def cast(x: Any, dtype: Any) -> Array:
        if isinstance(x, tuple):
            return x[0].astype(dtype) + x[1].astype(dtype)
        return jnp.asarray(x, dtype)

    return [cast(x, v.aval.dtype) for x, v in zip(arrays, variables, strict=True)]


def _held(x: Any) -> Array | tuple[Array, Array]:
    """An array of a program; in two parts where it can't be an argument in float64."""
    if is_traced(x) or x.dtype != np.float64 or jax.config.read("jax_enable_x64"):
        return jnp.asarray(x)
    high = np.asarray(x, np.float32)
    return jnp.asarray(high), jnp.asarray(np.asarray(x) - high, jnp.float32)


def opened(fn: Callable[..., PyTree], *args: PyTree) -> Opened:
    """`fn` traced at arguments like `args`."""

    def anew(*args: PyTree) -> PyTree:  # JAX would remember the trace of `fn` itself
        return fn(*args)

    program, consts = trace(anew, args)
    return Opened(tuple(_held(x) for x in consts), program)


class Known:
    """A function that equals another one if both have the same description."""

    def __init__(self, fn: Callable[..., Any], description: str) -> None:
        self.__dict__.update(vars(fn))  # such as the stability limit of a time step
        self.fn = fn
        self.description = description

    def __call__(self, *args: Any) -> Any:
        return self.fn(*args)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Known) and self.description == other.description

    def __hash__(self) -> int:
        return hash(self.description)


def description(fn: Callable[..., PyTree], *args: PyTree) -> str | None:
    """What `fn` computes from arguments like `args`, with its arrays and numbers.

    None where that can't be told, for example because an array has no value yet.
    """
    program, consts = trace(fn, args)
    if program.text is None or any(is_traced(x) for x in consts):
        return None
    return "\n".join([program.text, *map(fingerprint, consts)])


def if_plain(fn: Any, *args: PyTree) -> Any:
    """`fn` opened, unless it is a pytree of its own (or not a function at all)."""
    opaque = callable(fn) and jax.tree_util.all_leaves([fn])
    return opened(fn, *args) if opaque else fn


class InTwoDtypes(eqx.Module):
    """A function of one array, traced in float64 and in a narrower dtype."""

    narrow: Opened
    wide: Opened

    def __call__(self, x: Array) -> Array:
        wide = x.dtype == jnp.float64
        return self.wide(x) if wide else self.narrow(x).astype(x.dtype)


def opened_in_two_dtypes(fn: Callable[[Array], Array], x: Any) -> InTwoDtypes:
    """`fn` traced at an array like `x`, and at one in float64."""

    def anew(x: Array) -> Array:
        return fn(x)

    with jax.enable_x64(True):
        program, consts = trace(anew, (jax.ShapeDtypeStruct(x.shape, jnp.float64),))
    wide = Opened(tuple(_held(x) for x in consts), program)
    return InTwoDtypes(opened(fn, x), wide)


class Pointwise(eqx.Module):
    """A function that acts on every entry of an array of any shape."""

    fn: InTwoDtypes

    def __call__(self, x: Array) -> Array:
        return jax.vmap(self.fn)(x.reshape(-1)).reshape(x.shape)


def pointwise(fn: Callable[[Array], Array]) -> "Pointwise":
    """`fn`, which acts on every entry of an array, traced at a single entry."""
    if isinstance(fn, Pointwise):
        return fn
    require(callable(fn), "a function", repr(fn), "e.g. physcon.kernels.matern32")
    entry = jax.ShapeDtypeStruct((), jnp.result_type(float))
    return Pointwise(opened_in_two_dtypes(fn, entry))
