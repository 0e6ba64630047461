"""The sparse matrix of a linear function, from its program.

The program of the function is run with a sparse matrix in place of every array that
depends on the field. Operations that move elements are run on the elements' numbers.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import is_traced
from physcon._typing import Array, Shape
from physcon.conditioning._coordinates import Coordinates, identity, stacked


class Unknown(Exception):
    """The sparse matrix can't be found; the function may still be linear."""


def sparse_matrix(
    fn: Callable[[Array], Array], shape: Shape, dtype: Any
) -> Coordinates | None:
    """The matrix of `fn` without its constant part; None if it can't be found."""
    field = jax.ShapeDtypeStruct(shape, dtype)
    program = jax.make_jaxpr(fn)(field)
    if len(program.out_avals) != 1 or any(is_traced(c) for c in program.consts):
        return None
    try:
        with jax.ensure_compile_time_eval():
            (found,) = _run(program, [identity(shape)])
    except Unknown:
        return None
    return found if isinstance(found, Coordinates) else None


def _run(program: Any, given: list[Any]) -> list[Any]:
    """The results of a program: a matrix each, or an array where no field enters."""
    known: dict[Any, Any] = dict(
        zip(program.jaxpr.constvars, program.consts, strict=True)
    )
    known |= dict(zip(program.jaxpr.invars, given, strict=True))

    def value(atom: Any) -> Any:
        return atom.val if hasattr(atom, "val") else known[atom]

    for equation in program.jaxpr.eqns:
        inputs = [value(atom) for atom in equation.invars]
        enters = any(isinstance(x, Coordinates) for x in inputs)
        if enters or equation.primitive.name in _CALLS:
            found = _apply(equation, inputs)
        else:
            found = _evaluate(equation, inputs)
        known |= dict(zip(equation.outvars, found, strict=True))
    return [value(atom) for atom in program.jaxpr.outvars]


def _evaluate(equation: Any, inputs: list[Any]) -> list[Any]:
    found = equation.primitive.bind(*inputs, **equation.params)
    return list(found) if equation.primitive.multiple_results else [found]


#: Operations that only move elements, or replace them by constants.
_MOVES = frozenset(
    {"reshape", "squeeze", "expand_dims", "transpose", "rev", "broadcast_in_dim"}
    | {"slice", "dynamic_slice", "dynamic_update_slice", "gather", "pad"}
    | {"concatenate", "select_n", "copy", "copy_p"}
)
#: Parameters that hold the program of an operation.
_PROGRAMS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
_CALLS = frozenset(
    {"jit", "pjit", "closed_call", "core_call", "remat", "checkpoint"}
    | {"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"}
    | {"custom_jvp_with_rule"}
)


def _apply(equation: Any, inputs: list[Any]) -> list[Any]:
    name, params = equation.primitive.name, equation.params
    if name in _CALLS:
        program = next(params[key] for key in _PROGRAMS if key in params)
        if not hasattr(program, "consts"):
            raise Unknown
        return _run(program, inputs)
    if name == "float64":  # physcon's own: `narrow` is the same in the caller's dtype
        avals = [
            jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in equation.invars
        ]
        return _run(jax.make_jaxpr(params["narrow"])(*avals), inputs)
    if len(equation.outvars) != 1:
        raise Unknown
    shape = equation.outvars[0].aval.shape
    return [_one(equation, inputs, shape)]


def _one(equation: Any, inputs: list[Any], shape: Shape) -> Coordinates:
    """The result of an operation with one output."""
    name = equation.primitive.name
    if name == "convert_element_type":
        if not jnp.issubdtype(equation.params["new_dtype"], jnp.inexact):
            raise Unknown
        return inputs[0]
    if name == "neg":
        return inputs[0].times(-1.0)
    if name in ("add", "add_any", "sub"):
        return _sum(inputs, -1.0 if name == "sub" else 1.0)
    if name in ("mul", "div"):
        return _scaled(inputs, name)
    if name == "reduce_sum":
        return _reduced(equation, inputs[0], shape)
    if name == "scatter-add":
        return _scattered(equation, inputs, shape)
    if name in _MOVES:
        return _moved(equation, inputs)
    return _dense(equation, inputs, shape)


def _sum(inputs: list[Any], sign: float) -> Coordinates:
    first, second = inputs
    if not isinstance(first, Coordinates):
        return second.times(sign)
    if not isinstance(second, Coordinates):
        return first
    return first.plus(second.times(sign))


def _scaled(inputs: list[Any], name: str) -> Coordinates:
    first, second = inputs
    if isinstance(first, Coordinates) and not isinstance(second, Coordinates):
        factor = np.asarray(second, float)
        return first.times(1.0 / factor if name == "div" else factor)
    if name == "mul" and not isinstance(first, Coordinates):
        return second.times(np.asarray(first, float))
    raise Unknown


def _reduced(equation: Any, x: Coordinates, shape: Shape) -> Coordinates:
    number = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    axes = tuple(equation.params["axes"])
    target = np.broadcast_to(np.expand_dims(number, axes), x.shape)
    return x.moved(target, shape)


def _scattered(equation: Any, inputs: list[Any], shape: Shape) -> Coordinates:
    """Where every update goes is the transpose of the operation, on numbers."""
    operand, index, updates = inputs
    if isinstance(index, Coordinates):
        raise Unknown
    total = operand if isinstance(operand, Coordinates) else None
    if isinstance(updates, Coordinates):
        with jax.enable_x64(True):
            number = 1.0 + np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
            zero = jnp.zeros(shape)
            back = jax.linear_transpose(
                lambda u: equation.primitive.bind(zero, index, u, **equation.params),
                jax.ShapeDtypeStruct(updates.shape, zero.dtype),
            )
            (target,) = back(jnp.asarray(number))
        moved = updates.moved(np.asarray(target).astype(int) - 1, shape)
        total = moved if total is None else total.plus(moved)
    assert total is not None
    return total


def _moved(equation: Any, inputs: list[Any]) -> Coordinates:
    parts: list[Coordinates] = []
    numbers: list[Any] = []
    start = 1
    for x, atom in zip(inputs, equation.invars, strict=True):
        if isinstance(x, Coordinates):
            numbers.append(start + np.arange(x.size, dtype=np.int32).reshape(x.shape))
            parts.append(x)
            start += x.size
        elif jnp.issubdtype(atom.aval.dtype, jnp.inexact):
            numbers.append(np.zeros(atom.aval.shape, np.int32))
        else:
            numbers.append(x)
    (found,) = _evaluate(equation, numbers)
    index = np.asarray(found).astype(np.int64) - 1
    return stacked(parts).chosen(np.where(index < start - 1, np.maximum(index, -1), -1))


def _dense(equation: Any, inputs: list[Any], shape: Shape) -> Coordinates:
    """Any other linear operation on one small array: its matrix, column by column."""
    at = [k for k, x in enumerate(inputs) if isinstance(x, Coordinates)]
    size = inputs[at[0]].size
    if len(at) > 1 or size * np.prod(shape, dtype=float) > _LARGEST:
        raise Unknown
    aval = equation.invars[at[0]].aval
    if not jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.floating):
        raise Unknown

    def apply(x: Array) -> Array:
        given = [x if k == at[0] else value for k, value in enumerate(inputs)]
        return _evaluate(equation, given)[0]

    try:
        jax.linear_transpose(apply, jax.ShapeDtypeStruct(aval.shape, aval.dtype))
        basis = jnp.eye(size, dtype=aval.dtype).reshape(size, *aval.shape)
        columns = np.asarray(jax.vmap(apply)(basis), float).reshape(size, -1)
    except Exception as error:  # JAX has no single exception type for this
        raise Unknown from error
    column, row = np.nonzero(columns)
    own = Coordinates(tuple(shape), row, column, columns[column, row])
    return own.after(inputs[at[0]])


#: Entries of an operation's matrix up to which it is formed.
_LARGEST = 2**24
