"""A user's function as a pytree: its arrays are leaves, its program is static.

A function that is written inside a loop, or as an argument, is a new object at every
call. A program that was compiled for such an object is compiled anew, though it
computes the same; compiled for one object, it misses a value that the function reads
and that has changed since. Functions are therefore traced at every call, which is
cheap, and compared by what they compute. Arrays that they close over become arguments,
including arrays of an outer `jax.vmap` or `jax.grad`; so do factors and summands.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var, jaxpr_as_fun

from physcon._checks import is_traced, require
from physcon._typing import Array, PyTree

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


def _text(jaxpr: Jaxpr) -> str:
    """The text of a program, with the arrays of inner programs, which it lacks."""
    inner = [_fingerprint(x) for x in _inner_arrays(jaxpr)]
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


def _fingerprint(x: Any) -> str:
    """A text that is equal for equal arrays; of a traced one, its identity."""
    if is_traced(x) or jnp.issubdtype(x.dtype, jax.dtypes.extended):
        return f"array {id(x)}"
    values = np.asarray(x)
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    return f"{values.dtype}{values.shape} {digest}"


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

    program, consts = _traced(anew, args)
    return Opened(tuple(_held(x) for x in consts), program)


def _traced(fn: Callable, args: tuple[PyTree, ...]) -> tuple[Program, list[Any]]:
    """The program of a function, and its arrays and numbers."""
    closed, shape = jax.make_jaxpr(fn, return_shape=True)(*args)
    jaxpr, numbers = _with_arrays_as_inputs(closed.jaxpr)
    rules = _rules(fn, args, closed)
    program = Program(jaxpr, jax.tree.structure(shape), rules)
    return program, [*closed.consts, *numbers]


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
    program, consts = _traced(fn, args)
    if program.text is None or any(is_traced(x) for x in consts):
        return None
    return "\n".join([program.text, *map(_fingerprint, consts)])


def if_plain(fn: Any, *args: PyTree) -> Any:
    """`fn` opened, unless it is a pytree of its own (or not a function at all)."""
    opaque = callable(fn) and jax.tree_util.all_leaves([fn])
    return opened(fn, *args) if opaque else fn


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
    own = [_fingerprint(x) for x in rule.consts if id(x) not in known]
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
        program, consts = _traced(anew, (jax.ShapeDtypeStruct(x.shape, jnp.float64),))
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
