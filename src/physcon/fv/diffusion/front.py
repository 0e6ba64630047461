"""A Stefan front followed inside its cell, in conservative form.

Where k jumps to 0 at the threshold u*, any mean of k over two cells sees the front only
when a cell average crosses u*: u(t) at a fixed point then rises in steps of O(h),
however small dt is. Here the face knows where in its cell the front is, because the
cell average determines it. With a linear profile that meets u* at the front, a distance
δ behind the face, and the average a of the last hot cell at distance d before the face,

    slope m = (a - u*)/(δ + d),    h b = u* δ + m δ²/2,

the average b of the front's cell fixes δ (a quadratic equation), and the face carries F
= k m. The cell is full when δ = h, and only then does its far face open. Both changes
of formula are continuous in F, and F is one number per face: mass is conserved to
rounding, with no equation for the front.

Source: the idea of shock-based averaging is from Maddix, Sampaio and Gerritsen, J.
Comput. Phys. 368 (2018) 277; the conservative closure is derived here.
"""

from typing import NamedTuple

import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Float
from physcon.fv.diffusion.line import Line
from physcon.fv.ghost import along, beyond_sides, take


def shock_based_flux(
    line: Line, threshold: Float[Array, ""], conductivity: Float[Array, ""]
) -> Float[Array, "c *f"]:
    """Fluxes of u_t = (k(u) u_x)_x, k = `conductivity` where u >= `threshold`, else 0.

    The cold side must be at u = 0, and the cells of equal width.
    """
    h, axis = line.widths, line.axis
    left, right = line.pairs()
    n = left.shape[1 + axis]
    # On a side the value lies on the face itself.
    behind = along(line.distances - 0.5 * h, left.ndim, axis)
    gaps = line.gaps()
    rightward = _from_hot(left, right, behind, gaps, h, threshold)
    leftward = _from_hot(right, left, behind, gaps, h, threshold)

    # A face opens when the cell behind it is full, which the face before it knows. On a
    # block of a divided axis the outermost of these faces belong to the neighbours.
    first = take(leftward.full, 1, 2, axis)
    last = take(rightward.full, n - 2, n - 1, axis)
    always = jnp.ones_like(first)
    before, after = beyond_sides(first, last, line.sides, lambda _: (always, always))
    inner_before = take(rightward.full, 0, n - 1, axis)
    inner_after = take(leftward.full, 1, n, axis)
    full_before = jnp.concatenate([before, inner_before], axis=1 + axis)
    full_after = jnp.concatenate([inner_after, after], axis=1 + axis)
    forward = rightward.gradient(full_before)
    backward = leftward.gradient(full_after)
    return conductivity * jnp.where(left >= right, forward, -backward)


class _Front(NamedTuple):
    """Per face, heat from a hot value to another: what that pair alone determines."""

    hot: Array
    wet: Array
    full: Array
    slope: Array

    def gradient(self, reached: Array) -> Array:
        """The slope where the front has reached the face, else 0."""
        return jnp.where(self.hot & (reached | self.wet), self.slope, 0)


def _from_hot(
    a: Array, b: Array, behind: Array, gaps: Array, h: Array, threshold: Array
) -> _Front:
    """The front beyond a face, and the slope of u through the face towards it."""
    hot = a > threshold
    excess = jnp.where(hot, a - threshold, 0)

    # The quadratic equation for δ/h, divided by the mean (a + u*)/2 of the profile:
    # δ² + (u* d - b) / mean δ - b d / mean = 0, with δ and d in units of h.
    mean = threshold + 0.5 * excess
    d = behind / h
    linear = safe.divide(threshold * d - b, mean)
    constant = safe.divide(jnp.maximum(b, 0), mean) * d
    root = safe.sqrt(linear**2 + 4 * constant)
    small = safe.divide(2 * constant, root + linear)  # free of cancellation
    filled = h * jnp.where(linear > 0, small, 0.5 * (root - linear))
    full = filled >= h
    # A new front at the side itself starts with the gradient of a half-filled cell.
    to_front = excess / jnp.maximum(filled + behind, 0.5 * h)
    return _Front(hot, b > 0, full, jnp.where(full, (a - b) / gaps, to_front))
