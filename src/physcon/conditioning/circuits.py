"""Moves along circuits: fields that the rows don't see, on as few points as possible.

Random groups of points seldom hold the long circuits of rows with few points each: in
windows that overlap like tiles, one direction passes through every window. Gaussian
elimination of the rows, with pivots at random points, finds a basis of all directions:
each takes one point that is no pivot, and the pivots that answer its change.
"""

import jax
import jax.numpy as jnp

from physcon._extremes import first_largest
from physcon._typing import Array, Bool, Float, Int


def circuits(
    key: Array, rows: Float[Array, "m n"], moving: Bool[Array, " n"], number: int
) -> tuple[Int[Array, "k m1"], Float[Array, "k m1"]]:
    """`number` groups of m + 1 points at random, and a unit direction of each.

    Args:
        rows: the rows times the standard deviations.
    """
    n = rows.shape[1]
    marks, tilt = jax.random.split(key)
    mark = jax.random.uniform(marks, (n,), jnp.float32).astype(rows.dtype)
    # Half of the time, points to which the rows are sensitive are preferred as pivots.
    share = jnp.sum(rows**2, axis=0)
    share = share / jnp.maximum(jnp.max(share), jnp.finfo(rows.dtype).tiny)
    tilted = jax.random.bits(tilt, (), jnp.uint32) % 2 == 0
    mark = jnp.where(tilted, mark * jnp.sqrt(share), mark)
    reduced, pivots = _eliminated(jnp.where(moving[None], rows, 0), mark)
    pivot = jnp.zeros(n, bool).at[pivots].set(True, mode="drop")
    other = moving & ~pivot
    first = jnp.lexsort((mark, ~other))[:number].astype(jnp.int32)
    e = jnp.concatenate([jnp.ones((number, 1), rows.dtype), -reduced[:, first].T], 1)
    e = jnp.where(jnp.abs(e) > _ROUNDING, e, 0)
    e = e / jnp.sqrt(jnp.sum(e**2, axis=1, keepdims=True))
    e = jnp.where(other[first][:, None], e, 0)
    # Redundant rows have no pivot: their entry is the point itself, which stays.
    answers = jnp.where(pivots < n, pivots, first[:, None])
    group = jnp.concatenate([first[:, None], answers], axis=1)
    return group, e


def _eliminated(
    a: Float[Array, "m n"], mark: Float[Array, " n"]
) -> tuple[Float[Array, "m n"], Int[Array, " m"]]:
    """Reduced rows, and their pivots: points with a high mark; n for redundant rows."""
    m, n = a.shape
    size = jnp.max(jnp.abs(a), axis=1)

    def reduce(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        a, pivots = state
        row = jnp.abs(a[k])
        largest = jnp.max(row)
        found = largest > _ROUNDING * size[k]
        usable = row >= _SMALLEST_PIVOT * largest
        marked = jnp.where(usable, mark, -1)
        place = first_largest(marked)
        unit = a[k] / jnp.where(found, a[k, place], 1)
        unit = jnp.where(found, unit, 0).at[place].set(jnp.where(found, 1.0, 0.0))
        a = a - a[:, place][:, None] * unit[None]
        a = a.at[:, place].set(jnp.where(found, 0, a[:, place]))
        return a.at[k].set(unit), pivots.at[k].set(jnp.where(found, place, n))

    start = (a, jnp.full(m, n, jnp.int32))
    return jax.lax.fori_loop(0, m, reduce, start)


#: Entries of a reduced row, relative to what it was, that count as zero.
_ROUNDING = 1e-9
#: Smallest pivot of a row, relative to its largest entry.
_SMALLEST_PIVOT = 0.02
