"""Errors that state what was expected, what was given, and the remedy.

There are two kinds of mistakes. Wrong shapes and choices are found while tracing
(`require`, `ValueError`). Wrong values are found at run time (`error_if`, which works
under jit, vmap and grad).
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from physcon._require import NO_REAL_NUMBERS
from physcon._require import require as require
from physcon._require import require_choice as require_choice
from physcon._typing import Array, Bool, PyTree

T = TypeVar("T")


def require_shape(array: Array, shape: tuple[int, ...], name: str) -> None:
    """Raise unless `array.shape == shape`.

    The message points to `jax.vmap` for batches.
    """
    got = tuple(np.shape(array))
    batched = len(got) > len(shape) and got[len(got) - len(shape) :] == shape
    remedy = (
        "functions act on one sample: batch with jax.vmap"
        if batched
        else f"reshape {name}"
    )
    require(got == shape, f"{name} of shape {shape}", got, remedy)


def require_given(x: object, kind: type, name: str) -> None:
    """Raise unless `x` is a `kind`.

    This detects swapped arguments, and a list where one object is expected.
    """
    several = (
        "; several are stack(first, second)" if isinstance(x, list | tuple) else ""
    )
    remedy = f"look at the order of the arguments{several}"
    require(
        isinstance(x, kind),
        f"{name}: a {kind.__name__}",
        f"a {type(x).__name__}",
        remedy,
    )


def require_array(x: object, name: str) -> None:
    """Raise unless `x` has a shape and a type of numbers, as arrays have."""
    require(
        hasattr(x, "shape") and hasattr(x, "dtype"),
        f"{name}: an array",
        f"a {type(x).__name__}",
        "pass jnp.asarray(...) of numbers",
    )


def require_sampling(key: object, shape: object) -> None:
    """Raise unless `key` is a key of `jax.random`, and `shape` a tuple."""
    require(
        hasattr(key, "shape") and hasattr(key, "dtype"),
        "key: a key of jax.random",
        f"a {type(key).__name__}",
        "pass jax.random.key(seed)",
    )
    require_tuple(shape, "shape")


def require_tuple(shape: object, name: str) -> None:
    """Raise unless `shape` can be the shape of an array."""
    require(
        isinstance(shape, tuple | list),
        f"{name}: a tuple",
        repr(shape),
        "pass (n,) for one axis of length n",
    )


def shape_of(x: Any, name: str) -> tuple[int, ...]:
    """The shape of an array; raise unless `x` is one."""
    require_array(x, name)
    return x.shape


def require_function(fn: object, name: str) -> None:
    """Raise unless `fn` can be called."""
    require(
        callable(fn),
        f"{name}: a function",
        f"a {type(fn).__name__}",
        "pass a function of the field, such as lambda u: u[0]",
    )


def require_same_field(field: tuple[int, ...], seen: tuple[int, ...]) -> None:
    """Raise unless a constraint on fields of shape `seen` fits the shape `field`."""
    batched = len(field) > len(seen) and field[len(field) - len(seen) :] == seen
    remedy = (
        "functions act on one sample: batch with jax.vmap"
        if batched
        else "build both on one grid; a law on several arrays (fluxes, face "
        "velocities) acts on "
        "join_fields(...), components of a field are integral(..., components=...)"
    )
    require(field == seen, f"a constraint on fields of shape {field}", seen, remedy)


def require_no_negative(x: object, name: str, remedy: str) -> None:
    """Raise for an array of known values if one is negative."""
    if x is None or is_traced(x) or not isinstance(x, np.ndarray | jax.Array):
        return
    values = np.asarray(x)
    wrong = np.flatnonzero(values < 0)
    require(
        wrong.size == 0,
        f"{name} of zero or more",
        f"{wrong.size} negative value(s), first {values.ravel()[wrong[:1]].tolist()}",
        remedy,
    )


def require_share(where: object) -> None:
    """Raise for a mask whose known values are not shares, from 0 to 1."""
    if not is_traced(where):
        share = np.asarray(where)
        least = share.min(initial=0)
        most = share.max(initial=1)
        require(
            not (least < 0 or most > 1),
            "where: true or false, or shares from 0 to 1",
            f"values from {least} to {most}",
            "pass mask > 0 for a mask of other numbers",
        )


def require_numbers(x: T, name: str, *, is_complex: bool = False) -> T:
    """Return `x`; raise unless it holds real numbers, or also complex ones."""
    if isinstance(x, list | tuple) and any(map(is_traced, jax.tree.leaves(x))):
        return x
    require(
        not hasattr(x, "data_vars") and not isinstance(x, np.ma.MaskedArray),
        f"{name} of real numbers",
        f"a {type(x).__name__}",
        "pass a plain array: a variable of a dataset, a masked array once filled",
    )
    dtype: Any = getattr(x, "dtype", None)
    dtype = np.asarray(x).dtype if dtype is None else dtype
    kind = getattr(dtype, "kind", "f")
    if kind in NO_REAL_NUMBERS and not (is_complex and kind == "c"):
        got = f"{NO_REAL_NUMBERS[kind]} ({dtype})"
        remedy = "convert them to numbers, in a unit of your choice"
        require(False, f"{name} of real numbers", got, remedy)
    return x


def concrete(x: object) -> np.ndarray | None:
    """`x` as a float64 NumPy array, or None if `x` is traced and has no value yet."""
    if is_traced(x):
        return None
    return np.asarray(require_numbers(x, "an array"), dtype=np.float64)


def is_traced(x: object) -> bool:
    """Whether `x` stands for a value that is not known yet (inside jit, vmap, grad)."""
    return isinstance(x, Tracer)


def at_trace_time(*trees: PyTree) -> AbstractContextManager:
    """A context that computes with `trees` while tracing, if their values are known.

    Constants of a jitted function are then combined once, when it is traced, and
    checking them needs no host callback. If any array is traced, nothing changes.
    """
    known = not any(is_traced(leaf) for leaf in jax.tree.leaves(trees))
    return jax.ensure_compile_time_eval() if known else nullcontext()


def error_if(x: T, wrong: "Bool[Array, '*s']", message: str, throw: bool) -> T:
    """Return `x`, but under `throw` raise at run time where `wrong` holds.

    The error is raised by `eqx.error_if`. ``throw=False`` adds no callback to the
    program, so that it can be exported.
    """
    if not throw:
        return x
    if is_traced(wrong):
        return eqx.error_if(x, wrong, message)
    return eqx.error_if(x, True, message) if np.asarray(wrong).any() else x


def inexact_leaves(tree: PyTree) -> list[Array]:
    """The floating-point leaves of a pytree."""
    return [leaf for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]
