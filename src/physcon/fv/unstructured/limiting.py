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

from physcon._typing import Array, Float
from physcon.fv._stage import stage
from physcon.fv.unstructured.stencil import Stencil, added

#: Points of a cell with the bounds of the values around each: (Δ, Δ_max, Δ_min).
Points = list[tuple[Array, Array, Array]]


def along(gradient: list[Array], arm: Float[Array, "d n"]) -> Float[Array, "c n"]:
    """Σ_k g_k a_k."""
    parts = [g * a[None] for g, a in zip(gradient, arm, strict=True)]
    return added(parts)


def at_face_points(
    s: Stencil,
    w: Float[Array, "c n"],
    gradient: list[Array],
    near: Float[Array, "c k n"],
) -> Points:
    """The centres of the faces, bounded by the cell and all of its neighbours."""
    highest = w
    lowest = w
    for k in range(near.shape[1]):
        highest = jnp.maximum(highest, near[:, k])
        lowest = jnp.minimum(lowest, near[:, k])
    up = highest - w
    down = lowest - w
    return [(along(gradient, arm), up, down) for arm in s.arm]


def at_vertices(s: Stencil, w: Float[Array, "c n"], gradient: list[Array]) -> Points:
    """The nodes, each bounded by the cells around it."""
    highest, lowest = vertex_bounds(s, w)
    found = []
    for vertex, arm in zip(s.vertex, s.vertex_arm, strict=True):
        up = highest[:, vertex] - w
        down = lowest[:, vertex] - w
        found.append((along(gradient, arm), up, down))
    return found


@stage
def vertex_bounds(s: Stencil, w: Float[Array, "c n"]) -> tuple[Array, Array]:
    """The largest and smallest value around each node."""
    highest = w[:, s.around[0]]
    lowest = highest
    for cell in s.around[1:]:
        value = w[:, cell]
        highest = jnp.maximum(highest, value)
        lowest = jnp.minimum(lowest, value)
    return highest, lowest


def smallest_share(
    points: Points, share: Callable[[Array, Array], Array]
) -> Float[Array, "c n"]:
    """The smallest share over the points of each cell."""
    found = None
    for change, up, down in points:
        room = jnp.where(change > 0, up, -down)
        here = share(room, jnp.abs(change))
        found = here if found is None else jnp.minimum(found, here)
    assert found is not None
    return found


def sharp(room: Float[Array, "*s"], change: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """min(1, room/change)."""
    limited = change > room
    return jnp.where(limited, room / jnp.where(limited, change, 1), 1)


def smooth(threshold: Float[Array, "..."]) -> Callable[[Array, Array], Array]:
    """Venkatakrishnan's share, in units of the values.

    Changes well below the threshold are not limited. All terms are divided by the
    largest of them, so that no square leaves the range of the dtype.
    """

    def share(room: Array, change: Array) -> Array:
        size = jnp.maximum(jnp.maximum(room, change), threshold)
        scale = 1 / jnp.where(size > 0, size, 1)
        r = room * scale
        d = change * scale
        e = threshold * scale
        above = r * r + e * e + 2 * d * r
        below = r * r + 2 * d * d + r * d + e * e
        return jnp.where(below > 0, above / jnp.where(below > 0, below, 1), 1)

    return share
