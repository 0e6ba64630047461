"""States on both sides of every face from cell averages: piecewise constant and linear.

A reconstruction is called with `ghosts` cells beyond both sides, ``reconstruct(u, law,
axis, widths) -> (u_left, u_right)``. Any callable with an attribute `ghosts` will do. n
cells along the axis have n + 1 faces.
"""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require, require_choice
from physcon._typing import Array, Float
from physcon.fv._stage import stage
from physcon.fv.ghost import along, difference, take
from physcon.fv.law import Law
from physcon.fv.limiter import Limiter, mc, minmod
from physcon.fv.protocols import is_symmetric

Variables = Literal["conservative", "primitive", "characteristic"]


class Constant(eqx.Module):
    """The cell averages themselves: first order, and monotone."""

    ghosts: int = eqx.field(static=True, default=1, init=False)

    def __call__(
        self, u: Float[Array, "c *p"], law: Law, axis: int, widths: Float[Array, "..."]
    ) -> tuple[Float[Array, "c *f"], Float[Array, "c *f"]]:
        """Left and right states of the faces."""
        n = u.shape[1 + axis]
        return take(u, 0, n - 1, axis), take(u, 1, n, axis)


class MUSCL(eqx.Module):
    """Limited linear reconstruction: second order in smooth flow, no new extrema.

    On stretched grids the differences are scaled to the cell's width, and the slope is
    cut to twice the smaller unscaled one: second order and TVD for any cell widths.

    Attributes:
        limiter: φ(backward, forward), see `physcon.fv.limiter`.
        variables: which variables are limited: ``"primitive"`` (density, velocity,
            pressure), ``"conservative"``, or ``"characteristic"`` (wave amplitudes in
            each cell).

    Source: van Leer, J. Comput. Phys. 32 (1979) 101; Toro (2009), sec. 14.4.
    """

    limiter: Limiter = eqx.field(static=True, default=mc)
    variables: Variables = eqx.field(static=True, default="primitive")
    ghosts: int = eqx.field(static=True, default=2, init=False)

    def __check_init__(self) -> None:
        require_choice(self.variables, Variables, "variables")
        function = f"a function, e.g. physcon.fv.limiter.{self.limiter}"
        require(
            callable(self.limiter),
            "a limiter φ(backward, forward)",
            self.limiter,
            function,
        )

    def __call__(
        self, u: Float[Array, "c *p"], law: Law, axis: int, widths: Float[Array, "..."]
    ) -> tuple[Float[Array, "c *f"], Float[Array, "c *f"]]:
        """Left and right states of the faces."""
        return _at_faces(*self.cell_faces(u, law, axis, widths), axis)

    def primitive_faces(
        self, u: Float[Array, "c *p"], law: Law, axis: int, widths: Float[Array, "..."]
    ) -> tuple[Float[Array, "c *f"], Float[Array, "c *f"]]:
        """Left and right primitive variables of the faces."""
        w = primitive(law, u)
        slopes = stage(self._slopes)(w, law, axis, widths)
        return _at_faces(*_ends(w, slopes, axis), axis)

    def cell_faces(
        self, u: Float[Array, "c *p"], law: Law, axis: int, widths: Float[Array, "..."]
    ) -> tuple[Float[Array, "c *q"], Float[Array, "c *q"]]:
        """States at the lower and the upper face of each cell but the outermost two."""
        if self.variables == "conservative":
            return self._limited(u, law, axis, widths)
        lower, upper = self._limited(primitive(law, u), law, axis, widths)
        return law.conservative(lower), law.conservative(upper)

    @stage
    def _limited(
        self, w: Array, law: Law, axis: int, widths: Array
    ) -> tuple[Array, Array]:
        """The variables that are limited, at the lower and upper face of each cell."""
        return _ends(w, self._slopes(w, law, axis, widths), axis)

    def _slopes(
        self, w: Array, law: Law, axis: int, widths: Array
    ) -> tuple[Array, ...]:
        """Half of the slope towards the lower and the upper face, or one for both."""
        n = w.shape[1 + axis]
        change = difference(w, axis)
        backward = take(change, 0, n - 2, axis)
        forward = take(change, 1, n - 1, axis)
        centre = take(w, 1, n - 1, axis)
        if self.variables == "characteristic":
            backward = law.strengths(backward, centre, axis)
            forward = law.strengths(forward, centre, axis)
        before, after = _scales(widths, w.ndim, axis)
        slopes = [self._slope(backward, forward, before, after)]
        if not is_symmetric(self.limiter):
            slopes.insert(0, self._slope(forward, backward, after, before))
        if self.variables == "characteristic":
            slopes = [law.increment(slope, centre, axis) for slope in slopes]
        return tuple(0.5 * slope for slope in slopes)

    def _slope(
        self,
        first: Array,
        second: Array,
        scale_first: Array | None,
        scale_second: Array | None,
    ) -> Array:
        """The limited slope of two differences, scaled where the cells differ."""
        if scale_first is None or scale_second is None:
            return self.limiter(first, second)
        slope = self.limiter(scale_first * first, scale_second * second)
        bound = 2 * jnp.abs(minmod(first, second))
        return jnp.clip(slope, -bound, bound)


def _ends(w: Array, slopes: tuple[Array, ...], axis: int) -> tuple[Array, Array]:
    """The values at the lower and the upper face of each cell but the outermost two."""
    centre = take(w, 1, w.shape[1 + axis] - 1, axis)
    return centre - slopes[0], centre + slopes[-1]


def _at_faces(lower: Array, upper: Array, axis: int) -> tuple[Array, Array]:
    """The left and right states of the faces, from both ends of each cell."""
    n = lower.shape[1 + axis]
    return take(upper, 0, n - 1, axis), take(lower, 1, n, axis)


@stage
def primitive(law: Law, u: Array) -> Array:
    """The law's primitive variables, as a stage of their own."""
    return law.primitive(u)


def _scales(widths: Array, ndim: int, axis: int) -> tuple[Array | None, Array | None]:
    """Cell width over the distance to the previous and to the next centre.

    None on a uniform axis.
    """
    if widths.ndim == 0:
        return None, None
    h = along(widths, ndim, axis)
    n = h.shape[1 + axis]
    before, cell, after = (take(h, k, n - 2 + k, axis) for k in range(3))
    return 2 * cell / (before + cell), 2 * cell / (cell + after)
