"""Boundary rows as the published BOON code sets them, layer by layer."""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require, require_choice
from physcon._typing import Array, Float
from physcon.operators.layers import Field

Kind = Literal["dirichlet", "neumann", "periodic"]
_SMOOTHED = 5  # nodes next to each side, the side itself included


class PublishedBoundary(eqx.Module):
    """Boundary conditions in the terms of the published code.

    Attributes:
        kind: in three dimensions the published code has "dirichlet" only.
        left, right: values on the sides of x: ``()`` in one dimension (x), ``(t,)`` in
            two (x, t), ``(y, t)`` in three (x, y, t).
        left_stencil, right_stencil: for Neumann, in the order of the nodes: on the left
            u_0 = left c_0 - Σ_{s>0} c_s u_s, on the right u_N = right c_N - Σ_{s<N} c_s
            u_s.
        top, down: values on the lower and the upper side of y, ``(x, t)``, in three
            dimensions. On the lines where faces meet, these are used.
    """

    kind: Kind = eqx.field(static=True)
    left: Float[Array, "*face"] = eqx.field(converter=jnp.asarray, default=0.0)
    right: Float[Array, "*face"] = eqx.field(converter=jnp.asarray, default=0.0)
    left_stencil: Float[Array, " k"] | None = None
    right_stencil: Float[Array, " q"] | None = None
    top: Float[Array, "x t"] | None = None
    down: Float[Array, "x t"] | None = None

    def __check_init__(self) -> None:
        require_choice(self.kind, Kind, "kind")


def finish_layer(u: Field, boundary: PublishedBoundary) -> Field:
    """Set the boundary rows of a layer; then smooth or halve it, as published."""
    u = _set_rows(u, boundary)
    if boundary.kind == "dirichlet" and u.ndim == 3:
        return _smooth(u)
    return u / 2 if boundary.kind == "neumann" else u


def set_last(u: Field, boundary: PublishedBoundary) -> Field:
    u = _set_rows(u, boundary)
    return _smooth(u) if boundary.kind == "dirichlet" and u.ndim == 3 else u


def _set_rows(u: Field, boundary: PublishedBoundary) -> Field:
    if boundary.kind == "periodic":
        left = right = 0.5 * (u[:, 0] + u[:, -1])
    elif boundary.kind == "neumann":
        left = _solve(u, boundary.left, boundary.left_stencil, 0)
        right = _solve(u, boundary.right, boundary.right_stencil, -1)
    else:
        left = boundary.left
        right = boundary.right
    side = u[:, 0].shape
    u = u.at[:, 0].set(jnp.broadcast_to(left, side))
    u = u.at[:, -1].set(jnp.broadcast_to(right, side))
    if boundary.top is None or boundary.down is None:
        return u
    across = u[:, :, 0].shape
    u = u.at[:, :, 0].set(jnp.broadcast_to(boundary.top, across))
    return u.at[:, :, -1].set(jnp.broadcast_to(boundary.down, across))


def _solve(u: Field, value: Array, stencil: Array | None, side: int) -> Array:
    if stencil is None:
        raise ValueError(
            "expected stencils on both sides for Neumann, got None; pass both"
        )
    k = stencil.shape[0]
    near, c = (u[:, 1:k], stencil[1:]) if side == 0 else (u[:, -k:-1], stencil[:-1])
    inner = jnp.einsum("s,cs...->c...", c, near, precision="highest")
    return jnp.broadcast_to(value * stencil[side], inner.shape) - inner


def _smooth(u: Field) -> Field:
    mean = (u[:, :-2] + u[:, 1:-1] + u[:, 2:]) / 3
    k = _SMOOTHED
    n = u.shape[1]
    u = u.at[:, 1:k].set(mean[:, : k - 1])
    return u.at[:, n - k : n - 1].set(mean[:, -(k - 1) :])


def require_published(boundary: PublishedBoundary, ndim: int) -> None:
    require(
        ndim < 3 or boundary.kind == "dirichlet",
        "kind='dirichlet' in three dimensions, as in the published code",
        repr(boundary.kind),
        "use physcon.operators.BoundaryFNO for other conditions",
    )
    faces = boundary.top is not None and boundary.down is not None
    none = boundary.top is None and boundary.down is None
    require(
        faces if ndim == 3 else none,
        "values on top and down in three dimensions, and in no other",
        f"{'both' if faces else 'none' if none else 'one of them'} in {ndim}",
        "pass PublishedBoundary(kind, left, right, top=..., down=...)",
    )
