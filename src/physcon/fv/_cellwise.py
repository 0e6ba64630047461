"""A stencil as one function of a cell, in elementwise operations on whole fields.

On an accelerator a finite-volume scheme is bound by memory: what it writes on the way
counts, what it computes twice doesn't. But compilers don't fuse through slices of
stacked channels. Here the update of a single cell, traced on an array of a few numbers,
is evaluated with a whole field in the place of every number: additions and
multiplications of shifted fields are all that is left, one kernel. (The CPU is better
served by whole arrays: see `physcon.fv._materialise`.)
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core

from physcon._numerics.safe import quotient
from physcon._typing import Array


class NotCellwise(Exception):
    """The function holds an operation that mixes numbers in a way not known here."""


def cellwise(fn: Callable[[Array], Array], fields: np.ndarray) -> np.ndarray:
    """`fn` of small arrays, with a field in the place of each number.

    Args: fields: object array of equally shaped fields; `fn` is traced on a float array
        of its shape.

    Raises: NotCellwise.
    """
    example = fields.flat[0]
    closed = jax.make_jaxpr(fn)(jax.ShapeDtypeStruct(fields.shape, example.dtype))
    (out,) = _evaluate(closed.jaxpr, [_objects(c) for c in closed.consts], [fields])
    return out


def stencil(
    padded: Array, shape: tuple[int, ...], ghosts: int, axis: int
) -> np.ndarray:
    """The cells around each cell along `axis`, as fields: ``(c, ..., 2 ghosts + 1,
    ...)``.

    `padded` has `ghosts` cells more than `shape` on every side of every axis.
    """
    window = [1] * len(shape)
    window[axis] = 2 * ghosts + 1
    fields = np.empty((padded.shape[0], *window), object)
    for channel, *place in np.ndindex(fields.shape):
        low = [ghosts] * len(shape)
        low[axis] = place[axis]
        high = [a + n for a, n in zip(low, shape, strict=True)]
        part = jax.lax.slice(padded, (channel, *low), (channel + 1, *high))
        fields[channel, *place] = jnp.squeeze(part, 0)
    return fields


def _objects(x: Any) -> np.ndarray:
    """The numbers of an array, one object each."""
    x = x if isinstance(x, Tracer) else np.asarray(x)
    out = np.empty(x.shape, object)
    for index in np.ndindex(x.shape):
        out[index] = x[index]
    return out


def _evaluate(jaxpr: core.Jaxpr, consts: Sequence, args: Sequence) -> list[np.ndarray]:
    known: dict[Any, np.ndarray] = dict(zip(jaxpr.constvars, consts, strict=True))
    known |= dict(zip(jaxpr.invars, args, strict=True))

    def read(v: Any) -> np.ndarray:
        return _objects(v.val) if isinstance(v, core.Literal) else known[v]

    for eqn in jaxpr.eqns:
        out = _apply(eqn, [read(v) for v in eqn.invars])
        known |= dict(zip(eqn.outvars, out, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _apply(eqn: Any, args: list[np.ndarray]) -> list[np.ndarray]:
    name, params = eqn.primitive.name, eqn.params
    if name in ("jit", "pjit", "closed_call"):
        inner = params.get("jaxpr") or params["call_jaxpr"]
        return _evaluate(inner.jaxpr, [_objects(c) for c in inner.consts], args)
    if name in _SHAPING:
        return _SHAPING[name](params, eqn.outvars, *args)
    if name in _REDUCTIONS:
        total = args[0]
        for axis in sorted(params["axes"], reverse=True):
            total = _REDUCTIONS[name].reduce(total, axis=axis)
        return [total if isinstance(total, np.ndarray) else _alone(total)]
    shape = eqn.outvars[0].aval.shape
    divides = name == "custom_jvp_with_rule" and _divides(params["jaxpr"])
    if not divides and (
        len(eqn.outvars) > 1
        or eqn.primitive.multiple_results
        or name not in _ELEMENTWISE
        or (name == "bitcast_convert_type" and eqn.invars[0].aval.shape != shape)
    ):
        raise NotCellwise(name)
    args = [np.broadcast_to(a, shape) for a in args]
    out = np.empty(shape, object)
    for index in np.ndindex(shape):
        values = [a[index] for a in args]
        out[index] = _quotient(*values) if divides else _bind(eqn, values)
    return [out]


def _divides(closed: core.ClosedJaxpr) -> bool:
    """Whether a function with a derivative of its own is `quotient`."""
    names = [eqn.primitive.name for eqn in closed.jaxpr.eqns]
    return names.count("div") == 1 and set(names) <= {"div", "broadcast_in_dim"}


def _quotient(a: Any, b: Any) -> Array:
    shape = np.broadcast_shapes(np.shape(a), np.shape(b))
    return quotient(jnp.broadcast_to(a, shape), jnp.broadcast_to(b, shape))


def _alone(x: Any) -> np.ndarray:
    out = np.empty((), object)
    out[()] = x
    return out


def _bind(eqn: Any, values: list) -> Any:
    """The operation on fields; numbers are spread over them."""
    space = max((np.shape(v) for v in values), key=len)
    values = [
        jnp.broadcast_to(jnp.asarray(v, var.aval.dtype), space)
        for v, var in zip(values, eqn.invars, strict=True)
    ]
    return eqn.primitive.bind(*values, **eqn.params)


def _broadcast(params: dict, out: Any, x: np.ndarray, *_: Any) -> list[np.ndarray]:
    shape = [1] * len(params["shape"])
    for axis, n in zip(params["broadcast_dimensions"], x.shape, strict=True):
        shape[axis] = n
    return [np.broadcast_to(x.reshape(shape), params["shape"])]


def _slice(params: dict, out: Any, x: np.ndarray) -> list[np.ndarray]:
    steps = params["strides"] or (None,) * x.ndim
    ends = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    return [x[tuple(slice(*e) for e in ends)]]


def _split(params: dict, out: Any, x: np.ndarray) -> list[np.ndarray]:
    return np.split(x, np.cumsum(params["sizes"])[:-1], params["axis"])


def _unstack(params: dict, out: Any, x: np.ndarray) -> list[np.ndarray]:
    parts = np.split(x, len(out), params["axis"])
    return [part.reshape(o.aval.shape) for part, o in zip(parts, out, strict=True)]


#: Operations that move numbers about.
_SHAPING: dict[str, Callable[..., list[np.ndarray]]] = {
    "broadcast_in_dim": _broadcast,
    "slice": _slice,
    "split": _split,
    "unstack": _unstack,
    "stack": lambda params, out, *xs: [np.stack(xs, params["axis"])],
    "concatenate": lambda params, out, *xs: [np.concatenate(xs, params["dimension"])],
    "reshape": lambda params, out, x, *_: [x.reshape(params["new_sizes"])],
    "squeeze": lambda params, out, x: [x.reshape(out[0].aval.shape)],
    "transpose": lambda params, out, x: [x.transpose(params["permutation"])],
    "rev": lambda params, out, x: [np.flip(x, params["dimensions"])],
    "copy": lambda params, out, x: [x],
}
_REDUCTIONS = {
    "reduce_sum": np.frompyfunc(lambda a, b: a + b, 2, 1),
    "reduce_max": np.frompyfunc(jnp.maximum, 2, 1),
    "reduce_min": np.frompyfunc(jnp.minimum, 2, 1),
    "reduce_and": np.frompyfunc(jnp.logical_and, 2, 1),
    "reduce_or": np.frompyfunc(jnp.logical_or, 2, 1),
}
_ELEMENTWISE = {
    *(
        "abs",
        "add",
        "add_any",
        "sub",
        "mul",
        "div",
        "neg",
        "square",
        "integer_pow",
        "pow",
        "rem",
    ),
    *(
        "sqrt",
        "rsqrt",
        "exp",
        "expm1",
        "log",
        "log1p",
        "sin",
        "cos",
        "tanh",
        "erf",
        "logistic",
    ),
    *(
        "stop_gradient",
        "max",
        "min",
        "clamp",
        "sign",
        "ceil",
        "floor",
        "round",
        "is_finite",
        "select_n",
    ),
    *("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "convert_element_type"),
    "bitcast_convert_type",  # of equal width: another one changes the shape
}
