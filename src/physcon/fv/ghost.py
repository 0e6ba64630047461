"""Ghost cells: a boundary condition written as cells beyond the side.

Hyperbolic laws take `Dirichlet` as the state outside: the Riemann solver decides which part of it
enters. `Neumann` and `Robin` mirror the inner cells so that the condition holds at the face to
second order. Which faces carry a prescribed `Flux` is decided here too.
"""

from typing import cast

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float
from physcon.boundary import (
    Condition,
    Dirichlet,
    Flux,
    Neumann,
    Periodic,
    Reflective,
    Robin,
    Value,
)
from physcon.fv.law import Law


def take(u: Array, start: int, stop: int, axis: int) -> Array:
    """u[start:stop] along a space axis of an array with one leading channel axis."""
    return jax.lax.slice_in_dim(u, start, stop, axis=1 + axis)


def at_face(value: Value, u: Float[Array, "c *x"], axis: int) -> Array:
    """A boundary value as an array that broadcasts against `u` with one cell along `axis`.

    Shapes: `value` is a scalar, ``(c,)``, or ``(c, *x)`` without the axis.
    """
    require(not callable(value), "a boundary value", "a function", "evaluate it: Boundary.at(t)")
    value = cast(Array, value)
    if value.ndim <= 1:
        require(
            value.ndim == 0 or value.shape[0] in (1, u.shape[0]),
            f"a boundary value of shape (), ({u.shape[0]},) or (channels, *side)",
            tuple(value.shape),
            "give one number per channel",
        )
        return value.reshape(value.shape + (1,) * (u.ndim - value.ndim))
    face = u.shape[: 1 + axis] + u.shape[2 + axis :]
    require(value.shape == face, f"a boundary value of shape {face}", value.shape, "channels first")
    return jnp.expand_dims(value, 1 + axis)


def pad(
    u: Float[Array, "c *x"],
    widths: Float[Array, "..."],
    sides: tuple[Condition, Condition],
    ghosts: int,
    law: Law,
    axis: int,
) -> Float[Array, "c *p"]:
    """`u` with `ghosts` cells more on both sides of `axis`.

    Shapes: `widths` is a scalar or ``(n,)``; conditions are those of one time (`Boundary.at`).
    """
    n = u.shape[1 + axis]
    require(n >= ghosts, f"at least {ghosts} cells on axis {axis}", n, "refine the grid")
    if is_periodic(sides):
        return jnp.concatenate(
            [take(u, n - ghosts, n, axis), u, take(u, 0, ghosts, axis)], axis=1 + axis
        )
    first, last = take(u, 0, ghosts, axis), jnp.flip(take(u, n - ghosts, n, axis), 1 + axis)
    h_first, h_last = (
        (widths[:ghosts], jnp.flip(widths[n - ghosts :])) if widths.ndim else (widths, widths)
    )
    lower = _beyond(first, h_first, sides[0], law, axis, 1.0)
    upper = _beyond(last, h_last, sides[1], law, axis, -1.0)
    return jnp.concatenate([jnp.flip(lower, 1 + axis), u, upper], axis=1 + axis)


def _beyond(
    inner: Array, widths: Array, condition: Condition, law: Law, axis: int, sign: float
) -> Array:
    """Ghost cells from the face outwards, given the inner cells from the face inwards.

    `sign` is that of the coordinate along the inward direction.
    """
    if isinstance(condition, Reflective):
        return law.mirror(inner, axis)
    nearest = jnp.broadcast_to(take(inner, 0, 1, axis), inner.shape)
    if isinstance(condition, Dirichlet):
        return jnp.broadcast_to(at_face(condition.value, inner, axis), inner.shape)
    if isinstance(condition, Neumann | Robin):
        # Distance between each inner cell's centre and its mirror image beyond the face.
        h = jnp.broadcast_to(widths, inner.shape[1 + axis : 2 + axis])
        gap = sign * along(2 * jnp.cumsum(h) - h, inner.ndim, axis)
        if isinstance(condition, Neumann):
            return inner - at_face(condition.derivative, inner, axis) * gap
        a, b, value = (at_face(x, inner, axis) for x in (condition.a, condition.b, condition.value))
        return (value - (0.5 * a + b / gap) * inner) / (0.5 * a - b / gap)
    return nearest  # Outflow; and behind a prescribed Flux nothing is read


def impose_flux(
    flux: Float[Array, "c *f"], sides: tuple[Condition, Condition], axis: int
) -> Float[Array, "c *f"]:
    """The face fluxes with those of `Flux` sides put in place."""
    if not any(isinstance(condition, Flux) for condition in sides):
        return flux
    n = flux.shape[1 + axis]

    def end(condition: Condition, at: int) -> Array:
        computed = take(flux, at, at + 1, axis)
        if not isinstance(condition, Flux):
            return computed
        return jnp.broadcast_to(at_face(condition.flux, computed, axis), computed.shape)

    parts = [end(sides[0], 0), take(flux, 1, n - 1, axis), end(sides[1], n - 1)]
    return jnp.concatenate(parts, axis=1 + axis)


def pad_widths(
    widths: Float[Array, "..."], sides: tuple[Condition, Condition], ghosts: int
) -> Float[Array, "..."]:
    """Cell widths of the padded axis; a scalar stays a scalar."""
    if widths.ndim == 0:
        return widths
    return jnp.pad(widths, ghosts, mode="wrap" if is_periodic(sides) else "symmetric")


def along(x: Float[Array, "..."], ndim: int, axis: int) -> Array:
    """A scalar, or an ``(n,)`` array laid along a space axis of an array of `ndim` axes."""
    return x if x.ndim == 0 else x.reshape((1,) * (1 + axis) + (-1,) + (1,) * (ndim - 2 - axis))


def is_periodic(sides: tuple[Condition, Condition]) -> bool:
    """Whether the axis closes on itself."""
    return isinstance(sides[0], Periodic)
