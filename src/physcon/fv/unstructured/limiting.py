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

import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Float
from physcon.fv._stage import stage
from physcon.fv.unstructured.stencil import Stencil, added

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
    near: Float[Array, "k n c"],
) -> Points:
    """The centres of the faces, bounded by the cell and all of its neighbours."""
    highest = w
    lowest = w
    for value in near:
        highest = jnp.maximum(highest, value)
        lowest = jnp.minimum(lowest, value)
    up = highest - w
    down = w - lowest
    return [(along(gradient, arm), up, down) for arm in s.arm]


def at_vertices(s: Stencil, w: Float[Array, "n c"], gradient: list[Array]) -> Points:
    """The nodes, each bounded by the cells around it."""
    highest, lowest = _vertex_bounds(s, w)
    found = []
    for vertex, arm in zip(s.vertex, s.vertex_arm, strict=True):
        up = highest[vertex] - w
        down = w - lowest[vertex]
        found.append((along(gradient, arm), up, down))
    return found


@stage
def _vertex_bounds(s: Stencil, w: Float[Array, "n c"]) -> tuple[Array, Array]:
    """The largest and smallest value around each node, ``(p, c)``."""
    highest = w[s.around[0]]
    lowest = highest
    for cell in s.around[1:]:
        value = w[cell]
        highest = jnp.maximum(highest, value)
        lowest = jnp.minimum(lowest, value)
    return highest, lowest


def smallest_share(
    points: Points, share: Callable[[Array, Array], Array]
) -> Float[Array, "n c"]:
    """The smallest share over the points of each cell."""
    found = None
    for change, up, down in points:
        room = jnp.where(change > 0, up, down)
        here = share(room, jnp.abs(change))
        found = here if found is None else jnp.minimum(found, here)
    assert found is not None
    return found


def sharp(room: Float[Array, "*s"], change: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """min(1, room/change)."""
    limited = change > room
    part = safe.quotient(room, jnp.where(limited, change, 1))
    return jnp.where(limited, part, 1)


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
