"""Limiters of a gradient: the largest share of it that creates no new extremum.

With Δ the change from the centroid to a point of the cell, and Δ_max >= 0 >= Δ_min the
changes to the largest and smallest value nearby, the share is the smallest φ(r) over
the points, r = Δ_max/Δ where Δ > 0 and Δ_min/Δ where Δ < 0.

Source: Barth and Jespersen, AIAA 89-0366 (1989): φ = min(1, r), faces; Venkatakrishnan,
J. Comput. Phys. 118 (1995) 120: φ = (r² + 2 r)/(r² + r + 2), with a threshold below
which nothing is limited; Park, Yoon and Kim, J. Comput. Phys. 229 (2010) 788: vertices
and the cells around them in place of faces and neighbours (multidimensional).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Float, Int
from physcon.fv._stage import stage
from physcon.fv.unstructured.stencil import Stencil, added, taken

#: Points of a cell, with the room for values around each: (Δ, Δ_max, -Δ_min).
Points = list[tuple[Array, Array, Array]]


def along(gradient: list[Array], arm: Float[Array, "d n"]) -> Float[Array, "n c"]:
    """Σ_k g_k a_k."""
    parts = [g * a[:, None] for g, a in zip(gradient, arm, strict=True)]
    return added(parts)


def at_face_points(
    s: Stencil,
    w: Float[Array, "n c"],
    gradient: list[Array],
) -> Points:
    """The centres of the faces, bounded by the cell and all of its neighbours."""
    highest = w
    lowest = w
    for cell in s.cell:
        highest, lowest = _widened(highest, lowest, taken(w, cell))
    up = highest - w
    down = w - lowest
    return [(along(gradient, arm), up, down) for arm in s.arm]


def at_vertices(s: Stencil, w: Float[Array, "n c"], gradient: list[Array]) -> Points:
    """The nodes, each bounded by the cells around it."""
    highest = _around(s.around, w, jnp.greater)
    lowest = _around(s.around, w, jnp.less)
    found = []
    for vertex, arm in zip(s.vertex, s.vertex_arm, strict=True):
        up = taken(highest, vertex) - w
        down = w - taken(lowest, vertex)
        found.append((along(gradient, arm), up, down))
    return found


@stage
def _around(
    around: Int[Array, "r p"], w: Float[Array, "n c"], beyond: Callable[..., Array]
) -> Float[Array, "p c"]:
    """The largest or smallest value around each node."""
    extreme = taken(w, around[0])
    for cell in around[1:]:
        value = taken(w, cell)
        extreme = jnp.where(beyond(value, extreme), value, extreme)
    return extreme


def _widened(highest: Array, lowest: Array, value: Array) -> tuple[Array, Array]:
    """The bounds of a set with one more value.

    Selections: maximum and minimum propagate NaN, and so cost more on a CPU.
    """
    highest = jnp.where(value > highest, value, highest)
    return highest, jnp.where(value < lowest, value, lowest)


def smallest_share(
    points: Points, share: Callable[[Array, Array], Array]
) -> Float[Array, "n c"]:
    """The smallest share over the points of each cell."""
    found = None
    for change, up, down in points:
        here = share(_room(change, up, down), jnp.abs(change))
        found = here if found is None else jnp.where(here < found, here, found)
    assert found is not None
    return found


def smallest_quotient(points: Points) -> Float[Array, "n c"]:
    """The smallest min(1, room/change) over the points of each cell.

    Quotients are compared by products, so that one division finds the smallest of them.
    Relative to the largest change of the cell these stay in the range of the dtype.
    """
    pairs = [(_room(*point), jnp.abs(point[0])) for point in points]
    largest = pairs[0][1]
    for _, change in pairs[1:]:
        largest = jnp.where(change > largest, change, largest)
    largest = jax.lax.stop_gradient(largest)
    scale = 1 / jnp.where(largest > 0, largest, 1)
    least = jnp.ones_like(largest)
    most = jnp.ones_like(largest)
    for room, change in pairs:
        room = room * scale
        change = change * scale
        smaller = room * most < least * change
        least = jnp.where(smaller, room, least)
        most = jnp.where(smaller, change, most)
    return safe.quotient(least, most)


def _room(change: Array, up: Array, down: Array) -> Array:
    """The room on the side to which a value changes."""
    return jnp.where(change > 0, up, down)


def smooth(
    threshold: float, extent: Float[Array, " c"]
) -> Callable[[Array, Array], Array]:
    """Venkatakrishnan's share, in units of the extent of each variable.

    Changes well below the threshold, a share of the extent, are not limited.
    """
    extent = jnp.where(extent > 0, extent, 1)[None]
    scale = safe.quotient(jnp.ones_like(extent), extent)
    e = threshold**2

    def share(room: Array, change: Array) -> Array:
        r = room * scale
        d = change * scale
        above = r * r + e + 2 * d * r
        below = r * r + 2 * d * d + r * d + e
        return jnp.where(below > 0, above / jnp.where(below > 0, below, 1), 1)

    return share
