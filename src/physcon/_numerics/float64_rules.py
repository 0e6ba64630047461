"""The primitive of local float64 arithmetic, and its rules for transformations of JAX.

`jaxpr` takes and returns arrays of the caller's dtypes, and computes in float64;
`narrow` is the same function in the caller's dtype, from which derivatives and
transposes are made. Without it they are made from `jaxpr`, in float64. The first
`constants` operands are arrays that the function closed over.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir

from physcon._operands import of_some, transposed
from physcon._typing import Array

#: The function in the caller's dtype, if derivatives are to be computed in that.
Narrow = Callable[..., list[Array]] | None

float64_p = Primitive("float64")
float64_p.multiple_results = True


@float64_p.def_impl
def _inlined(*args: Any, jaxpr: ClosedJaxpr, **_: Any) -> Sequence[Array]:
    with jax.enable_x64(True):
        return jaxpr_as_fun(jaxpr)(*args)


# JAX 0.12 asks for this rule where the program holds calls of its own.
float64_p.to_lojax = _inlined  # type: ignore[attr-defined]


@float64_p.def_abstract_eval
def _(*_: Any, jaxpr: ClosedJaxpr, **__: Any) -> Sequence[Any]:
    return jaxpr.out_avals


def _batch(
    args: Sequence[Any],
    axes: Sequence[int | None],
    *,
    jaxpr: ClosedJaxpr,
    narrow: Narrow,
    constants: int,
) -> tuple[Sequence[Array], Sequence[int]]:
    """The program is batched inside the float64 context, where all its dtypes exist."""
    with jax.enable_x64(True):
        batched = jax.make_jaxpr(jax.vmap(jaxpr_as_fun(jaxpr), tuple(axes)))(*args)
    out = float64_p.bind(
        *args,
        jaxpr=batched,
        narrow=None if narrow is None else jax.vmap(narrow, tuple(axes)),
        constants=constants,
    )
    return out, [0] * len(out)


def _jvp(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    jaxpr: ClosedJaxpr,
    narrow: Narrow,
    constants: int,
) -> tuple[Sequence[Array], Sequence[Any]]:
    moving = [i for i, t in enumerate(tangents) if type(t) is not ad.Zero]
    if narrow is not None and any(i < constants for i in moving):
        raise NotImplementedError(
            "a float64 function closes over an array that is being differentiated; "
            "pass the array as an argument"
        )
    out = float64_p.bind(*primals, jaxpr=jaxpr, narrow=narrow, constants=constants)
    still = [ad.Zero(aval.to_tangent_aval()) for aval in jaxpr.out_avals]
    steps = [tangents[i] for i in moving]
    if narrow is None:
        given = iter(_moved(jaxpr, primals, moving, steps))
        moves = [jnp.issubdtype(aval.dtype, jnp.inexact) for aval in jaxpr.out_avals]
        pairs = zip(moves, still, strict=True)
        return out, [next(given) if move else zero for move, zero in pairs]
    with jax.default_matmul_precision("highest"):
        _, moved = jax.jvp(
            of_some(narrow, primals, moving),
            tuple(primals[i] for i in moving),
            tuple(steps),
        )
    is_float0 = [t.dtype == jax.dtypes.float0 for t in moved]
    pairs = zip(is_float0, still, moved, strict=True)
    return out, [zero if skip else t for skip, zero, t in pairs]


def _moved(
    jaxpr: ClosedJaxpr,
    primals: Sequence[Any],
    moving: Sequence[int],
    tangents: Sequence[Any],
) -> Sequence[Array]:
    """The tangents of all floating results, by a program in float64."""

    def push(*operands: Array) -> list[Array]:
        at = operands[: len(primals)]
        _, moved = jax.jvp(
            of_some(jaxpr_as_fun(jaxpr), at, moving),
            tuple(at[i] for i in moving),
            operands[len(primals) :],
        )
        return [t for t in moved if t.dtype != jax.dtypes.float0]

    return _bound(push, *primals, *tangents)


def _bound(fn: Callable[..., Sequence[Array]], *operands: Any) -> Sequence[Array]:
    """A function traced in float64, as the primitive."""
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        jaxpr = jax.make_jaxpr(fn)(*operands)
    return float64_p.bind(*operands, jaxpr=jaxpr, narrow=None, constants=0)


def _transpose(
    cotangents: Sequence[Any],
    *args: Any,
    jaxpr: ClosedJaxpr,
    narrow: Narrow,
    constants: int,
) -> Sequence[Any]:
    if narrow is None:
        return _transposed(jaxpr, cotangents, args)
    with jax.default_matmul_precision("highest"):
        return transposed(narrow, cotangents, args)


def _transposed(
    jaxpr: ClosedJaxpr, cotangents: Sequence[Any], args: Sequence[Any]
) -> Sequence[Any]:
    """The transpose, by a program in float64."""
    known = [x for x in args if not ad.is_undefined_primal(x)]
    pulls = [ad.instantiate_zeros(ct) for ct in cotangents]

    def pull(*operands: Array) -> list[Array]:
        given = iter(operands[len(pulls) :])
        at = [x if ad.is_undefined_primal(x) else next(given) for x in args]
        found = transposed(jaxpr_as_fun(jaxpr), operands[: len(pulls)], at)
        return [x for x in found if x is not None]

    found = iter(_bound(pull, *pulls, *known))
    return [next(found) if ad.is_undefined_primal(x) else None for x in args]


mlir.register_lowering(
    float64_p,
    mlir.lower_fun(lambda *args, jaxpr, **_: jaxpr_as_fun(jaxpr)(*args)),
)
batching.primitive_batchers[float64_p] = _batch
ad.primitive_jvps[float64_p] = _jvp
ad.primitive_transposes[float64_p] = _transpose
