"""Riemann solvers: the numerical flux between two states, pointwise.

Each is consistent, ``riemann(u, u, law) == law.flux(u)``, and knows the physics only
through the law's `bounds`, `waves` or `star_state`.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics import safe
from physcon._typing import Array, Float
from physcon.fv._stage import stage
from physcon.fv.law import Law
from physcon.fv.protocols import HasContact


def rusanov(
    u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], law: Law, axis: int = 0
) -> Float[Array, "c *s"]:
    """Local Lax-Friedrichs: mean flux minus the largest speed times half of the jump.

    Source: Rusanov 1961; LeVeque (2002), eq. 12.12.
    """
    low, high = _stored(_outer_waves, law, u_left, u_right, axis)
    speed = safe.larger(jnp.abs(low), jnp.abs(high))[None]
    return _stored(_mean_and_jump, law, u_left, u_right, axis, speed)


def _mean_and_jump(
    law: Law, u_left: Array, u_right: Array, axis: int, speed: Array
) -> Array:
    """The mean of both fluxes minus the speed times half of the jump."""
    mean = 0.5 * (law.flux(u_left, axis) + law.flux(u_right, axis))
    return mean - 0.5 * speed * (u_right - u_left)


def hll(
    u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], law: Law, axis: int = 0
) -> Float[Array, "c *s"]:
    """Two waves around one mean state.

    Source: Harten, Lax and van Leer, SIAM Review 25 (1983) 35; Toro (2009), eq. 10.21.
    """
    waves = _stored(_outer_waves, law, u_left, u_right, axis)
    return _stored(_mixed, law, u_left, u_right, axis, waves)


def _mixed(
    law: Law, u_left: Array, u_right: Array, axis: int, waves: tuple[Array, Array]
) -> Array:
    """The flux between two waves."""
    low = safe.smaller(waves[0], 0)[None]
    high = safe.larger(waves[1], 0)[None]
    spread = high - low
    still = spread == 0  # no wave at all: both states at rest, e.g. dry ground
    f_left = law.flux(u_left, axis)
    f_right = law.flux(u_right, axis)
    mixed = high * f_left - low * f_right + low * high * (u_right - u_left)
    return jnp.where(
        still, 0.5 * (f_left + f_right), mixed / jnp.where(still, 1, spread)
    )


def _outer_waves(
    law: Law, u_left: Array, u_right: Array, axis: int
) -> tuple[Array, Array]:
    """The bounds of all wave speeds."""
    return law.bounds(u_left, u_right, axis)


def _stored(fn: Callable[..., Any], law: Law, u_left: Array, *args: Any) -> Any:
    """The function as a stage for systems; a scalar law is cheaper to evaluate again.

    Otherwise a CPU computes the waves once per channel, and each flux once per cell
    beside it: up to four times the cost of a step in two dimensions.
    """
    evaluate = stage(fn) if u_left.shape[0] > 1 else fn
    return evaluate(law, u_left, *args)


def hllc(
    u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], law: Any, axis: int = 0
) -> Float[Array, "c *s"]:
    """HLL with the middle wave restored: keeps stationary contacts exactly.

    For laws with `contact_speed` and `star_state` (Euler, shallow water).

    Source: Toro, Spruce and Speares, Shock Waves 4 (1994) 25; Toro (2009), eq. 10.38,
    with the wave speeds of Batten et al., SIAM J. Sci. Comput. 18 (1997) 1553.
    """
    require(
        isinstance(law, HasContact),
        "a law with `contact_speed` and `star_state`",
        type(law).__name__,
        "use hll, rusanov, roe or godunov",
    )
    u, speed, contact, passed = _side_of_contact(u_left, u_right, law, axis)
    star = law.star_state(u, speed, contact, axis)
    return law.flux(u, axis) + passed[None] * (star - u)


@stage
def _side_of_contact(
    u_left: Array, u_right: Array, law: Any, axis: int
) -> tuple[Array, Array, Array, Array]:
    """The side of the contact on which the face lies.

    Returns its state, the speed of its outer wave, the speed of the contact, and again
    the speed of the outer wave where that has passed the face, else zero. (Selections
    are made here, because storing an array of truth values would take as long as all
    the rest.)
    """
    low, high = law.bounds(u_left, u_right, axis)
    contact = law.contact_speed(u_left, u_right, low, high, axis)
    rightward = contact >= 0
    u = jnp.where(rightward[None], u_left, u_right)
    speed = jnp.where(rightward, low, high)
    passed = jnp.where(rightward, safe.smaller(low, 0), safe.larger(high, 0))
    return u, speed, contact, passed


def roe(
    u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], law: Law, axis: int = 0
) -> Float[Array, "c *s"]:
    """Roe's linearised solver with the entropy fix of Harten and Hyman.

    |speed| is replaced by at least δ = max(0, speed - speed_left, speed_right - speed),
    which is positive inside a transonic fan and zero at an isolated contact.

    Source: Roe, J. Comput. Phys. 43 (1981) 357; Harten and Hyman, J. Comput. Phys. 50
    (1983) 235.
    """
    at_left = law.eigenvalues(u_left, axis)
    at_right = law.eigenvalues(u_right, axis)
    flux = 0.5 * (law.flux(u_left, axis) + law.flux(u_right, axis))
    waves = law.waves(u_left, u_right, axis)
    for k, (speed, jump) in enumerate(waves):
        first = at_left[k if k < len(waves) - 1 else -1]
        last = at_right[k if k < len(waves) - 1 else -1]
        delta = jnp.maximum(0, jnp.maximum(speed - first, last - speed))
        flux = flux - 0.5 * jnp.maximum(jnp.abs(speed), delta)[None] * jump
    return flux


def godunov(
    u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], law: Law, axis: int = 0
) -> Float[Array, "c *s"]:
    """The exact flux of a scalar law, convex or not.

    It is min F over [u_left, u_right] where u_left <= u_right, and max F over [u_right,
    u_left] elsewhere; both are attained at an end or at one of the law's
    `critical_points`.

    Source: Osher, SIAM J. Numer. Anal. 21 (1984) 217; LeVeque (2002), eq. 12.4 and sec.
    16.1.
    """
    require(
        u_left.shape[0] == 1,
        "one channel",
        u_left.shape[0],
        "use hllc or roe for systems",
    )
    f_left = law.flux(u_left, axis)
    f_right = law.flux(u_right, axis)
    smallest = jnp.minimum(f_left, f_right)
    largest = jnp.maximum(f_left, f_right)
    for point in law.critical_points(axis):
        between = (u_left < point) != (u_right < point)
        at_point = law.flux(jnp.broadcast_to(point, u_left.shape), axis)
        smallest = jnp.where(between, jnp.minimum(smallest, at_point), smallest)
        largest = jnp.where(between, jnp.maximum(largest, at_point), largest)
    return jnp.where(u_left <= u_right, smallest, largest)
