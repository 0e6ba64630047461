"""A traced function without its arrays, compared by what it computes.

Two programs are equal if their texts are equal. The text holds the operations, the
arrays of inner programs, and the derivative rules, which JAX does not print. The arrays
and numbers that the outermost program reads are its inputs, so they are not part of it.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var

from physcon._checks import is_traced
from physcon._typing import PyTree

#: Operations whose numbers become arguments: their derivatives exist everywhere.
_ARITHMETIC = ("add", "sub", "mul", "div")


class Program:
    """A traced function without its arrays; equal if it computes the same."""

    def __init__(self, jaxpr: Jaxpr, tree: Any, rules: str | None) -> None:
        self.jaxpr = jaxpr
        self.tree = tree
        self.text = None if rules is None else f"{_text(jaxpr)}{tree}{rules}"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        known = isinstance(other, Program) and self.text is not None
        return known and self.text == other.text  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return id(self) if self.text is None else hash(self.text)


def trace(fn: Callable, args: tuple[PyTree, ...]) -> tuple[Program, list[Any]]:
    """The program of a function, and its arrays and numbers."""
    closed, shape = jax.make_jaxpr(fn, return_shape=True)(*args)
    jaxpr, numbers = _with_arrays_as_inputs(closed.jaxpr)
    rules = _rules(fn, args, closed)
    program = Program(jaxpr, jax.tree.structure(shape), rules)
    return program, [*closed.consts, *numbers]


def _text(jaxpr: Jaxpr) -> str:
    """The text of a program, with the arrays of inner programs, which it lacks."""
    inner = [fingerprint(x) for x in _inner_arrays(jaxpr)]
    return "\n".join([f"{jaxpr}", *inner])


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


def fingerprint(x: Any) -> str:
    """A text that is equal for equal arrays; of a traced one, its identity."""
    if is_traced(x) or jnp.issubdtype(x.dtype, jax.dtypes.extended):
        return f"array {id(x)}"
    values = np.asarray(x)
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    return f"{values.dtype}{values.shape} {digest}"


def _rules(fn: Callable, args: tuple[PyTree, ...], program: ClosedJaxpr) -> str | None:
    """The derivative rules of a program, which its text does not show.

    None for a program that is equal to no other: it calls the host, or its rules can't
    be traced.
    """
    text = str(program.jaxpr)
    if "callback" in text:
        return None
    if "custom_vjp" not in text and "custom_jvp" not in text:
        return ""

    def pulled_back(*args: PyTree) -> PyTree:
        out, back = jax.vjp(fn, *args)
        return back(out)

    def pushed(*args: PyTree) -> PyTree:
        return jax.jvp(fn, args, args)

    try:
        derivative = pulled_back if "custom_vjp" in text else pushed
        rule = jax.make_jaxpr(derivative)(*args)
    except (TypeError, ValueError, NotImplementedError):
        return None
    known = {id(x) for x in program.consts}
    own = [fingerprint(x) for x in rule.consts if id(x) not in known]
    return "\n".join([_text(rule.jaxpr), *own])


def _with_arrays_as_inputs(jaxpr: Jaxpr) -> tuple[Jaxpr, list[Any]]:
    """A program whose first inputs are its arrays, then the numbers of its sums and
    products; and these numbers.

    Later versions of JAX (0.12) do not tell constants without values from inputs.
    """
    new, numbers, equations = [], [], []

    def moved(x: Any) -> Any:
        dtype: Any = getattr(x.aval, "dtype", None)
        if not isinstance(x, Literal) or not jnp.issubdtype(dtype, jnp.floating):
            return x
        new.append(Var(x.aval))
        numbers.append(np.asarray(x.val, dtype)[()])
        return new[-1]

    for equation in jaxpr.eqns:
        if equation.primitive.name in _ARITHMETIC:
            equation = equation.replace(invars=[moved(x) for x in equation.invars])
        equations.append(equation)
    inputs = [*jaxpr.constvars, *new, *jaxpr.invars]
    return jaxpr.replace(constvars=[], invars=inputs, eqns=equations), numbers
