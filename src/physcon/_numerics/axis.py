"""One axis of a grid: its points, their spacing, and where it begins."""

from typing import Any, Literal, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np

from physcon._checks import is_traced, require, require_numbers
from physcon._numerics.positions import two_parts
from physcon._typing import Array, ArrayLike, Float

Location: TypeAlias = Literal["cells", "nodes"]


class Axis(NamedTuple):
    """The points of one axis, ``(n,)``, their spacing and the axis' lower end."""

    coordinates: Float[Array, " n"]
    spacing: Float[Array, "..."]
    origin: Float[Array, " 2"]


def uniform_axis(a: Any, b: Any, n: int, location: Location) -> Axis:
    """n equal cells between a and b, or n nodes that include both ends."""
    require_numbers((a, b), "ends of the axis")
    if not is_traced(a) and not is_traced(b):
        require(bool(a < b), "lower < upper", f"[{a}, {b}]", "swap the bounds")
    intervals = n if location == "cells" else n - 1
    start, stop = (0.5, n - 0.5) if location == "cells" else (0.0, n - 1.0)
    # In NumPy's float64 until the one rounding at the end, unless traced.
    fraction = np.linspace(start, stop, n) / intervals
    coordinates = jnp.asarray(a + (b - a) * fraction, dtype=float)
    spacing = jnp.asarray((b - a) / intervals, dtype=float)
    return Axis(coordinates, spacing, two_parts(a))


def axis_through(points: ArrayLike, location: Location) -> Axis:
    """Cells between the given faces, or the given nodes, in increasing order."""
    require_numbers(points, "positions")
    require(
        np.ndim(points) == 1,
        "one 1-D array per axis",
        f"ndim {np.ndim(points)}",
        "pass one array of positions for each axis",
    )
    p = jnp.asarray(points) if is_traced(points) else np.asarray(points, np.float64)
    gaps = p[1:] - p[:-1]
    if not is_traced(gaps):
        require(
            bool(np.all(gaps > 0)),
            "strictly increasing positions without NaN",
            f"smallest gap {gaps.min() if gaps.size else None}",
            "sort the positions and remove repeated ones",
        )
    places = p[:-1] + 0.5 * gaps if location == "cells" else p
    coordinates = jnp.asarray(places, dtype=float)
    return Axis(coordinates, jnp.asarray(gaps, dtype=float), two_parts(p[0]))
