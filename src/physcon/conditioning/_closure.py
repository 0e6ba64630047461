"""A user's function as a pytree: its arrays are leaves, its program is static.

A custom derivative rule, and a program traced in float64, know only the arrays that are
their arguments. An array of an outer `jax.vmap` or `jax.grad` that a user's function
closes over has to become one of them. An array or a number outside of any
transformation may change between two calls of one function: programs are therefore
compared by what they compute, not by the identity of the function.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from physcon._typing import Array


class Program:
    """A function traced in the dtype of its argument and in float64, without arrays."""

    def __init__(self, narrow: ClosedJaxpr, wide: ClosedJaxpr) -> None:
        self.narrow = narrow
        self.wide = wide
        self.text = f"{narrow.jaxpr}{wide.jaxpr}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


class Opened(eqx.Module):
    """A function of one array; the arrays that it closed over are leaves."""

    narrow_consts: tuple[Array, ...]
    wide_consts: tuple[Array, ...]
    program: Program = eqx.field(static=True)

    def __call__(self, u: Array) -> Array:
        narrow = self.program.narrow
        if u.dtype == narrow.in_avals[0].dtype:
            return _run(narrow, self.narrow_consts, u)
        return _run(self.program.wide, self.wide_consts, u)


def _run(program: ClosedJaxpr, consts: tuple[Array, ...], u: Array) -> Array:
    dtypes = [v.aval.dtype for v in program.jaxpr.constvars]
    given = [x.astype(dtype) for x, dtype in zip(consts, dtypes, strict=True)]
    return jaxpr_as_fun(ClosedJaxpr(program.jaxpr, given))(u)[0]


def opened(fn: Callable[[Array], Array], u: Array) -> Opened:
    """`fn` traced at an argument like `u`."""

    def anew(u: Array) -> Array:  # JAX would remember the trace of `fn` itself
        return fn(u)

    narrow = jax.make_jaxpr(anew)(u)
    with jax.enable_x64(True):
        wide = jax.make_jaxpr(anew)(jax.ShapeDtypeStruct(u.shape, jnp.float64))
    narrow_consts = tuple(jnp.asarray(x) for x in narrow.consts)
    wide_consts = tuple(jnp.asarray(x) for x in wide.consts)
    return Opened(narrow_consts, wide_consts, Program(narrow, wide))
