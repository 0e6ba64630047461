"""Shock-based faces: a Stefan front followed inside its cell, in conservative form.

Where k jumps to 0 at the threshold u*, any mean of k over two cells notices the front only when a
cell average crosses u*: u(t) at a fixed point then rises in steps of O(h), however small dt is.
The cure is that the face knows where in its cell the front is. The cell average says so: with a
linear profile that meets u* at the front, a distance δ behind the face, and the average a of the
last hot cell at distance d before the face,

    slope m = (a - u*)/(δ + d),    h b = u* δ + m δ²/2,

the average b of the front's cell fixes δ (a quadratic equation), and the face carries F = k m. The
cell is full when δ = h; only then does its far face open. Both changes of formula are continuous
in F, and F is one number per face: mass is conserved to rounding, with no equation for the front.

The idea of shock-based averaging is that of Maddix, Sampaio and Gerritsen, J. Comput. Phys. 368
(2018) 277; the conservative closure is derived here.
"""

import jax.numpy as jnp

from physcon._typing import Array, Float
from physcon.fv.ghost import along, take


def shock_based_flux(
    values: Float[Array, "c *p"],
    distances: Float[Array, " f"],
    threshold: Float[Array, ""],
    conductivity: Float[Array, ""],
    axis: int,
) -> Float[Array, "c *f"]:
    """Fluxes of u_t = (k(u) u_x)_x, k = `conductivity` where u >= `threshold`, else 0.

    The cold side must be at u = 0.

    Shapes: `values` holds the cells and the value at each side, n + 2 along the axis; `distances`
    those between them, n + 1.
    """
    n = values.shape[1 + axis] - 1
    left, right = take(values, 0, n, axis), take(values, 1, n + 1, axis)
    forward = _from_hot_left(values, distances, threshold, axis)
    mirrored = jnp.flip(values, 1 + axis), jnp.flip(distances)
    backward = jnp.flip(_from_hot_left(*mirrored, threshold, axis), 1 + axis)
    return conductivity * jnp.where(left >= right, forward, -backward)


def _from_hot_left(values: Array, distances: Array, threshold: Array, axis: int) -> Array:
    """-u_x at the faces, where heat comes from the left."""
    n = values.shape[1 + axis] - 1
    a, b = take(values, 0, n, axis), take(values, 1, n + 1, axis)
    # All cells are alike but the sides: there the value sits on the face itself.
    h = 2 * jnp.min(distances)
    before = along(jnp.where(jnp.arange(n) == 0, 0, 0.5 * h), a.ndim, axis)
    hot = a > threshold
    excess = jnp.where(hot, a - threshold, 0)

    # (a + u*)/2 δ² + (u* d - h b) δ - h b d = 0
    half, linear = 0.5 * (excess + 2 * threshold), threshold * before - h * b
    root = jnp.sqrt(linear**2 + 4 * half * h * jnp.maximum(b, 0) * before + _TINY)
    filled = (root - linear) / (2 * half)
    full = filled >= h
    # A new front at the side itself starts with the gradient of a half-filled cell.
    to_front = excess / jnp.maximum(filled + before, 0.5 * h)
    gradient = jnp.where(full, (a - b) / along(distances, a.ndim, axis), to_front)

    first = jnp.ones_like(take(full, 0, 1, axis))
    reached = jnp.concatenate([first, take(full, 0, n - 1, axis)], axis=1 + axis)
    return jnp.where(hot & (reached | (b > 0)), gradient, 0)


#: Keeps the derivative of the root finite at an empty cell.
_TINY = 1e-30
