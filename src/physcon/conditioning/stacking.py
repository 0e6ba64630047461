"""Several laws on one field as one, without dense copies of structured rows."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import is_traced
from physcon._typing import Array
from physcon.conditioning.constraint import LinearConstraint
from physcon.linear_map import (
    Disjoint,
    Labelled,
    LinearMap,
    Pointwise,
    Rows,
    Sparse,
    Stack,
)
from physcon.linear_map.basic import size

#: Operators that are kept as they are.
STRUCTURED = (Disjoint, Pointwise, Sparse)


def has_structure(operators: list[LinearMap]) -> bool:
    """Whether some operator is better not made dense."""
    return any(isinstance(o, (*STRUCTURED, Stack)) for o in operators)


def while_known(arrays: Any) -> AbstractContextManager[None]:
    """A context in which what follows from known arrays is known, inside of jit too."""
    if any(is_traced(leaf) for leaf in jax.tree.leaves(arrays)):
        return nullcontext()
    return jax.ensure_compile_time_eval()


def stacked(constraints: tuple[LinearConstraint, ...]) -> LinearMap:
    """The operators of the constraints as one, with the rows in their order.

    One structured operator stays as it is. Several become one sparse one, if their
    indices are known; inside of jit they stay apart, and have no solver of their own.
    All others become dense rows, the last part.
    """
    parts: list[LinearMap] = []
    places: list[np.ndarray] = []
    start = 0
    for law in constraints:
        found = law.operator
        count = size(found.out_shape)
        where = np.arange(start, start + count)
        start += count
        if isinstance(found, Stack) and not is_traced(found.layout.order):
            order = np.asarray(found.layout.order)
            pieces = np.split(np.argsort(order) + where[0], _ends(found))
            parts += found.parts
            places += pieces
        else:
            parts.append(found)
            places.append(where)
    pairs = list(zip(parts, places, strict=True))
    structured = [(p, w) for p, w in pairs if isinstance(p, (*STRUCTURED, Stack))]
    dense = [(p, w) for p, w in pairs if not isinstance(p, (*STRUCTURED, Stack))]
    if len(structured) > 1 and all(_known(p) for p, _ in structured):
        merged = _merged([p for p, _ in structured])
        structured = [(merged, np.concatenate([w for _, w in structured]))]
    if dense:
        rows = jnp.concatenate([p.rows() for p, _ in dense])
        dense = [(Rows(rows), np.concatenate([w for _, w in dense]))]
    final = structured + dense
    if len(final) == 1 and np.array_equal(final[0][1], np.arange(start)):
        return final[0][0]
    order = np.argsort(np.concatenate([w for _, w in final]))
    return Stack.of(tuple(p for p, _ in final), order)


def _ends(found: Stack) -> np.ndarray:
    return np.cumsum([size(p.out_shape) for p in found.parts])[:-1]


def _known(operator: LinearMap) -> bool:
    """Whether the indices of an operator have values."""
    if isinstance(operator, Disjoint) and isinstance(operator.groups, Labelled):
        return not is_traced(operator.groups.label)
    if isinstance(operator, Sparse):
        return not is_traced(operator.row)
    return isinstance(operator, (Disjoint, Pointwise))


def _merged(operators: list[LinearMap]) -> Sparse:
    entries: list[Array] = []
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    start = 0
    for operator in operators:
        values, row, column = triplets(operator)
        entries.append(values)
        rows.append(row + start)
        columns.append(column)
        start += size(operator.out_shape)
    shape = tuple(operators[0].in_shape)
    dtype = jnp.result_type(*entries)
    return Sparse.of(
        jnp.concatenate([e.astype(dtype) for e in entries]),
        np.concatenate(rows),
        np.concatenate(columns),
        shape,
        start,
    )


def triplets(operator: LinearMap) -> tuple[Array, np.ndarray, np.ndarray]:
    """The nonzero entries of an operator with known indices, their rows and columns.

    Rows count the flattened output, columns the flattened field.
    """
    if isinstance(operator, Sparse):
        row = np.asarray(operator.row, np.int64)
        return operator.entries, row, np.asarray(operator.column, np.int64)
    if isinstance(operator, Disjoint):
        label = np.asarray(operator.groups.labels()).reshape(-1)
        inside = np.flatnonzero(label >= 0)
        return operator.weights.reshape(-1)[inside], label[inside], inside
    assert isinstance(operator, Pointwise)
    r, c, *_ = operator.matrix.shape
    points = size(operator.space)
    whole = operator.matrix.reshape(r, c, -1)
    entries = jnp.broadcast_to(whole, (r, c, points)).reshape(-1)
    i, k, x = np.indices((r, c, points)).reshape(3, -1)
    row = i * points + x
    column = k * points + x
    if is_traced(operator.matrix):
        return entries, row, column
    kept = np.flatnonzero(np.asarray(entries) != 0)
    return entries[kept], row[kept], column[kept]
