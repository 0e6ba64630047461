"""Shock-based faces: a Stefan front followed inside its cell, in conservative form.

Where k jumps to 0 at the threshold u*, any mean of k over two cells notices the front
only when a cell average crosses u*: u(t) at a fixed point then rises in steps of O(h),
however small dt is. The cure is that the face knows where in its cell the front is. The
cell average says so: with a linear profile that meets u* at the front, a distance δ
behind the face, and the average a of the last hot cell at distance d before the face,

    slope m = (a - u*)/(δ + d),    h b = u* δ + m δ²/2,

the average b of the front's cell fixes δ (a quadratic equation), and the face carries F
= k m. The cell is full when δ = h; only then does its far face open. Both changes of
formula are continuous in F, and F is one number per face: mass is conserved to
rounding, with no equation for the front.

The idea of shock-based averaging is that of Maddix, Sampaio and Gerritsen, J. Comput.
Phys. 368 (2018) 277; the conservative closure is derived here.
"""

from typing import NamedTuple

import jax.numpy as jnp

from physcon._typing import Array, Float
from physcon.fv.ghost import Sides, along, beyond_sides, take


def shock_based_flux(
    values: Float[Array, "c *p"],
    distances: Float[Array, " f"],
    h: Float[Array, ""],
    sides: Sides,
    threshold: Float[Array, ""],
    conductivity: Float[Array, ""],
    axis: int,
) -> Float[Array, "c *f"]:
    """Fluxes of u_t = (k(u) u_x)_x, k = `conductivity` where u >= `threshold`, else 0.

    The cold side must be at u = 0.

    Shapes: `values` holds the cells, all of width `h`, and the value at each side, n +
    2 along the axis; `distances` those between them, n + 1.
    """
    n = values.shape[1 + axis] - 1
    left, right = take(values, 0, n, axis), take(values, 1, n + 1, axis)
    # On a side the value sits on the face itself.
    behind = along(distances - 0.5 * h, values.ndim, axis)
    gaps = along(distances, values.ndim, axis)
    rightward = _from_hot(left, right, behind, gaps, h, threshold)
    leftward = _from_hot(right, left, behind, gaps, h, threshold)

    # A face opens when the cell behind it is full: as the face before it says, of which
    # the outermost one on a block is the neighbour's.
    ends = take(leftward.full, 1, 2, axis), take(rightward.full, n - 2, n - 1, axis)
    always = jnp.ones_like(ends[0])
    before, after = beyond_sides(*ends, sides, lambda _: (always, always))
    full_before = jnp.concatenate(
        [before, take(rightward.full, 0, n - 1, axis)], axis=1 + axis
    )
    full_after = jnp.concatenate(
        [take(leftward.full, 1, n, axis), after], axis=1 + axis
    )
    forward, backward = rightward.gradient(full_before), leftward.gradient(full_after)
    return conductivity * jnp.where(left >= right, forward, -backward)


class _Front(NamedTuple):
    """Heat from values a to values b, by faces: what is known without the other faces."""

    hot: Array
    wet: Array
    full: Array
    slope: Array

    def gradient(self, reached: Array) -> Array:
        return jnp.where(self.hot & (reached | self.wet), self.slope, 0)


def _from_hot(
    a: Array, b: Array, behind: Array, gaps: Array, h: Array, threshold: Array
) -> _Front:
    """The front beyond a face, and the falling of u through the face towards it."""
    hot = a > threshold
    excess = jnp.where(hot, a - threshold, 0)

    # (a + u*)/2 δ² + (u* d - h b) δ - h b d = 0
    half, linear = 0.5 * (excess + 2 * threshold), threshold * behind - h * b
    root = jnp.sqrt(linear**2 + 4 * half * h * jnp.maximum(b, 0) * behind + _TINY)
    filled = (root - linear) / (2 * half)
    full = filled >= h
    # A new front at the side itself starts with the gradient of a half-filled cell.
    to_front = excess / jnp.maximum(filled + behind, 0.5 * h)
    return _Front(hot, b > 0, full, jnp.where(full, (a - b) / gaps, to_front))


#: Keeps the derivative of the root finite at an empty cell.
_TINY = 1e-30
