"""Ghost cells: a boundary condition written as cells beyond the side.

For a hyperbolic law `Dirichlet` is the state outside: the Riemann solver decides which
part of it enters. `Neumann` and `Robin` mirror the inner cells so that the condition
holds at the face to second order. This module also imposes a prescribed `Flux`.
"""

from collections.abc import Callable
from typing import TypeAlias, cast

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._mesh import shifted
from physcon._typing import Array, Float
from physcon.boundary import (
    Condition,
    Dirichlet,
    Flux,
    Neumann,
    Periodic,
    Reflective,
    Robin,
    Seam,
    Value,
)
from physcon.fv.law import Law

Sides: TypeAlias = tuple[Condition, Condition]


def take(u: Array, start: int, stop: int, axis: int) -> Array:
    """u[start:stop] along a space axis of an array with one leading channel axis."""
    return jax.lax.slice_in_dim(u, start, stop, axis=1 + axis)


def difference(u: Array, axis: int) -> Array:
    """u[1:] - u[:-1] along a space axis of an array with one leading channel axis."""
    n = u.shape[1 + axis]
    return take(u, 1, n, axis) - take(u, 0, n - 1, axis)


def at_face(value: Value, u: Float[Array, "c *x"], axis: int) -> Array:
    """A boundary value as an array that broadcasts against `u` with one cell along
    `axis`.

    Shapes: `value` is a scalar, ``(c,)``, or ``(c, *x)`` without the axis.
    """
    require(
        not callable(value),
        "a boundary value",
        "a function",
        "evaluate it by Boundary.at(t)",
    )
    value = cast(Array, value)
    if value.ndim <= 1:
        require(
            value.ndim == 0 or value.shape[0] in (1, u.shape[0]),
            f"a boundary value of shape (), ({u.shape[0]},) or (channels, *side)",
            tuple(value.shape),
            "pass one number, or one per channel",
        )
        return value.reshape(value.shape + (1,) * (u.ndim - value.ndim))
    face = u.shape[: 1 + axis] + u.shape[2 + axis :]
    require(
        value.shape == face,
        f"a boundary value of shape {face}",
        value.shape,
        "pass an array with channels first",
    )
    return jnp.expand_dims(value, 1 + axis)


def pad(
    u: Float[Array, "c *x"],
    widths: Float[Array, "..."],
    sides: Sides,
    ghosts: int,
    law: Law,
    axis: int,
) -> Float[Array, "c *p"]:
    """`u` with `ghosts` more cells on both sides of `axis`, see `beyond`."""
    ends = beyond(u, widths, sides, ghosts, law, axis)
    return jnp.concatenate([ends[0], u, ends[1]], axis=1 + axis)


def beyond(
    u: Float[Array, "c *x"],
    widths: Float[Array, "..."],
    sides: Sides,
    ghosts: int,
    law: Law,
    axis: int,
) -> tuple[Float[Array, "c *p"], Float[Array, "c *p"]]:
    """The `ghosts` cells before and after an axis, by conditions at one time.

    Shapes: `widths` is a scalar or ``(n,)``.
    """
    n = u.shape[1 + axis]
    where, remedy = f"axis {axis}", "refine the grid"
    if mesh_axis(sides) is not None:
        where += " of each device"
        remedy += ", or divide the axis among fewer devices"
    require(n >= ghosts, f"at least {ghosts} cells on {where}", n, remedy)
    first = take(u, 0, ghosts, axis)
    last = take(u, n - ghosts, n, axis)

    def outside(sides: Sides) -> tuple[Array, Array]:
        h_first, h_last = widths, widths
        if widths.ndim:
            h_first = widths[:ghosts]
            h_last = jnp.flip(widths[n - ghosts :])
        lower = _beyond(first, h_first, sides[0], law, axis, 1.0)
        upper = _beyond(jnp.flip(last, 1 + axis), h_last, sides[1], law, axis, -1.0)
        return jnp.flip(lower, 1 + axis), upper

    return beyond_sides(first, last, sides, outside)


def beyond_sides(
    first: Array,
    last: Array,
    sides: Sides,
    outside: Callable[[Sides], tuple[Array, Array]],
    uniform: bool = False,
) -> tuple[Array, Array]:
    """The entries before the `first` and after the `last` ones of an axis, in order.

    On a periodic axis the ends follow each other. At a `Seam` the entries come from the
    neighbouring device, except on the outermost blocks. Elsewhere they are
    ``outside(sides)``. No message is sent for entries that are `uniform`.
    """
    if is_periodic(sides):
        return last, first
    if not isinstance(sides[0], Seam):
        return outside(sides)
    name = sides[0].mesh_axis
    before, after = last, first
    if not uniform:
        before, after = shifted(last, name), shifted(first, name, -1)
    outer = outer_sides(sides)
    if is_periodic(outer):
        return before, after
    return _outermost(name, outside(outer), (before, after))


def _outermost(
    name: str, ends: tuple[Array, Array], within: tuple[Array, Array]
) -> tuple[Array, Array]:
    """`ends` on the first and the last device along a mesh axis, `within` elsewhere."""
    first, last = (
        jax.lax.axis_index(name) == k for k in (0, jax.lax.axis_size(name) - 1)
    )
    return jnp.where(first, ends[0], within[0]), jnp.where(last, ends[1], within[1])


def outer_sides(sides: Sides) -> Sides:
    """The conditions on the sides of the whole grid."""
    lower, upper = (c.outer if isinstance(c, Seam) else c for c in sides)
    return lower, upper


def _beyond(
    inner: Array, widths: Array, condition: Condition, law: Law, axis: int, sign: float
) -> Array:
    """Ghost cells from the face outwards, given the inner cells from the face inwards.

    Args:
        sign: +1 where the coordinate grows inwards, else -1.
    """
    if isinstance(condition, Reflective):
        return law.mirror(inner, axis)
    nearest = jnp.broadcast_to(take(inner, 0, 1, axis), inner.shape)
    if isinstance(condition, Dirichlet):
        return jnp.broadcast_to(at_face(condition.value, inner, axis), inner.shape)
    if isinstance(condition, Neumann | Robin):
        # Distance between each inner cell's centre and its mirror image beyond the
        # face.
        h = jnp.broadcast_to(widths, inner.shape[1 + axis : 2 + axis])
        gap = sign * along(2 * jnp.cumsum(h) - h, inner.ndim, axis)
        if isinstance(condition, Neumann):
            return inner - at_face(condition.derivative, inner, axis) * gap
        a = at_face(condition.a, inner, axis)
        b = at_face(condition.b, inner, axis)
        value = at_face(condition.value, inner, axis)
        return (value - (0.5 * a + b / gap) * inner) / (0.5 * a - b / gap)
    return nearest  # Outflow; nothing is read behind a prescribed Flux


def impose_flux(
    flux: Float[Array, "c *f"], sides: Sides, axis: int
) -> Float[Array, "c *f"]:
    """The face fluxes, with the given ones on `Flux` sides."""
    outer, n = outer_sides(sides), flux.shape[1 + axis]
    if not any(isinstance(condition, Flux) for condition in outer):
        return flux

    def end(condition: Condition, at: int) -> Array:
        computed = take(flux, at, at + 1, axis)
        if not isinstance(condition, Flux):
            return computed
        return jnp.broadcast_to(at_face(condition.flux, computed, axis), computed.shape)

    return with_ends(flux, (end(outer[0], 0), end(outer[1], n - 1)), sides, axis)


def with_ends(
    flux: Float[Array, "c *f"], ends: tuple[Array, Array], sides: Sides, axis: int
) -> Float[Array, "c *f"]:
    """The face fluxes, with `ends` on the sides of the whole grid.

    A flux at a seam stays: both blocks compute it from the same states.
    """
    n = flux.shape[1 + axis]
    if isinstance(sides[0], Seam):
        computed = take(flux, 0, 1, axis), take(flux, n - 1, n, axis)
        ends = _outermost(sides[0].mesh_axis, ends, computed)
    return jnp.concatenate(
        [ends[0], take(flux, 1, n - 1, axis), ends[1]], axis=1 + axis
    )


def pad_widths(
    widths: Float[Array, "..."], sides: Sides, ghosts: int
) -> Float[Array, "..."]:
    """Cell widths of the padded axis; a scalar stays a scalar."""
    if widths.ndim == 0:
        return widths
    first, last = widths[:ghosts], widths[widths.size - ghosts :]
    mirrored = jnp.flip(first), jnp.flip(last)
    before, after = beyond_sides(first, last, sides, lambda _: mirrored)
    return jnp.concatenate([before, widths, after])


def along(x: Float[Array, "..."], ndim: int, axis: int) -> Array:
    """A scalar, or an ``(n,)`` array laid along a space axis of `ndim` axes."""
    if x.ndim == 0:
        return x
    return x.reshape((1,) * (1 + axis) + (-1,) + (1,) * (ndim - 2 - axis))


def is_periodic(sides: Sides) -> bool:
    """Whether the axis is periodic."""
    return isinstance(sides[0], Periodic)


def mesh_axis(sides: Sides) -> str | None:
    """The mesh axis that divides an axis among devices, or None."""
    return sides[0].mesh_axis if isinstance(sides[0], Seam) else None
