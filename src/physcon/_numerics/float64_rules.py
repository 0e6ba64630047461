"""The primitive of local float64 arithmetic, and its rules for transformations of JAX.

`jaxpr` takes and returns arrays of the caller's dtypes, and computes in float64;
`narrow` is the same function in the caller's dtype. The first `constants` operands are
arrays that the function closed over.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir

from physcon._operands import of_some, transposed
from physcon._typing import Array

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
    narrow: Callable[..., list[Array]],
    constants: int,
) -> tuple[Sequence[Array], Sequence[int]]:
    """The program is batched inside the float64 context, where all its dtypes exist."""
    with jax.enable_x64(True):
        batched = jax.make_jaxpr(jax.vmap(jaxpr_as_fun(jaxpr), tuple(axes)))(*args)
    out = float64_p.bind(
        *args,
        jaxpr=batched,
        narrow=jax.vmap(narrow, tuple(axes)),
        constants=constants,
    )
    return out, [0] * len(out)


def _jvp(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    jaxpr: ClosedJaxpr,
    narrow: Callable[..., list[Array]],
    constants: int,
) -> tuple[Sequence[Array], Sequence[Any]]:
    moving = [i for i, t in enumerate(tangents) if type(t) is not ad.Zero]
    if any(i < constants for i in moving):
        raise NotImplementedError(
            "a float64 function closes over an array that is being differentiated; "
            "pass the array as an argument"
        )
    out = float64_p.bind(*primals, jaxpr=jaxpr, narrow=narrow, constants=constants)
    with jax.default_matmul_precision("highest"):
        _, moved = jax.jvp(
            of_some(narrow, primals, moving),
            tuple(primals[i] for i in moving),
            tuple(tangents[i] for i in moving),
        )
    still = [ad.Zero(aval.to_tangent_aval()) for aval in jaxpr.out_avals]
    is_float0 = [t.dtype == jax.dtypes.float0 for t in moved]
    pairs = zip(is_float0, still, moved, strict=True)
    return out, [zero if skip else t for skip, zero, t in pairs]


def _transpose(
    cotangents: Sequence[Any],
    *args: Any,
    jaxpr: ClosedJaxpr,
    narrow: Callable[..., list[Array]],
    constants: int,
) -> Sequence[Any]:
    with jax.default_matmul_precision("highest"):
        return transposed(narrow, cotangents, args)


mlir.register_lowering(
    float64_p,
    mlir.lower_fun(lambda *args, jaxpr, **_: jaxpr_as_fun(jaxpr)(*args)),
)
batching.primitive_batchers[float64_p] = _batch
ad.primitive_jvps[float64_p] = _jvp
ad.primitive_transposes[float64_p] = _transpose
