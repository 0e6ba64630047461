"""A user's function as a pytree: its arrays are leaves, its program is static.

A custom derivative rule, and a program traced in float64, know only the arrays that are
their arguments. An array of an outer `jax.vmap` or `jax.grad` that a user's function
closes over has to become one of them. An array or a number outside of any
transformation may change between two calls of one function: programs are therefore
compared by what they compute, not by the identity of the function.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun

from physcon._checks import is_traced
from physcon._typing import Array


class Program:
    """A function traced in the dtype of its argument and in float64, without arrays.

    The arrays of inner programs are a part of it: two programs are equal if they have
    one text and equal inner arrays.
    """

    def __init__(self, narrow: ClosedJaxpr, wide: ClosedJaxpr | None) -> None:
        self.narrow = narrow
        self.wide = wide
        programs = [narrow] if wide is None else [narrow, wide]
        parts = [f"{p.jaxpr}" for p in programs]
        for program in programs:
            parts += [_fingerprint(x) for x in _inner_arrays(program.jaxpr)]
        self.text = "\n".join(parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def _inner_arrays(jaxpr: Jaxpr) -> Iterator[Any]:
    """The constants of all programs that the equations of a program hold."""
    for equation in jaxpr.eqns:
        pending = list(equation.params.values())
        while pending:
            value = pending.pop()
            if isinstance(value, ClosedJaxpr):
                yield from value.consts
                yield from _inner_arrays(value.jaxpr)
            elif isinstance(value, Jaxpr):
                yield from _inner_arrays(value)
            elif isinstance(value, tuple | list):
                pending += value


def _fingerprint(x: Any) -> str:
    """A text that is equal for equal arrays; of a traced one, its identity."""
    if is_traced(x) or jnp.issubdtype(x.dtype, jax.dtypes.extended):
        return f"array {id(x)}"
    values = np.asarray(x)
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    return f"{values.dtype}{values.shape} {digest}"


class Opened(eqx.Module):
    """A function of one array; the arrays that it closed over are leaves."""

    narrow_consts: tuple[Array, ...]
    wide_consts: tuple[Array, ...]
    program: Program = eqx.field(static=True)

    def __call__(self, u: Array) -> Array:
        narrow, wide = self.program.narrow, self.program.wide
        if wide is None or u.dtype == narrow.in_avals[0].dtype:
            return _run(narrow, self.narrow_consts, u)
        return _run(wide, self.wide_consts, u)


def _run(program: ClosedJaxpr, consts: tuple[Array, ...], u: Array) -> Array:
    dtypes = [v.aval.dtype for v in program.jaxpr.constvars]
    given = [x.astype(dtype) for x, dtype in zip(consts, dtypes, strict=True)]
    return jaxpr_as_fun(ClosedJaxpr(program.jaxpr, given))(u)[0]


def opened(fn: Callable[[Array], Array], u: Any, wide: bool = True) -> Opened:
    """`fn` traced at an argument like `u`, an array or its shape and dtype.

    Args:
        wide: whether it is called in float64 as well.
    """

    def anew(u: Array) -> Array:  # JAX would remember the trace of `fn` itself
        return fn(u)

    narrow = jax.make_jaxpr(anew)(u)
    narrow_consts = tuple(jnp.asarray(x) for x in narrow.consts)
    if not wide:
        return Opened(narrow_consts, (), Program(narrow, None))
    with jax.enable_x64(True):
        wider = jax.make_jaxpr(anew)(jax.ShapeDtypeStruct(u.shape, jnp.float64))
    wide_consts = tuple(jnp.asarray(x) for x in wider.consts)
    return Opened(narrow_consts, wide_consts, Program(narrow, wider))
