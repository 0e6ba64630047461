"""Roots of nondecreasing functions, by a safeguarded Newton's method."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._typing import Array, Bool, Float, Int


class _State(NamedTuple):
    t: Float[Array, "*g"]
    below: Float[Array, "*g"]  # a t with fn(t) < 0
    above: Float[Array, "*g"]  # a t with fn(t) > 0
    reach: Float[Array, "*g"]  # length of the next step outwards
    size: Float[Array, "*g"]  # |fn| before this step
    count: Int[Array, ""]
    done: Bool[Array, "*g"]


def nondecreasing_root(
    fn: Callable[[Float[Array, "*g"]], tuple[Array, Array, Array]],
    start: Float[Array, "*g"],
    reach: Float[Array, "*g"],
    solved: Bool[Array, "*g"] | bool = False,
) -> Float[Array, "*g"]:
    """t with fn(t) = 0 for nondecreasing, piecewise smooth functions, one per entry.

    Newton's step is taken if it stays inside the bracket and the value has halved;
    otherwise the bracket is bisected or, while one side is open, extended by twice the
    last `reach`.

    Args:
        fn: from t to value, slope, and the size below which a value counts as zero.
        reach: length of the first step outwards.
        solved: entries for which `start` is returned.
    """

    def running(s: _State) -> Bool[Array, ""]:
        return ~jnp.all(s.done) & (s.count < _STEPS)

    infinity = jnp.full_like(start, jnp.inf)
    done = jnp.broadcast_to(jnp.asarray(solved), start.shape)
    first = _State(start, -infinity, infinity, reach, infinity, jnp.int32(0), done)
    return jax.lax.while_loop(running, lambda s: _step(fn, s), first).t


def _step(
    fn: Callable[[Float[Array, "*g"]], tuple[Array, Array, Array]], s: _State
) -> _State:
    """Newton's step if it stays in the bracket, else bisection or a step outwards."""
    value, slope, zero = fn(s.t)
    found = (jnp.abs(value) <= zero) | ~jnp.isfinite(value)
    below = jnp.where(value < 0, s.t, s.below)
    above = jnp.where(value > 0, s.t, s.above)
    newton = s.t - value / jnp.where(slope > 0, slope, 1)
    closed = jnp.isfinite(below) & jnp.isfinite(above)
    slow = closed & (jnp.abs(value) > 0.5 * s.size)
    trusted = (slope > 0) & (below < newton) & (newton < above) & ~slow
    middle = 0.5 * jnp.where(closed, below + above, 0)
    outward = jnp.where(closed, middle, s.t - jnp.sign(value) * s.reach)
    following = jnp.where(trusted, newton, outward)
    rounding = 2 * float(jnp.finfo(s.t.dtype).eps)
    exhausted = closed & (above - below <= rounding * jnp.maximum(-below, above))
    return _State(
        t=jnp.where(s.done | found, s.t, following),
        below=below,
        above=above,
        reach=jnp.where(trusted, s.reach, 2 * s.reach),
        size=jnp.abs(value),
        count=s.count + 1,
        done=s.done | found | (following == s.t) | exhausted,
    )


_STEPS = 200
