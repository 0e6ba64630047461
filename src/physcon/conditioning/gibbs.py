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
from physcon._typing import Array, Bool, Float
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
    moving = moving & (freedom(problem) > _DETERMINED)
    alone = ~seen & (std > 0)

    key, direct = jax.random.split(jax.random.wrap_key_data(seed))
    width = jnp.where(std > 0, std, 1)
    ends = (lower - mean) / width, (upper - mean) / width

    def drawn(p: Array) -> Array:
        x = jnp.clip(mean + width * truncated_normal(p, *ends), lower, upper)
        return jnp.where(alone, x, u)

    first = jax.vmap(drawn)(uniform(direct, (count, u.size), u.dtype))
    reach = jnp.where(moving, std, 0)
    last, moves = _sweeps(key, sweeps, first, mean, reach, rows, lower, upper)
    draws = jax.vmap(lambda u: restored(problem, u))(last)
    draws = draws.astype(dtype).astype(u.dtype)
    moves = moves / count
    number = jnp.maximum(jnp.sum(moving), 1).astype(moves.dtype)
    average = jnp.sum(jnp.where(moving, moves, 0)) / number
    idle = jnp.sum(moving & (moves == 0)).astype(moves.dtype) / number
    enough = ~jnp.any(moving) | ((average >= _FEWEST) & (idle <= 0.01))

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
) -> tuple[Float[Array, "s n"], Float[Array, " n"]]:
    """Fields after `sweeps` groupings, and how often each point could move, in all."""
    m, n = rows.shape
    groups = n // (m + 1)
    moving = std > 0
    width = jnp.where(moving, std, 1)
    scaled = rows * std[None]
    pattern = ((rows != 0) & moving[None]).astype(u.dtype)

    def sweep(state: tuple[Array, Array], key: Array) -> tuple[tuple, None]:
        u, moves = state
        grouping, aim, draw = jax.random.split(key, 3)
        order = _order(grouping, pattern, moving)
        group = order[: (m + 1) * groups].reshape(groups, m + 1)
        z = jax.random.normal(aim, group.shape, jnp.float32).astype(u.dtype)
        e = jax.vmap(_direction)(jnp.moveaxis(scaled[:, group], 0, 1), z)
        d = width[group] * e
        acts = d != 0
        step = jnp.where(acts, d, 1)

        def move(u: Array, p: Array) -> tuple[Array, Array]:
            """On u + t d with d = σ e, |e| = 1, t is normal, truncated to a segment."""
            here = u[group]
            centre = jnp.sum(e / width[group] * (mean[group] - here), axis=-1)
            to_low = (low[group] - here) / step
            to_high = (high[group] - here) / step
            backward = jnp.where(acts, jnp.minimum(to_low, to_high), -jnp.inf)
            forward = jnp.where(acts, jnp.maximum(to_low, to_high), jnp.inf)
            left = jnp.minimum(jnp.max(backward, axis=-1), 0)
            right = jnp.maximum(jnp.min(forward, axis=-1), 0)
            t = centre + truncated_normal(p, left - centre, right - centre)
            t = jnp.where(jnp.any(acts, axis=1), jnp.clip(t, left, right), 0)
            moved = jnp.clip(here + t[:, None] * d, low[group], high[group])
            could = acts & ((right - left)[:, None] * jnp.abs(e) > _SHORTEST)
            return u.at[group].set(moved), could

        new, could = jax.vmap(move)(u, uniform(draw, (len(u), groups), u.dtype))
        times = jnp.sum(could, axis=0).astype(u.dtype)
        return (new, moves.at[group].add(times)), None

    start = (u, jnp.zeros(n, u.dtype))
    return jax.lax.scan(sweep, start, jax.random.split(key, sweeps))[0]


def _order(
    key: Array, pattern: Float[Array, "m n"], moving: Bool[Array, " n"]
) -> Array:
    """Points in the order in which they are grouped; points that can't move come last.

    In half of the sweeps the order is random; in the other half points that are seen by
    the same rows are neighbours, in random order, so that a group has few rows.
    """
    m, n = pattern.shape
    coin, tie, mark, turn = jax.random.split(key, 4)
    # Random numbers are 32 bits wide: wider ones don't work in local float64.
    by_rows = jax.random.bits(coin, (), jnp.uint32) % 2 == 0
    weight = jax.random.uniform(mark, (m,), jnp.float32).astype(pattern.dtype)
    label = jnp.where(by_rows, jnp.sum(weight[:, None] * pattern, axis=0), 0)
    ties = jax.random.uniform(tie, (n,), jnp.float32)
    order = jnp.lexsort((ties, label, ~moving))
    # A random start, among the points that move.
    number = jnp.maximum(jnp.sum(moving, dtype=jnp.int32), 1)
    shift = jax.random.randint(turn, (), 0, number, jnp.int32)
    place = jnp.arange(n, dtype=jnp.int32)
    return order[jnp.where(place < number, (place + shift) % number, place)]


def _direction(a: Float[Array, "m k"], z: Float[Array, " k"]) -> Float[Array, " k"]:
    """A unit vector e with a e = 0, the projection of z; zero if there is none.

    Entries that the rows determine are rounding, and are removed: else a point on its
    bound would stop the whole group.
    """
    seen = jnp.any(a != 0, axis=0)
    first = _project(a, jnp.where(seen, z, 0))
    kept = jnp.abs(first) > _DETERMINED
    e = _project(jnp.where(kept[None], a, 0), jnp.where(kept, z, 0))
    e = jnp.where(kept, e, 0)
    size = jnp.sqrt(jnp.sum(e**2))
    usable = size > 10 * _DETERMINED
    return jnp.where(usable, e / jnp.where(usable, size, 1), 0)


def _project(a: Float[Array, "m k"], z: Float[Array, " k"]) -> Float[Array, " k"]:
    """z less its components along the rows of `a`: Gram-Schmidt, each step twice."""

    def less(x: Array, basis: Array) -> Array:
        for _ in range(2):
            x = x - jnp.sum(jnp.sum(basis * x[None], axis=1)[:, None] * basis, axis=0)
        return x

    def absorb(basis: Array, row: tuple[Array, Array]) -> tuple[Array, None]:
        index, x = row
        size = jnp.sqrt(jnp.sum(x**2))
        rest = less(x / jnp.where(size > 0, size, 1), basis)
        length = jnp.sqrt(jnp.sum(rest**2))
        independent = length > 1e-9
        unit = jnp.where(independent, rest / jnp.where(independent, length, 1), 0)
        return basis.at[index].set(unit), None

    m = a.shape[0]
    basis = jnp.zeros_like(a)
    if m == 1:
        basis, _ = absorb(basis, (jnp.int32(0), a[0]))
    else:
        basis, _ = jax.lax.scan(absorb, basis, (jnp.arange(m), a))
    return less(z, basis)


#: Entries of a unit direction, and shares of a variance, that count as zero.
_DETERMINED = 1e-9
#: Length of a segment in standard deviations that counts as a move.
_SHORTEST = 1e-9
#: Useful moves per free point, on average, from which draws are trusted.
_FEWEST = 5
