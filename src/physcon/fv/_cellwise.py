"""A stencil as one function of a cell, in elementwise operations on whole fields.

On an accelerator a finite-volume scheme is bound by memory: what it writes on the way
counts, what it computes twice doesn't. But compilers don't fuse through slices of
stacked channels. Here the update of a single cell, traced on arrays of a few numbers,
is evaluated with a whole field in the place of every number: additions and
multiplications of shifted fields are all that is left, one kernel. (The CPU is better
served by whole arrays: see `physcon.fv._stage`.)

Elementwise operations act on each field, and combinations of numbers on their fields
(`physcon.fv._operation`). Any other operation is mapped over stacked fields by
`jax.vmap`, which is always right, but no longer one kernel.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core
from jax.extend.core.primitives import jit_p

from physcon._typing import Array
from physcon.fv._operation import (
    Combination,
    as_function,
    combinations,
    is_elementwise,
    moves,
    prepare,
)


def cellwise(fn: Callable[..., Any], *numbers: np.ndarray) -> Any:
    """`fn` of small arrays, with a field in the place of each number.

    Args: numbers: object arrays of equally shaped fields; `fn` is traced on float
        arrays of their shapes.

    Returns: the tree that `fn` returns, with object arrays as its leaves.
    """
    shapes = [jax.ShapeDtypeStruct(x.shape, x.flat[0].dtype) for x in numbers]
    closed, out = jax.make_jaxpr(fn, return_shape=True)(*shapes)
    prepare(closed)
    return jax.tree.unflatten(jax.tree.structure(out), _evaluate(closed, numbers))


def filled(values: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    """An object array of values."""
    out = np.empty(len(values), object)
    for k, value in enumerate(values):
        out[k] = value
    return out.reshape(shape)


def _evaluate(
    closed: core.ClosedJaxpr, numbers: Sequence[np.ndarray]
) -> list[np.ndarray]:
    jaxpr = closed.jaxpr
    known = dict(zip(jaxpr.constvars, map(_objects, closed.consts), strict=True))
    known |= dict(zip(jaxpr.invars, numbers, strict=True))

    def read(v: Any) -> np.ndarray:
        if isinstance(v, core.Literal):
            aval: Any = v.aval
            return _objects(np.asarray(v.val, aval.dtype))
        return known[v]

    for eqn in jaxpr.eqns:
        out = _apply(eqn, [read(v) for v in eqn.invars])
        known |= dict(zip(eqn.outvars, out, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _apply(eqn: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    if eqn.primitive is jit_p:
        return _evaluate(eqn.params["jaxpr"], operands)
    if all(isinstance(x, np.generic) for numbers in operands for x in numbers.flat):
        return _constants(eqn, operands)
    if is_elementwise(eqn):
        return [_by_number(eqn, operands)]
    found = combinations(eqn, operands)
    if found is None:
        return _by_batch(eqn, operands)
    pairs = zip(operands, eqn.invars, strict=True)
    numbers = np.concatenate([x.ravel() for x, v in pairs if moves(v)])
    return [
        _combined(c, numbers, v.aval) for c, v in zip(found, eqn.outvars, strict=True)
    ]


def _constants(eqn: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """The operation on known numbers."""
    pairs = zip(operands, eqn.invars, strict=True)
    arrays = [np.array(x.tolist(), v.aval.dtype) for x, v in pairs]
    with jax.ensure_compile_time_eval():
        out = as_function(eqn)(*map(jnp.asarray, arrays))
        return [_objects(np.asarray(x)) for x in jax.tree.leaves(out)]


def _by_number(eqn: Any, operands: list[np.ndarray]) -> np.ndarray:
    """An elementwise operation on each number in turn."""
    shape, operation = eqn.outvars[0].aval.shape, as_function(eqn)
    operands = [np.broadcast_to(x, shape) for x in operands]
    out = np.empty(shape, object)
    for index in np.ndindex(shape):
        values = [x[index] for x in operands]
        space = _space(values)
        fields = [_field(x, v, space) for x, v in zip(values, eqn.invars, strict=True)]
        out[index] = operation(*fields)
    return out


def _combined(combination: Combination, numbers: np.ndarray, aval: Any) -> np.ndarray:
    """A combination of numbers."""
    coefficients, joined = combination
    out = []
    for row in coefficients:
        terms = [
            numbers[k] if row[k] == 1 else float(row[k]) * numbers[k]
            for k in np.flatnonzero(row)
        ]
        out.append(reduce(joined, terms) if terms else np.zeros((), aval.dtype)[()])
    return filled(out, aval.shape)


def _by_batch(eqn: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """Any operation, mapped over stacked fields."""
    space = _space([x for numbers in operands for x in numbers.flat])
    stacks = []
    for v, numbers in zip(eqn.invars, operands, strict=True):
        fields = [_field(x, v, space).ravel() for x in numbers.flat]
        stacks.append(jnp.stack(fields, -1).reshape(-1, *numbers.shape))
    out = []
    for x in jax.tree.leaves(jax.vmap(as_function(eqn))(*stacks)):
        places = np.ndindex(x.shape[1:])
        fields = [x[:, *place].reshape(space) for place in places]
        out.append(filled(fields, x.shape[1:]))
    return out


def _space(values: list) -> tuple[int, ...]:
    """The shape of the fields among numbers and fields."""
    return max((np.shape(x) for x in values), key=len)


def _field(x: Any, v: Any, space: tuple[int, ...]) -> Array:
    """A field, or a number spread over one."""
    return jnp.broadcast_to(jnp.asarray(x, v.aval.dtype), space)


def _objects(x: Any) -> np.ndarray:
    """The numbers of an array, one object each."""
    x = x if isinstance(x, Tracer) else np.asarray(x)
    return filled([x[index] for index in np.ndindex(x.shape)], x.shape)
