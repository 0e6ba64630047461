"""Three-point rows: second differences along an axis."""

import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, ArrayLike, Float, Shape
from physcon.conditioning.constraint import LinearConstraint
from physcon.grid import Grid
from physcon.linear_map import LinearMap


class ThreePoint(LinearMap):
    """(G u)_r = a_r u_r + b_r u_{r+1} + c_r u_{r+2}, one row for each inner point of one axis."""

    coefficients: Float[Array, "3 n-2"]

    @classmethod
    def second_difference(cls, size: int) -> "ThreePoint":
        """u₋ - 2u + u₊ at the inner ones of `size` points."""
        require(size >= 3, "3 or more points", size, "refine")
        return cls(jnp.broadcast_to(jnp.array([[1.0], [-2.0], [1.0]]), (3, size - 2)))

    @classmethod
    def second_derivative(cls, positions: Float[Array, " n"]) -> "ThreePoint":
        """The second derivative of the parabola through three neighbours: twice the divided
        difference, exact for quadratics on any positions.
        """
        require(positions.size >= 3, "3 or more points", positions.size, "refine")
        left, right = positions[1:-1] - positions[:-2], positions[2:] - positions[1:-1]
        both = left + right
        return cls(jnp.stack([2 / (left * both), -2 / (left * right), 2 / (right * both)]))

    @property
    def in_shape(self) -> Shape:
        return (self.coefficients.shape[1] + 2,)

    @property
    def out_shape(self) -> Shape:
        return self.coefficients.shape[1:]

    def mv(self, x: Float[Array, " n"]) -> Float[Array, " n-2"]:
        a, b, c = self.coefficients
        return a * x[:-2] + b * x[1:-1] + c * x[2:]

    def rmv(self, y: Float[Array, " n-2"]) -> Float[Array, " n"]:
        a, b, c = self.coefficients * y[None]
        return jnp.pad(a, (0, 2)) + jnp.pad(b, (1, 1)) + jnp.pad(c, (2, 0))


def second_difference(
    domain: int | Grid, value: ArrayLike = 0.0, noise_std: ArrayLike | None = None
) -> LinearConstraint:
    """Second differences of a one-dimensional field, one row for each inner point.

    Args:
        domain: the number of points, for u₋ - 2u + u₊ whatever their spacing; or a `Grid`, for the
            second derivative on its coordinates.
        value: scalar or ``(n - 2)``; in the units of the rows.
        noise_std: scalar or ``(n - 2)``; None makes the field a straight line (value 0). With the
            noise of `physcon.conditioning.diffuse` this is the article's artificial diffusion, in
            O(n³) by `condition`; `diffuse` itself is O(n).

    >>> second_difference(4).residual(jnp.array([0.0, 1.0, 4.0, 9.0])).tolist()
    [-2.0, -2.0]
    """
    if isinstance(domain, Grid):
        require(domain.ndim == 1, "a grid of one axis", domain.ndim, "vmap over the other axes")
        operator = ThreePoint.second_derivative(domain.coordinates[0])
    else:
        operator = ThreePoint.second_difference(domain)
    shape, dtype = operator.out_shape, operator.coefficients.dtype
    noise = None if noise_std is None else jnp.broadcast_to(jnp.asarray(noise_std, dtype), shape)
    return LinearConstraint(operator, jnp.broadcast_to(jnp.asarray(value, dtype), shape), noise)
