"""Gibbs sampling within bounds where rows see disjoint groups of points.

A move takes two points of one group, along the direction in which their row doesn't
change. All groups move at once, without a dense matrix: O(n log n) for a sweep.

The moves are the ones that `gibbs` makes for one row, where the reason is given why
the law is invariant.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._typing import Array, Bool, Float, Int
from physcon.conditioning.grouping import by_size
from physcon.conditioning.variates import truncated_normal, uniform
from physcon.linear_map import Disjoint


class Points(NamedTuple):
    """What is known of each point; flattened.

    Attributes:
        weight: of the point in its row.
        label: the number of its row; -1: none.
        moving: whether it can move together with others.
    """

    mean: Float[Array, " n"]
    std: Float[Array, " n"]
    lower: Float[Array, " n"]
    upper: Float[Array, " n"]
    weight: Float[Array, " n"]
    label: Int[Array, " n"]
    moving: Bool[Array, " n"]


@partial(jax.jit, static_argnames=("count", "sweeps", "dtype"))
def draw_grouped_chains(
    seed: Array,
    start: Float[Array, "*x"],
    mean: Float[Array, "*x"],
    std: Float[Array, "*x"],
    operator: Disjoint,
    value: Float[Array, "*g"],
    lower: Float[Array, "*x"],
    upper: Float[Array, "*x"],
    *,
    count: int,
    sweeps: int,
    dtype: Any,
) -> tuple[Float[Array, "s n"], Float[Array, " n"], Bool[Array, ""], Bool[Array, ""]]:
    """Draws, moves per point, and whether moves were enough and all rows are met."""
    u, mean, std, lower, upper = (
        x.reshape(-1) for x in (start, mean, std, lower, upper)
    )
    label = operator.groups.labels().reshape(-1)
    weight = operator.weights.reshape(-1)
    seen = (weight != 0) & (label >= 0)
    points = Points(
        mean, std, lower, upper, weight, label, (std > 0) & (lower < upper) & seen
    )
    free = points.moving & ~_determined(u, points, operator, value)
    points = points._replace(moving=free)
    key, direct = jax.random.split(jax.random.wrap_key_data(seed))
    width = jnp.where(std > 0, std, 1)
    ends = (lower - mean) / width, (upper - mean) / width

    def drawn(p: Array) -> Array:
        x = jnp.clip(mean + width * truncated_normal(p, *ends), lower, upper)
        return jnp.where(~seen & (std > 0), x, u)

    first = jax.vmap(drawn)(uniform(direct, (count, u.size), u.dtype))
    last, moves = _sweeps(key, sweeps, first, points)
    draws = jax.vmap(lambda u: _restored(u, points, operator, value))(last)
    draws = draws.astype(dtype).astype(u.dtype)
    moves = moves / count
    number = jnp.maximum(jnp.sum(free), 1)
    average = jnp.sum(jnp.where(free, moves, 0)) / number
    idle = jnp.sum(free & (moves == 0)) / number
    enough = ~jnp.any(free) | ((average >= _FEWEST) & (idle <= 0.01))

    def met(x: Array) -> Array:
        field = x.reshape(operator.in_shape)
        terms = operator.magnitude(field) + jnp.abs(value)
        missed = jnp.abs(value - operator.mv(field))
        rounding = 4 * float(jnp.finfo(dtype).eps) * terms
        return jnp.all((missed <= rounding) | ~operator.present())

    return draws, moves, enough, jnp.all(jax.vmap(met)(draws))


def _determined(
    u: Float[Array, " n"], points: Points, operator: Disjoint, value: Float[Array, "*g"]
) -> Bool[Array, " n"]:
    """Points whose row has no other that moves, or has its value at an end of reach."""
    total, shape = operator.groups.total, operator.in_shape
    w, moving = points.weight, points.moving
    low = jnp.where(w == 0, 0, w * jnp.where(moving, points.lower, u))
    high = jnp.where(w == 0, 0, w * jnp.where(moving, points.upper, u))
    least = total(jnp.minimum(low, high).reshape(shape))
    most = total(jnp.maximum(low, high).reshape(shape))
    size = total(jnp.abs(w * u).reshape(shape)) + jnp.abs(value)
    at_end = (value - least <= 1e-12 * size) | (most - value <= 1e-12 * size)
    number = total(moving.astype(u.dtype).reshape(shape))
    fixed = (at_end | (number < 2)).astype(u.dtype)
    return operator.groups.spread(fixed).reshape(-1) > 0


def _sweeps(
    key: Array, sweeps: int, u: Float[Array, "s n"], points: Points
) -> tuple[Float[Array, "s n"], Float[Array, " n"]]:
    """Fields after `sweeps` pairings, and how often each point could move, in all."""
    n = u.shape[1]

    def sweep(state: tuple[Array, Array], key: Array) -> tuple[tuple, None]:
        u, moves = state
        pairing, draw = jax.random.split(key)
        first, second = _pairs(pairing, points)
        moved = jax.vmap(partial(_move, points, first, second))
        new, could = moved(u, uniform(draw, (len(u), first.size), u.dtype))
        times = jnp.sum(could, axis=0).astype(u.dtype)
        return (new, moves.at[first].add(times).at[second].add(times)), None

    start = (u, jnp.zeros(n, u.dtype))
    return jax.lax.scan(sweep, start, jax.random.split(key, sweeps))[0]


def _pairs(key: Array, points: Points) -> tuple[Int[Array, " p"], Int[Array, " p"]]:
    """Two points of one group each, at random; a point with itself: no pair."""
    n = points.label.size
    coin, tie = jax.random.split(key)
    # In half of the sweeps partners are of like size: a small one holds a large one.
    alike = jax.random.bits(coin, (), jnp.uint32) % 2 == 0
    size = jnp.abs(points.weight) * points.std
    random = jax.random.uniform(tie, (n,), jnp.float32).astype(size.dtype)
    ties = jnp.where(alike, by_size(tie, size), random)
    label = jnp.where(points.moving, points.label.astype(jnp.int32), -1)
    order = jnp.lexsort((ties, label)).astype(jnp.int32)
    label = label[order]
    place = jnp.arange(n, dtype=jnp.int32)
    opens = jnp.concatenate([jnp.ones(1, bool), label[1:] != label[:-1]])
    start = jax.lax.cummax(jnp.where(opens, place, 0))
    after = jnp.minimum(place + 1, n - 1)
    leads = ((place - start) % 2 == 0) & (label >= 0) & (label[after] == label)
    leads = leads & (after > place)
    # At most half of the places lead a pair; the last one never does.
    chosen = jnp.nonzero(leads, size=max(n // 2, 1), fill_value=n - 1)[0]
    real = leads[chosen]
    first = order[chosen]
    return first, jnp.where(real, order[after[chosen]], first)


def _move(
    points: Points, first: Array, second: Array, u: Array, p: Array
) -> tuple[Array, Array]:
    """On u + t d with d = σ e, |e| = 1, t is normal, truncated to a segment."""
    pair = jnp.stack([first, second])
    width = points.std[pair]
    reach = points.weight[pair] * width
    largest = jnp.max(jnp.abs(reach), axis=0)
    acts = (first != second) & (largest > 0)
    reach = reach / jnp.where(largest > 0, largest, 1)[None]
    size = jnp.sqrt(jnp.sum(reach**2, axis=0))
    e = jnp.stack([reach[1], -reach[0]]) / jnp.where(acts, size, 1)[None]
    here = u[pair]
    d = width * e
    turns = (d != 0) & acts[None]
    step = jnp.where(turns, d, 1)
    safe_width = jnp.where(width > 0, width, 1)
    centre = jnp.sum(e / safe_width * (points.mean[pair] - here), axis=0)
    to_low = (points.lower[pair] - here) / step
    to_high = (points.upper[pair] - here) / step
    backward = jnp.where(turns, jnp.minimum(to_low, to_high), -jnp.inf)
    forward = jnp.where(turns, jnp.maximum(to_low, to_high), jnp.inf)
    left = jnp.minimum(jnp.max(backward, axis=0), 0)
    right = jnp.maximum(jnp.min(forward, axis=0), 0)
    centre = jnp.where(acts, centre, 0)
    t = centre + truncated_normal(p, left - centre, right - centre)
    t = jnp.where(acts, jnp.clip(t, left, right), 0)
    moved = jnp.clip(here + t[None] * d, points.lower[pair], points.upper[pair])
    change = jnp.where(turns, moved - here, 0)
    return u.at[first].add(change[0]).at[second].add(change[1]), acts & (
        right - left > _SHORTEST
    )


def _restored(
    u: Float[Array, " n"], points: Points, operator: Disjoint, value: Float[Array, "*g"]
) -> Float[Array, " n"]:
    """`u` moved by rounding to meet its rows; only points inside the box move."""
    groups, shape = operator.groups, operator.in_shape
    w = points.weight

    def correct(_: Any, u: Array) -> Array:
        inside = points.moving & (points.lower < u) & (u < points.upper)
        gain = jnp.where(inside, w * points.std**2, 0)
        s = groups.total((w * gain).reshape(shape))
        missing = value - groups.total((w * u).reshape(shape))
        more = jnp.where(s > 0, missing / jnp.where(s > 0, s, 1), 0)
        moved = u + gain * groups.spread(more).reshape(-1)
        return jnp.clip(moved, points.lower, points.upper)

    return jax.lax.fori_loop(0, 2, correct, u)


#: Length of a segment in standard deviations that counts as a move.
_SHORTEST = 1e-9
#: Useful moves per free point, on average, from which draws are trusted.
_FEWEST = 5
