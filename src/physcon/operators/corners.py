"""Corners, where the conditions of two sides must agree."""

import jax.numpy as jnp

from physcon._checks import at_trace_time, error_if
from physcon._extremes import largest_of
from physcon._typing import Array, Float
from physcon.boundary_rows import Rows, SideRow


def check_corners(
    u: Float[Array, "c *x"], rows: Rows, throw: bool
) -> Float[Array, "c *x"]:
    """`u`, with an error if two sides contradict each other in their corner.

    A field with l_a(u) = α and l_b(u) = β on two axes has l_b(α) = l_a(β) in their
    corner. Where both are values, this must hold to rounding. Where a difference
    stencil is involved, it must hold to 1e-3 of the stencil's sum, since exact data
    differ there by the error of the stencil. With ``throw=False`` nothing is checked,
    and the later axis wins.

    Data that are known while tracing are checked then, without a host callback.
    """
    if not throw:
        return u
    for i, first in enumerate(rows):
        for second in rows[i + 1 :]:
            for a in first:
                for b in second:
                    u = _check_corner(u, a, b)
    return u


def _check_corner(
    u: Float[Array, "c *x"], a: SideRow, b: SideRow
) -> Float[Array, "c *x"]:
    if a.periodic and b.periodic:
        return u
    with at_trace_time(a, b):
        wrong = _contradict(u, a, b)
    return error_if(
        u,
        wrong,
        f"expected boundary data that agree in the corner of {a.name} and {b.name}, "
        "got values that contradict each other; change the values to agree there, or "
        "pass throw=False to let the later axis win",
        throw=True,
    )


def _contradict(u: Float[Array, "c *x"], a: SideRow, b: SideRow) -> Array:
    periodic = a.periodic or b.periodic
    both_values = a.weights.shape[0] == b.weights.shape[0] == 1 and not periodic
    tolerance = 64 * float(jnp.finfo(u.dtype).eps) if both_values else 1e-3
    # Each face has lost one axis: restore it, so that the other row finds its own axis.
    on_a = jnp.expand_dims(a.target(u), a.axis + 1)
    on_b = jnp.expand_dims(b.target(u), b.axis + 1)
    seen_b = jnp.squeeze(b(on_a), a.axis + 1)
    seen_a = jnp.squeeze(a(on_b), b.axis)
    size = _size(b, on_a) + _size(a, on_b)
    return jnp.any(jnp.abs(seen_b - seen_a) > tolerance * size)


def _size(row: SideRow, face: Float[Array, "..."]) -> Float[Array, ""]:
    """Σ |w_s| max |value|: the scale of a corner's stencil sum."""
    return jnp.sum(jnp.abs(row.weights)).astype(face.dtype) * largest_of(jnp.abs(face))
