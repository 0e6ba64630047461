"""Gibbs sampling of a Gaussian with independent points, given exact rows and a box.

A move takes a group of points and a direction d with G d = 0 that vanishes outside of
the group. On the line u + t d the law is a truncated normal in t, which is drawn by
inversion. Neither the group nor the direction depends on u, so the law is invariant,
and all draws may share them: given the directions, draws are independent.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from physcon._numerics.products import inner
from physcon._typing import Array, Bool, Float, Int
from physcon.conditioning.circuits import circuits
from physcon.conditioning.grouping import DETERMINED, direction, order, project
from physcon.conditioning.optimality import Problem, freedom, restored
from physcon.conditioning.variates import truncated_normal, uniform


@partial(jax.jit, static_argnames=("count", "sweeps", "dtype"))
def draw_chains(
    seed: Array,
    start: Float[Array, "*x"],
    mean: Float[Array, "*x"],
    std: Float[Array, "*x"],
    rows: Float[Array, "m *x"],
    value: Float[Array, " m"],
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
    rows = rows.reshape(rows.shape[0], -1)
    seen = jnp.any(rows != 0, axis=0)
    moving = (std > 0) & (lower < upper) & seen
    moving = moving & ~_determined(u, rows, value, moving, lower, upper)
    noise = jnp.zeros_like(value)
    variance = jnp.where(moving, std, 0) ** 2
    problem = Problem(mean, variance, rows, value, noise, lower, upper)
    moving = moving & (freedom(problem) > DETERMINED)
    alone = ~seen & (std > 0)

    key, direct = jax.random.split(jax.random.wrap_key_data(seed))
    width = jnp.where(std > 0, std, 1)
    ends = (lower - mean) / width, (upper - mean) / width

    def drawn(p: Array) -> Array:
        x = jnp.clip(mean + width * truncated_normal(p, *ends), lower, upper)
        return jnp.where(alone, x, u)

    first = jax.vmap(drawn)(uniform(direct, (count, u.size), u.dtype))
    reach = jnp.where(moving, std, 0)
    last, moves, lacking = _sweeps(key, sweeps, first, mean, reach, rows, lower, upper)
    draws = jax.vmap(lambda u: restored(problem, u))(last)
    draws = draws.astype(dtype).astype(u.dtype)
    moves = moves / count
    number = jnp.maximum(jnp.sum(moving), 1).astype(moves.dtype)
    average = jnp.sum(jnp.where(moving, moves, 0)) / number
    idle = jnp.sum(moving & (moves == 0)).astype(moves.dtype) / number
    enough = (average >= _FEWEST) & (idle <= 0.01) & (lacking <= _LACKING)
    enough = ~jnp.any(moving) | enough

    def met(x: Array) -> Array:
        terms = inner(jnp.abs(rows), jnp.abs(x)) + jnp.abs(value)
        rounding = 4 * float(jnp.finfo(dtype).eps) * terms
        return jnp.all(jnp.abs(value - inner(rows, x)) <= rounding)

    return draws, moves, enough, jnp.all(jax.vmap(met)(draws))


def _determined(
    u: Float[Array, " n"],
    rows: Float[Array, "m n"],
    value: Float[Array, " m"],
    moving: Bool[Array, " n"],
    lower: Float[Array, " n"],
    upper: Float[Array, " n"],
) -> Bool[Array, " n"]:
    """Points that one row fixes: it sees no other, or its value is at an end of reach.

    A point that is fixed may leave another row with a single point, so all rows are
    visited as often as there are rows.
    """

    def visit(_: Any, free: Array) -> Array:
        here = free[None] & (rows != 0)
        low = rows * jnp.where(here, lower[None], u[None])
        high = rows * jnp.where(here, upper[None], u[None])
        low = jnp.where(rows == 0, 0, low)
        high = jnp.where(rows == 0, 0, high)
        least = jnp.sum(jnp.minimum(low, high), axis=1)
        most = jnp.sum(jnp.maximum(low, high), axis=1)
        size = jnp.sum(jnp.abs(rows * u[None]), axis=1) + jnp.abs(value)
        at_end = (value - least <= 1e-12 * size) | (most - value <= 1e-12 * size)
        single = jnp.sum(here, axis=1) == 1
        return free & ~jnp.any(here & (at_end | single)[:, None], axis=0)

    free = jax.lax.fori_loop(0, rows.shape[0], visit, moving)
    return moving & ~free


def _sweeps(
    key: Array,
    sweeps: int,
    u: Float[Array, "s n"],
    mean: Float[Array, " n"],
    std: Float[Array, " n"],
    rows: Float[Array, "m n"],
    low: Float[Array, " n"],
    high: Float[Array, " n"],
) -> tuple[Float[Array, "s n"], Float[Array, " n"], Float[Array, ""]]:
    """Fields after `sweeps` groupings, and how often each point could move, in all.

    Also the share of the variance of the direction that moves least which the draws
    lack, apart from bounds: random deviations from the mean, in standard deviations,
    are moved along, and what is left of them is an estimate from above.
    """
    m, n = rows.shape
    groups = n // (m + 1)
    moving = std > 0
    scaled = rows * std[None]
    size = jnp.abs(scaled)
    points = (mean, std, low, high)
    # Pairs are all the circuits that one row has.
    number = min(n - m, 2 * (m + 1)) if m > 1 else 0

    def moved(state: tuple, chosen: tuple) -> tuple[tuple, None]:
        u, moves, probes = state
        key, group, e = chosen
        p = uniform(key, (len(u), len(group)), u.dtype)
        new, could = jax.vmap(partial(_move, points, group, e))(u, p)
        times = jnp.sum(could, axis=0).astype(u.dtype)
        probes = jax.vmap(partial(_forget, group, e))(probes)
        return (new, moves.at[group].add(times), probes), None

    def sweep(state: tuple, key: Array) -> tuple[tuple, None]:
        grouping, aim, draw, basis, turns = jax.random.split(key, 5)
        points_in_order = order(grouping, size, moving)
        group = points_in_order[: (m + 1) * groups].reshape(groups, m + 1)
        z = jax.random.normal(aim, group.shape, jnp.float32).astype(u.dtype)
        e = jax.vmap(direction)(jnp.moveaxis(scaled[:, group], 0, 1), z)
        state, _ = moved(state, (draw, group, e))
        if number == 0:
            return state, None
        group, e = circuits(basis, scaled, moving, number)
        keys = jax.random.split(turns, number)
        return jax.lax.scan(moved, state, (keys, group[:, None], e[:, None]))

    key, probe = jax.random.split(key)
    z = jax.random.normal(probe, (_PROBES, n), jnp.float32).astype(u.dtype)
    probes = jax.vmap(partial(project, scaled))(jnp.where(moving, z, 0))
    start = (u, jnp.zeros(n, u.dtype), probes)
    (u, moves, probes), _ = jax.lax.scan(sweep, start, jax.random.split(key, sweeps))
    return u, moves, jnp.sqrt(jnp.sum((probes @ probes.T) ** 2)) / _PROBES


def _forget(
    group: Int[Array, "g k"], e: Float[Array, "g k"], probe: Float[Array, " n"]
) -> Float[Array, " n"]:
    """What a move leaves of a deviation from the mean if it meets no bound."""
    along = jnp.sum(e * probe[group], axis=-1)
    return probe.at[group].add(-along[:, None] * e)


def _move(
    points: tuple[Array, Array, Array, Array],
    group: Int[Array, "g k"],
    e: Float[Array, "g k"],
    u: Float[Array, " n"],
    p: Float[Array, " g"],
) -> tuple[Array, Array]:
    """`u` with groups moved along d = σ e, |e| = 1, and which points could move.

    On u + t d, t is normal, truncated to a segment.
    """
    mean, std, low, high = (x[group] for x in points)
    width = jnp.where(std > 0, std, 1)
    d = width * e
    acts = d != 0
    step = jnp.where(acts, d, 1)
    here = u[group]
    centre = jnp.sum(e / width * (mean - here), axis=-1)
    to_low = (low - here) / step
    to_high = (high - here) / step
    backward = jnp.where(acts, jnp.minimum(to_low, to_high), -jnp.inf)
    forward = jnp.where(acts, jnp.maximum(to_low, to_high), jnp.inf)
    left = jnp.minimum(jnp.max(backward, axis=-1), 0)
    right = jnp.maximum(jnp.min(forward, axis=-1), 0)
    t = centre + truncated_normal(p, left - centre, right - centre)
    t = jnp.where(jnp.any(acts, axis=1), jnp.clip(t, left, right), 0)
    moved = jnp.clip(here + t[:, None] * d, low, high)
    could = acts & ((right - left)[:, None] * jnp.abs(e) > _SHORTEST)
    # A redundant row repeats the first point of its group, whose change is kept.
    return u.at[group].add(jnp.where(acts, moved - here, 0)), could


#: Length of a segment in standard deviations that counts as a move.
_SHORTEST = 1e-9
#: Useful moves per free point, on average, from which draws are trusted.
_FEWEST = 5
#: Random deviations that test whether the start is forgotten in every direction.
_PROBES = 8
#: Share of the variance in some direction that draws may lack.
_LACKING = 0.1
