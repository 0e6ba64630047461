"""The kind of an operation on a few numbers, which its behaviour tells, not its name.

JAX accepts an elementwise operation for numbers and for arrays alike. A linear one,
such as a slice, a stack or a sum, is a small matrix, which unit vectors show. They also
show of which numbers a result is the largest or the smallest one.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.extend.core.primitives import jit_p

from physcon._derivative_rules import with_rule_p
from physcon._typing import Array

#: Coefficients of all numbers in each number of a result, and what joins the terms.
Combination: TypeAlias = tuple[np.ndarray, Callable[..., Array]]
_Key: TypeAlias = tuple[Any, ...]

#: Points beyond the unit vectors at which a combination is checked.
_MORE = 3
#: What was found out about operations, with the shapes of their operands.
_FOUND: dict[_Key, list[Combination] | None] = {}


def as_function(eqn: Any) -> Callable[..., Any]:
    """The operation as a function of arrays of any shape that it accepts."""
    if eqn.primitive is with_rule_p and eqn.params["call"] is not None:
        return eqn.params["call"]
    params = eqn.primitive.get_bind_params(eqn.params)
    inner = ()
    if isinstance(params, tuple):  # JAX before 0.10
        inner, params = params
    return partial(eqn.primitive.bind, *inner, **params)


def is_elementwise(eqn: Any) -> bool:
    """Whether each number of the result depends on the numbers in its place alone."""
    shapes = {v.aval.shape for v in eqn.invars} - {()}
    if len(eqn.outvars) != 1 or not _spread_to(shapes, eqn.outvars[0].aval.shape):
        return False
    dtypes = tuple(v.aval.dtype for v in eqn.invars)
    if eqn.primitive is with_rule_p:
        return _accepts_any_shape(as_function(eqn), dtypes)
    if eqn.primitive.multiple_results:
        return False
    try:
        params = tuple(sorted(eqn.params.items()))
        return _known_to_accept(eqn.primitive, params, dtypes)
    except TypeError:  # a parameter that can't be hashed
        return _accepts_any_shape(as_function(eqn), dtypes)


def _spread_to(shapes: set[tuple[int, ...]], full: tuple[int, ...]) -> bool:
    """Whether arrays of these shapes, repeated along axes of length 1, have another."""
    fits = all(
        len(shape) == len(full)
        and all(n in (1, m) for n, m in zip(shape, full, strict=True))
        for shape in shapes
    )
    return fits and tuple(map(max, zip(*shapes, strict=True))) == full


@lru_cache(maxsize=1024)
def _known_to_accept(primitive: Any, params: tuple, dtypes: tuple) -> bool:
    return _accepts_any_shape(partial(primitive.bind, **dict(params)), dtypes)


def _accepts_any_shape(operation: Callable[..., Any], dtypes: tuple) -> bool:
    """Whether an operation maps numbers to one number, and arrays to one array."""
    for shape in ((), (2, 3)):
        arrays = [jax.ShapeDtypeStruct(shape, dtype) for dtype in dtypes]
        try:
            out = jax.eval_shape(operation, *arrays)
        except Exception:
            return False
        if [x.shape for x in jax.tree.leaves(out)] != [shape]:
            return False
    return True


def prepare(closed: core.ClosedJaxpr) -> None:
    """Find the combinations of all operations of a program by one compilation."""
    found = {_key(eqn): eqn for eqn in _equations(closed)}
    new = {k: e for k, e in found.items() if k is not None and k not in _FOUND}
    points = {k: _points(eqn.invars) for k, eqn in new.items()}
    maps = {k: jax.vmap(as_function(eqn)) for k, eqn in new.items()}
    for k in new:
        try:
            jax.eval_shape(maps[k], *points[k][1])
        except Exception:  # an operation on other numbers
            _FOUND[k] = None
            del maps[k]
    keys = list(maps)

    def responses(*given: Sequence[Array]) -> list[list[Array]]:
        return [jax.tree.leaves(maps[k](*x)) for k, x in zip(keys, given, strict=True)]

    with jax.ensure_compile_time_eval():
        arrays = [[jnp.asarray(x) for x in points[k][1]] for k in keys]
        out = jax.device_get(jax.jit(responses)(*arrays))
    for k, results in zip(keys, out, strict=True):
        _FOUND[k] = _all_combinations(points[k][0], results)


def combinations(eqn: Any, operands: Sequence[np.ndarray]) -> list[Combination] | None:
    """Per result the combination of all numbers that it is; None if it is none.

    Integers among the operands are places, and must be known.
    """
    if _holds_program(eqn):  # which may have a derivative of its own
        return None
    key = _key(eqn)
    if key in _FOUND:
        return _FOUND[key]
    pairs = list(zip(eqn.invars, operands, strict=True))
    moving = [v for v, _ in pairs if moves(v)]
    if not moving:
        return None
    points, parts = _points(moving)
    given = iter(parts)
    axes = [0 if moves(v) else None for v in eqn.invars]
    try:
        arrays = [next(given) if moves(v) else _places(v, x) for v, x in pairs]
        with jax.ensure_compile_time_eval():
            mapped = jax.vmap(as_function(eqn), axes)(*map(jnp.asarray, arrays))
            found = jax.device_get(jax.tree.leaves(mapped))
    except Exception:  # an operation on other numbers, or at unknown places
        return None
    return _all_combinations(points, found)


def moves(v: Any) -> bool:
    """Whether an operand counts as numbers to move, not as their places."""
    return not jnp.issubdtype(v.aval.dtype, jnp.integer)


def _equations(closed: core.ClosedJaxpr) -> Iterator[Any]:
    for eqn in closed.jaxpr.eqns:
        if eqn.primitive is jit_p:
            yield from _equations(eqn.params["jaxpr"])
        elif not is_elementwise(eqn):
            yield eqn


def _key(eqn: Any) -> _Key | None:
    """What decides the combination; None for operations that are not prepared."""
    if not eqn.invars or _holds_program(eqn) or not all(map(moves, eqn.invars)):
        return None
    shapes = tuple((v.aval.shape, v.aval.dtype) for v in eqn.invars)
    key = eqn.primitive, tuple(sorted(eqn.params.items())), shapes
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _holds_program(eqn: Any) -> bool:
    programs = core.Jaxpr, core.ClosedJaxpr
    return any(isinstance(x, programs) for x in eqn.params.values())


def _points(moving: Sequence[Any]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Zero, the unit vectors, their negatives and three more; and as operands."""
    sizes = [int(np.prod(v.aval.shape)) for v in moving]
    n = sum(sizes)
    more = np.random.default_rng(0).integers(-999, 999, (_MORE, n))
    points = np.concatenate([np.zeros((1, n)), np.eye(n), -np.eye(n), more])
    points = points.astype(np.float32)
    if all(v.aval.dtype == bool for v in moving):
        points[n + 1 : -_MORE] += 1  # the negative of a truth value is the other one
        points = points > 0
    parts = np.split(points, np.cumsum(sizes)[:-1], axis=1)
    pairs = zip(parts, moving, strict=True)
    return points, [part.reshape(-1, *v.aval.shape) for part, v in pairs]


def _places(v: Any, numbers: np.ndarray) -> np.ndarray:
    known = [int(x) for x in numbers.flat]
    return np.array(known, v.aval.dtype).reshape(numbers.shape)


def _all_combinations(
    points: np.ndarray, results: Sequence[np.ndarray]
) -> list[Combination] | None:
    found = [_combination(points, x.reshape(len(points), -1)) for x in results]
    return None if any(c is None for c in found) else found  # type: ignore[return-value]


def _combination(points: np.ndarray, found: np.ndarray) -> Combination | None:
    """The combination that gives these values at these points, if there is one."""
    if points.dtype != found.dtype or found[0].any():
        return None
    n = points.shape[1]
    more, there = points[-_MORE:], found[-_MORE:]
    at_units = found[1 : n + 1].T
    if points.dtype == bool:
        at_negatives = ~found[n + 1 : -_MORE].T
        is_linear = bool((at_units.sum(axis=1) == 1).all())
    else:
        at_negatives = -found[n + 1 : -_MORE].T
        is_linear = np.allclose(there, more @ at_units.T)
    if is_linear and np.array_equal(at_units, at_negatives):
        return at_units, jnp.add
    for joined, extreme, used in (
        (jnp.maximum, np.max, at_units != 0),
        (jnp.minimum, np.min, at_negatives != 0),
    ):
        if used.any(axis=1).all():
            expected = [extreme(more[:, own], axis=1) for own in used]
            if np.array_equal(there.T, expected):
                return used, joined
    return None
