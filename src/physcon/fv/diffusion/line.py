"""The values along one axis, with those on its sides, as a diffusion reads them."""

from typing import NamedTuple

import jax.numpy as jnp

from physcon._typing import Array, Float
from physcon.boundary import Condition, Dirichlet, Neumann, Robin
from physcon.fv.ghost import (
    Sides,
    along,
    at_face,
    beyond_sides,
    outer_sides,
    take,
    with_ends,
)


class Line(NamedTuple):
    """Cell averages between the values on the two sides of an axis.

    Attributes:
        values: the cells, and the value at each side (on a periodic axis the neighbour
            across), n + 2 along the axis.
        distances: between neighbouring values, ``(n + 1,)``.
        widths: of the cells, a scalar or ``(n,)``.
        sides: the conditions.
        axis: the space axis.
    """

    values: Float[Array, "c *p"]
    distances: Float[Array, " f"]
    widths: Float[Array, "..."]
    sides: Sides
    axis: int

    def pairs(self) -> tuple[Float[Array, "c *f"], Float[Array, "c *f"]]:
        """The values before and after each of the n + 1 faces."""
        n = self.values.shape[1 + self.axis]
        before = take(self.values, 0, n - 1, self.axis)
        return before, take(self.values, 1, n, self.axis)

    def gaps(self) -> Float[Array, "..."]:
        """`distances`, laid along the axis of `values`."""
        return along(self.distances, self.values.ndim, self.axis)


def line_along(
    u: Float[Array, "c *x"], widths: Float[Array, "..."], sides: Sides, axis: int
) -> Line:
    """The line of one axis: `u` and the values that the conditions give on its sides.

    Outflow and Reflective sides are insulated: they copy the cell next to them.
    """
    n = u.shape[1 + axis]
    h = jnp.broadcast_to(widths, (n,))
    inner = 0.5 * (h[1:] + h[:-1])
    first = take(u, 0, 1, axis)
    last = take(u, n - 1, n, axis)

    def outside(sides: Sides) -> tuple[Array, Array]:
        lower = _side_value(first, 0.5 * h[:1], sides[0], axis)
        return lower, _side_value(last, -0.5 * h[-1:], sides[1], axis)

    ends = beyond_sides(first, last, sides, outside)
    nothing = jnp.zeros_like(h[:1])  # a side value lies on the face
    uniform = widths.ndim == 0
    before, after = beyond_sides(
        h[:1], h[-1:], sides, lambda _: (nothing, nothing), uniform
    )
    values = jnp.concatenate([ends[0], u, ends[1]], axis=1 + axis)
    gaps = [0.5 * (before + h[:1]), inner, 0.5 * (h[-1:] + after)]
    return Line(values, jnp.concatenate(gaps), widths, sides, axis)


def _side_value(inner: Array, gap: Array, condition: Condition, axis: int) -> Array:
    """Value at the face.

    `gap` is the signed distance from the face to the centre of the inner cell.
    """
    gap = gap.reshape((1,) * inner.ndim)
    if isinstance(condition, Dirichlet):
        return jnp.broadcast_to(at_face(condition.value, inner, axis), inner.shape)
    if isinstance(condition, Neumann):
        return inner - gap * at_face(condition.derivative, inner, axis)
    if isinstance(condition, Robin):
        a = at_face(condition.a, inner, axis)
        b = at_face(condition.b, inner, axis)
        value = at_face(condition.value, inner, axis)
        return (value - b / gap * inner) / (a - b / gap)
    return inner


def has_prescribed_gradient(sides: Sides) -> bool:
    """Whether a side of the whole grid prescribes ∂u/∂x, alone or with u."""
    return any(isinstance(side, Neumann | Robin) for side in outer_sides(sides))


def with_prescribed_gradients(
    flux: Float[Array, "c *f"], coefficient: Float[Array, "c *p"], line: Line
) -> Float[Array, "c *f"]:
    """Gradient fluxes with k at the face, on sides that prescribe the gradient.

    A mean of k over the half cell is k a quarter of a cell inside: first order in h.

    Args:
        flux: -(mean of k) times differences of values.
        coefficient: k at the values of `line`.
    """
    axis = line.axis
    n = line.values.shape[1 + axis]
    before, after = line.pairs()

    def end(side: Condition, face: int, at: int) -> Array:
        if not isinstance(side, Neumann | Robin):
            return take(flux, face, face + 1, axis)
        drop = take(before - after, face, face + 1, axis)
        return take(coefficient, at, at + 1, axis) * drop

    lower, upper = outer_sides(line.sides)
    ends = end(lower, 0, 0), end(upper, n - 2, n - 1)
    return with_ends(flux, ends, line.sides, axis)
