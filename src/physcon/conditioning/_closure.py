"""Functions that close over traced arrays, as pytrees of these arrays.

A custom derivative rule, and a program traced in float64, know the arrays that are their
arguments only. An array of an outer `jax.vmap` or `jax.grad` that a user's function
closes over has to become one of them.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from physcon._checks import is_traced
from physcon._typing import Array


class Opened(eqx.Module):
    """A function of one array whose closed-over traced arrays are leaves.

    The function has been traced twice, in the dtype of its argument and in float64.
    """

    outer: tuple[Array, ...]
    narrow: ClosedJaxpr = eqx.field(static=True)
    wide: ClosedJaxpr = eqx.field(static=True)

    def __call__(self, u: Array) -> Array:
        as_given = u.dtype == self.narrow.in_avals[0].dtype
        program = self.narrow if as_given else self.wide
        given = iter(self.outer)
        consts = [
            next(given).astype(x.dtype) if is_traced(x) else x for x in program.consts
        ]
        return jaxpr_as_fun(ClosedJaxpr(program.jaxpr, consts))(u)[0]


def opened(fn: Callable[[Array], Array], u: Array) -> Any:
    """`fn` itself, or an `Opened` one if it closes over traced arrays."""
    narrow = jax.make_jaxpr(fn)(u)
    outer = [x for x in narrow.consts if is_traced(x)]
    if not outer:
        return fn
    with jax.enable_x64(True):
        wide = jax.make_jaxpr(fn)(jax.ShapeDtypeStruct(u.shape, jnp.float64))
    same = [x for x in wide.consts if is_traced(x)]
    if [id(x) for x in same] != [id(x) for x in outer]:
        raise NotImplementedError(
            "a law that closes over traced arrays whose use depends on the dtype; pass "
            "them as leaves of a callable pytree (equinox.Module, jax.tree_util.Partial)"
        )
    return Opened(tuple(outer), narrow, wide)
