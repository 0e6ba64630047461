"""Functions with a derivative of their own, which every transformation keeps.

`jax.custom_jvp` is inlined where `jax.lax.scan` is linearised and differentiated once
more (JAX 0.10): a Hessian of a roll-out then differentiates the program that computes
the value, at a point where that has no derivative, or another one. A primitive is never
inlined.
"""

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir

from physcon._checks import is_traced
from physcon._operands import constants_first, transposed
from physcon._typing import Array

T = TypeVar("T")
Rule = Callable[[tuple[Any, ...], tuple[Any, ...]], tuple[list[Any], list[Any]]]

with_rule_p = Primitive("custom_jvp_with_rule")
with_rule_p.multiple_results = True


class WithDerivative(Generic[T]):
    """A function with a `defjvp`, which is used as in `jax.custom_jvp`.

    Attributes:
        static: positions of arguments that are no arrays; the rule takes them first.
    """

    def __init__(self, fn: Callable[..., T], static: tuple[int, ...] = ()) -> None:
        self._fn = fn
        self._static = static
        self._rule: Callable[..., tuple[T, Any]] | None = None
        update_wrapper(self, fn)

    def defjvp(self, rule: Callable[..., tuple[T, Any]]) -> None:
        """Define the derivative: ``rule(*static, primals, tangents)``."""
        self._rule = rule

    def __call__(self, *args: Any) -> T:
        moving = [x for i, x in enumerate(args) if i not in self._static]
        leaves, tree = jax.tree.flatten(moving)
        if not any(is_traced(x) for x in leaves):
            return self._fn(*args)
        leaves = [jnp.asarray(x) for x in leaves]

        def value(*leaves: Array) -> T:
            given = iter(tree.unflatten(leaves))
            static = self._static
            return self._fn(
                *(x if i in static else next(given) for i, x in enumerate(args))
            )

        jaxpr, shapes = jax.make_jaxpr(value, return_shape=True)(*leaves)
        outer = [x for x in jaxpr.consts if is_traced(x)]
        if outer:
            jaxpr = constants_first(jaxpr, outer, leaves)
        static = [args[i] for i in self._static]
        rule = self._flat_rule(static, tree, len(outer))
        is_flat = tree == jax.tree.structure([0] * len(args)) and not outer
        found = with_rule_p.bind(
            *outer,
            *leaves,
            jaxpr=jaxpr,
            rule=rule,
            constants=len(outer),
            call=self if is_flat else None,
        )
        return jax.tree.unflatten(jax.tree.structure(shapes), found)

    def _flat_rule(self, static: list[Any], tree: Any, constants: int) -> Rule:
        """The rule for lists of arrays; integers have no tangents in them."""

        def rule(
            operands: tuple[Any, ...], tangents: tuple[Any, ...]
        ) -> tuple[list[Any], list[Any]]:
            primals = operands[constants:]
            given = iter(tangents)
            moving = [next(given) if _moves(x) else _float0(x) for x in operands]
            assert self._rule is not None, "a function without its rule"
            out, moved = self._rule(
                *static,
                tuple(tree.unflatten(primals)),
                tuple(tree.unflatten(moving[constants:])),
            )
            found = jax.tree.leaves(out)
            pairs = zip(found, jax.tree.leaves(moved), strict=True)
            return found, [t for x, t in pairs if _moves(x)]

        return rule


def _moves(x: Any) -> bool:
    return bool(jnp.issubdtype(x.dtype, jnp.inexact))


def _float0(x: Any) -> np.ndarray:
    return np.zeros(x.shape, jax.dtypes.float0)


@with_rule_p.def_impl
def _inlined(*args: Any, jaxpr: ClosedJaxpr, **_: Any) -> Sequence[Array]:
    return jaxpr_as_fun(jaxpr)(*args)


# JAX 0.12 asks for this rule where the program holds calls of its own.
with_rule_p.to_lojax = _inlined  # type: ignore[attr-defined]


@with_rule_p.def_effectful_abstract_eval
def _(*_: Any, jaxpr: ClosedJaxpr, **__: Any) -> tuple[Sequence[Any], Any]:
    return jaxpr.out_avals, jaxpr.effects


def _batch(
    args: Sequence[Any],
    axes: Sequence[int | None],
    *,
    jaxpr: ClosedJaxpr,
    rule: Rule,
    constants: int,
    **_: Any,
) -> tuple[Sequence[Array], Sequence[int]]:
    moving = tuple(axis for x, axis in zip(args, axes, strict=True) if _moves(x))
    batched = jax.make_jaxpr(jax.vmap(jaxpr_as_fun(jaxpr), tuple(axes)))(*args)
    out = with_rule_p.bind(
        *args,
        jaxpr=batched,
        rule=jax.vmap(rule, (tuple(axes), moving)),
        constants=constants,
        call=None,
    )
    return out, [0] * len(out)


def _jvp(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    jaxpr: ClosedJaxpr,
    rule: Rule,
    constants: int,
    **_: Any,
) -> tuple[Sequence[Array], Sequence[Any]]:
    if any(type(t) is not ad.Zero for t in tangents[:constants]):
        raise NotImplementedError(
            "a function with its own derivative closes over an array that is being "
            "differentiated; pass the array as an argument"
        )
    pairs = zip(primals, tangents, strict=True)
    moving = tuple(ad.instantiate_zeros(t) for x, t in pairs if _moves(x))
    out, moved = rule(tuple(primals), moving)
    given = iter(moved)
    return out, [
        next(given) if _moves(aval) else ad.Zero(aval.to_tangent_aval())
        for aval in jaxpr.out_avals
    ]


def _transpose(
    cotangents: Sequence[Any],
    *args: Any,
    jaxpr: ClosedJaxpr,
    rule: Rule,
    constants: int,
    **_: Any,
) -> Sequence[Any]:
    """Of a function that is linear in some operands: it is its own derivative."""
    linear = [ad.is_undefined_primal(x) for x in args]

    def moved(*operands: Array) -> list[Array]:
        pairs = list(zip(operands, linear, strict=True))
        at = tuple(jnp.zeros_like(x) if is_linear else x for x, is_linear in pairs)
        tangents = tuple(
            x if is_linear else jnp.zeros_like(x) for x, is_linear in pairs if _moves(x)
        )
        given = iter(rule(at, tangents)[1])
        return [
            next(given) if _moves(aval) else jnp.zeros(aval.shape, aval.dtype)
            for aval in jaxpr.out_avals
        ]

    return transposed(moved, cotangents, args)


mlir.register_lowering(
    with_rule_p,
    mlir.lower_fun(lambda *args, jaxpr, **_: jaxpr_as_fun(jaxpr)(*args)),
)
batching.primitive_batchers[with_rule_p] = _batch
ad.primitive_jvps[with_rule_p] = _jvp
ad.primitive_transposes[with_rule_p] = _transpose
