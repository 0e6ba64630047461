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


def sharp(points: Points) -> Float[Array, "n c"]:
    """The smallest min(1, room/change) over the points of each cell."""
    pairs = [_room(*point) for point in points]
    largest = pairs[0][1]
    for _, change in pairs[1:]:
        largest = jnp.where(change > largest, change, largest)
    largest = jax.lax.stop_gradient(largest)
    # In units of the largest change no product leaves the range of the dtype.
    scale = 1 / jnp.where(largest > 0, largest, 1)
    one = jnp.ones_like(largest)
    scaled = [(room * scale, change * scale) for room, change in pairs]
    return _smallest_quotient([(one, one), *scaled])


def smooth(
    points: Points, threshold: float, extent: Float[Array, " c"]
) -> Float[Array, "n c"]:
    """The smallest of Venkatakrishnan's shares, in units of each variable's extent.

    Changes well below the threshold, a share of the extent, are not limited.
    """
    extent = jnp.where(extent > 0, extent, 1)[None]
    scale = safe.quotient(jnp.ones_like(extent), extent)
    e = threshold**2
    pairs = []
    for room, change in [_room(*point) for point in points]:
        r = room * scale
        d = change * scale
        above = r * r + e + 2 * d * r
        below = r * r + 2 * d * d + r * d + e
        some = below > 0
        pairs.append((jnp.where(some, above, 1), jnp.where(some, below, 1)))
    return _smallest_quotient(pairs)


def _room(change: Array, up: Array, down: Array) -> tuple[Array, Array]:
    """The room on the side to which a value changes, and the size of the change."""
    return jnp.where(change > 0, up, down), jnp.abs(change)


def _smallest_quotient(pairs: list[tuple[Array, Array]]) -> Array:
    """The smallest a/b of some pairs with b > 0.

    Quotients are compared by products: one division instead of one for each pair.
    """
    a, b = pairs[0]
    for above, below in pairs[1:]:
        smaller = above * b < a * below
        a = jnp.where(smaller, above, a)
        b = jnp.where(smaller, below, b)
    return safe.quotient(a, b)
