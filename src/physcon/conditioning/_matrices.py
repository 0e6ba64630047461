"""Laws from a matrix, and from the edges of a network."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, require
from physcon._typing import ArrayLike, Shape
from physcon.conditioning._law_of import law_of
from physcon.conditioning._triplets import triplets
from physcon.conditioning.constraint import LinearConstraint
from physcon.linear_map import LinearMap, Rows, Sparse
from physcon.mesh.network import checked_ends


def from_matrix(
    matrix: Any,
    values: ArrayLike,
    noise_std: ArrayLike | None = None,
    *,
    shape: Shape | None = None,
) -> LinearConstraint:
    """``matrix @ u = values`` for a dense or sparse matrix.

    Args:
        matrix: ``(m, n)``: a NumPy or JAX array, a SciPy sparse matrix or array of any
            format, or a `jax.experimental.sparse.BCOO`. Repeated entries are added. A
            sparse matrix is analysed on the host, once; its values may be traced, its
            pattern not. A dense array with few nonzero entries becomes a sparse law.
        values: ``(m,)`` or a scalar. A row without entries is no row; its value is
            ignored.
        noise_std: None for exact rows; else scalar or ``(m,)``.
        shape: of the field, if it is not ``(n,)``.

    Raises:
        ValueError: a matrix that is not two-dimensional or not finite, or values of
            another length.

    >>> law = from_matrix(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, -1.0]]), 0.0)
    >>> law.residual(jnp.array([1.0, -1.0, -1.0])).tolist()
    [0.0, 0.0]
    """
    _require_real(matrix)
    found = triplets(matrix)
    m, n = found.shape
    field = (n,) if shape is None else tuple(shape)
    require(
        int(np.prod(field)) == n,
        f"a field of {n} points, one per column",
        field,
        "pass the shape of the field that the columns of the matrix see",
    )
    known = concrete(found.entries)
    require(
        known is None or bool(np.isfinite(known).all()),
        "a finite matrix",
        "NaN or infinity",
        "give missing points zero weight, and drop rows that are not known",
    )
    operator: LinearMap
    if found.row is None or found.column is None:
        operator = Rows(found.entries.reshape(m, *field))
        present = jnp.any(found.entries.reshape(m, -1) != 0, axis=1)
        return law_of(operator, values, noise_std, present, "values")
    operator = Sparse.of(found.entries, found.row, found.column, field, m)
    return law_of(operator, values, noise_std, operator.present(), "values")


def _require_real(matrix: Any) -> None:
    """Refuse a complex matrix, and one without entries."""
    require(
        not np.iscomplexobj(matrix),
        "a real matrix",
        "a complex one",
        "stack its real and its imaginary part, or take the one that is meant",
    )
    require(
        0 not in getattr(matrix, "shape", (1,)),
        "a matrix with rows and columns",
        f"one of shape {getattr(matrix, 'shape', ())}",
        "leave the law away if there is nothing to obey",
    )


def incidence(
    edges: ArrayLike | Sequence[Sequence[int]],
    nodes: int,
    supply: ArrayLike = 0.0,
    noise_std: ArrayLike | None = None,
) -> LinearConstraint:
    """The flows along the edges of a network balance at every node.

    What leaves a node less what enters it equals its supply (a demand is negative).

    Args:
        edges: integers ``(e, 2)``, concrete: from and to which node; -1: outside of the
            network. The field is the flow along each edge, ``(e,)``.
        nodes: the number of nodes, m.
        supply: scalar or ``(m,)``, in the units of the flow.
        noise_std: None for an exact balance; else scalar or ``(m,)``.

    Raises:
        ValueError: a node out of range, or an edge from a node to itself.

    >>> law = incidence([[0, 1], [1, -1]], 2, jnp.array([3.0, 0.0]))
    >>> law.residual(jnp.array([3.0, 3.0])).tolist()
    [0.0, 0.0]
    """
    ends = checked_ends(edges, nodes)
    inside = ends >= 0
    column = np.repeat(np.arange(ends.shape[0]), 2).reshape(-1, 2)
    sign = np.broadcast_to(np.array([1.0, -1.0]), ends.shape)
    entries = jnp.asarray(sign[inside], jnp.result_type(float))
    operator = Sparse.of(entries, ends[inside], column[inside], (ends.shape[0],), nodes)
    return law_of(operator, supply, noise_std, operator.present(), "the supply")
