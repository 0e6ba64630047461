"""Localisation: correlations that fall to zero at a finite distance."""

import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, require, require_no_negative
from physcon._numerics import safe
from physcon._numerics.float64 import floating
from physcon._typing import Array, ArrayLike, Float
from physcon.conditioning.observations import positions_on
from physcon.grid import Grid


def gaspari_cohn(distance: ArrayLike, radius: ArrayLike) -> Float[Array, "*s"]:
    """The correlation function of Gaspari and Cohn: 1 at zero, 0 from `radius` on.

    It resembles a Gaussian with a standard deviation of 0.27 `radius`, and is a valid
    correlation in up to three dimensions. Twice differentiable.

    Args:
        distance: of any shape, zero or more.
        radius: where the function becomes zero, in the unit of `distance`: twice the
            length c of the article. Infinite: the function is 1 at every distance.

    Source: Gaspari and Cohn, Q. J. R. Meteorol. Soc. 125 (1999) 723, eq. 4.10.

    >>> gaspari_cohn(jnp.array([0.0, 1.0, 2.0]), 2.0)
    Array([1.        , 0.20833333, 0.        ], dtype=float32)
    """
    require_no_negative(distance, "a distance", "pass lengths, not differences")
    _require_radius(radius)
    z = 2 * jnp.abs(floating(distance)) / radius
    is_near = z < 1
    inner = jnp.where(is_near, z, 1)
    near = 1 + inner**2 * (-5 / 3 + inner * (5 / 8 + inner * (0.5 - 0.25 * inner)))
    # Its outer part has a fourfold root at z = 2, which is written out: the textbook
    # form subtracts equal numbers there.
    outer = jnp.where(is_near, 1, jnp.minimum(z, 2))
    far = (2 - outer) ** 4 * (outer**2 + 2 * outer - 0.5) / (12 * outer)
    return jnp.where(is_near, near, far)


def localisation(
    grid: Grid,
    positions: ArrayLike,
    radius: ArrayLike,
    *,
    periodic: bool = False,
) -> Float[Array, "k *x"]:
    """The weight of each observation at each point of a grid, for `ensemble_update`.

    It is `gaspari_cohn` of the distance between both. For other distances, such as
    great circles, call `gaspari_cohn` with your own.

    Shapes: ``(k, *x)`` for k observations on a grid of shape ``(*x)``.

    Args:
        positions: of the observations, ``(k, axes)``; ``(k,)`` on one axis. Positions
            far from zero should come as NumPy float64, as for `sensors`.
        radius: where the weight becomes zero, in the unit of the coordinates.
        periodic: whether every axis is a circle, as long as the grid is.

    >>> grid = Grid.uniform(0.0, 4.0, 4)
    >>> localisation(grid, jnp.array([0.5]), 2.0, periodic=True)[0]
    Array([1.        , 0.20833333, 0.        , 0.20833333], dtype=float32)
    """
    at = positions_on(grid, positions)
    require(
        grid.location == "cells" or not periodic,
        "a periodic grid of cells",
        "nodes, whose first and last would be one point",
        "build it by Grid.uniform or Grid.cells",
    )
    _require_radius(radius)
    squared = jnp.zeros((at.shape[0],) + (1,) * grid.ndim)
    for axis in range(grid.ndim):
        place = grid.relative(at[:, axis], axis)
        gap = jnp.abs(place[:, None] - grid.offsets(axis)[None])
        if periodic:
            length = jnp.sum(grid.widths(axis))
            gap = gap % length
            gap = jnp.minimum(gap, length - gap)
        others = (1,) * (grid.ndim - axis - 1)
        shape = (-1, *(1,) * axis, grid.shape[axis], *others)
        # Squares of lengths would leave the range of float32.
        squared = squared + (gap / radius).reshape(shape) ** 2
    return gaspari_cohn(safe.sqrt(squared), 1.0)


def _require_radius(radius: ArrayLike) -> None:
    known = concrete(radius)
    require(
        known is None or bool(np.all(known > 0)),
        "a radius > 0",
        radius,
        "pass inf for no localisation",
    )
