"""Which operands of a program are its arguments: for primitives that hold a program."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.interpreters import ad

from physcon._checks import is_traced
from physcon._typing import Array


def of_some(
    fn: Callable[..., Sequence[Array]], operands: Sequence[Any], chosen: Sequence[int]
) -> Callable[..., Sequence[Array]]:
    """`fn` as a function of the chosen operands alone."""

    def call(*some: Array) -> Sequence[Array]:
        given = dict(zip(chosen, some, strict=True))
        return fn(*(given.get(i, x) for i, x in enumerate(operands)))

    return call


def transposed(
    fn: Callable[..., Sequence[Array]], cotangents: Sequence[Any], args: Sequence[Any]
) -> list[Any]:
    """The cotangents of the operands in which `fn` is linear; None for all others."""
    linear = [i for i, x in enumerate(args) if ad.is_undefined_primal(x)]
    shapes = [
        jax.ShapeDtypeStruct(args[i].aval.shape, args[i].aval.dtype) for i in linear
    ]
    back = jax.linear_transpose(of_some(fn, args, linear), *shapes)
    found = back([ad.instantiate_zeros(ct) for ct in cotangents])
    out: list[Any] = [None] * len(args)
    for i, x in zip(linear, found, strict=True):
        out[i] = x
    return out


def constants_first(
    jaxpr: ClosedJaxpr, outer: list[Array], leaves: list[Array]
) -> ClosedJaxpr:
    """The program with its traced constants `outer` as the first arguments."""

    def run(*operands: Array) -> Sequence[Array]:
        given = iter(operands[: len(outer)])
        consts = [next(given) if is_traced(x) else x for x in jaxpr.consts]
        closed = ClosedJaxpr(jaxpr.jaxpr, consts)
        return jaxpr_as_fun(closed)(*operands[len(outer) :])

    return jax.make_jaxpr(run)(*outer, *leaves)
