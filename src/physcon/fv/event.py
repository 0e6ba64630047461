"""Events: when a condition on the solution, g(u, t), changes its sign.

The first step that brackets a change is kept. After the run, the length s of the step
that leads to the event is found from g(step(u, t, s), t + s) = 0: the event is the
scheme's own solution at that time, not an interpolation between saved states.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._mesh import Axes
from physcon._typing import Array, ArrayLike, Bool, Float, Scalar
from physcon.fv.parameter import number
from physcon.grid import Grid

#: ``condition(u, t)``, a scalar whose sign changes at the event.
Condition = Callable[[Array, Scalar], Array]
#: Bisections and secant steps of the root; float64 needs a dozen.
ITERATIONS = 60


class Event(eqx.Module):
    """The first time at which the condition changed its sign.

    Attributes:
        found: whether the sign changed.
        t: the time of the change; NaN if there was none. Its derivatives follow from
            the implicit equation condition = 0.
        u: the state at that time; NaN if there was no change.
    """

    found: Bool[Array, ""]
    t: Scalar
    u: Float[Array, "c *x"]


class Arrival(eqx.Module):
    """Condition of an event: a variable at a sensor crosses a level, from either side.

    u is linear between cell centres. For a shock or a front, a level halfway up the
    jump gives the time at which it passes, to a fraction of a cell.

    Attributes:
        grid: of the states.
        position: of the sensor, one number per axis.
        level: the value to cross.
        channel: the index of the variable.
        mesh_axes: per axis the mesh axis that divides the states, inside
            `jax.shard_map`.
        offsets: the position from the lower end of the grid, computed from `position`
            before that is rounded.

    Shapes: position ``(d,)``; called with a state ``(c, *x)`` and a time it returns a
    scalar.
    """

    grid: Grid
    position: Float[Array, " d"]
    level: Float[Array, ""]
    channel: int = eqx.field(static=True)
    mesh_axes: Axes = eqx.field(static=True)
    offsets: Float[Array, " d"]

    def __init__(
        self,
        grid: Grid,
        position: Any,
        level: ArrayLike,
        channel: int = 0,
        mesh_axes: Axes = (),
        offsets: Float[Array, " d"] | None = None,
    ):
        d, given = grid.ndim, np.shape(position) or (1,)
        require(
            given == (d,),
            f"a position ({d},)",
            given,
            "pass 0.5 in one dimension, (0.5, 1.0) in two: one per axis",
        )
        places = position if np.ndim(position) else (position,)
        if offsets is None:
            rows = [grid.relative(places[k], k) for k in range(d)]
            offsets = jnp.stack(rows)
        self.grid = grid
        self.position = jnp.stack([number(place) for place in places])
        self.level = number(level)
        self.channel = channel
        self.mesh_axes = mesh_axes
        self.offsets = offsets

    def __call__(self, u: Float[Array, "c *x"], t: ArrayLike) -> Scalar:
        value = u[self.channel]
        names = self.mesh_axes or (None,) * self.grid.ndim
        # Axis after axis: the state at the sensor's coordinate.
        for axis, name in enumerate(names):
            x, gaps = self.grid.offsets(axis), self.grid.gaps(axis)
            at = self.offsets[axis]
            k = jnp.clip(jnp.searchsorted(x, at) - 1, 0, x.shape[0] - 2)
            share = ((at - x[k]) / gaps[k]).astype(u.dtype)
            before = _entry(value, k, name)
            after = _entry(value, k + 1, name)
            value = (1 - share) * before + share * after
        divided = tuple(name for name in names if name is not None)
        value = jax.lax.psum(value, divided) if divided else value
        return value - self.level.astype(u.dtype)

    def on_block(self, cut: Any) -> "Arrival":
        """The condition on a part of the grid; see `physcon.parallel.domain`."""
        return replace(self, mesh_axes=cut.axes)


def _entry(values: Array, k: Array, mesh_axis: str | None) -> Array:
    """Entry k of the first axis; zero on the devices that do not hold it."""
    if mesh_axis is None:
        return values[k]
    n = values.shape[0]
    k = k - jax.lax.axis_index(mesh_axis) * n
    return jnp.where((k >= 0) & (k < n), values[jnp.clip(k, 0, n - 1)], 0)


class Bracket(NamedTuple):
    """The step that contains the first event.

    Attributes:
        found: whether there is one.
        valid: whether g was a number after every step so far.
        u: the state before the step.
        origin, t: the time before the step is their sum.
        dt: the length of the step.
        g: the values of the condition before and after the step.
    """

    found: Array
    valid: Array
    u: Array
    origin: Array
    t: Array
    dt: Array
    g: tuple[Array, Array]


def no_bracket(condition: Condition, u: Array, start: Array) -> Bracket:
    """The bracket at the start, with the value whose sign must change."""
    g = condition(u, start)
    require(
        jnp.shape(g) == (),
        "an event(u, t) that returns a scalar",
        f"shape {jnp.shape(g)}",
        "reduce it, e.g. by jnp.max",
    )
    valid = ~jnp.isnan(g)
    zero = jnp.zeros_like(start)
    return Bracket(jnp.zeros((), bool), valid, u, start, zero, zero, (g, g))


def watch(
    condition: Condition, bracket: Bracket, origin: Array, old: tuple, new: tuple
) -> Bracket:
    """The bracket after a step from `old` to `new`, both (u, t), t since `origin`."""
    (u, t), (u_new, t_new) = old, new
    before = bracket.g[1]
    g = condition(u_new, origin + t_new)
    crossed = ((before < 0) & (g >= 0)) | ((before > 0) & (g <= 0))
    latest = Bracket(crossed, bracket.valid, u, origin, t, t_new - t, (before, g))
    kept = jax.tree.map(lambda a, b: jnp.where(bracket.found, a, b), bracket, latest)
    return kept._replace(valid=bracket.valid & ~jnp.isnan(g))


def locate(
    condition: Condition, step: Callable[[Array, Array, Array], Array], bracket: Bracket
) -> Event:
    """The event within its bracket; `step(u, t, dt)` is the scheme's step.

    The root s is found on constants, by the Illinois variant of regula falsi. Its
    derivatives follow from Newton steps on the implicit equation, ds = -dg/g'.

    Source: Dowell and Jarratt, BIT 11 (1971) 168 (Illinois).
    """

    def at(s: Array) -> tuple[Array, Array]:
        u = step(bracket.u, bracket.origin + bracket.t, s)
        return u, condition(u, bracket.origin + (bracket.t + s))

    dt, g_low, g_high = jax.lax.stop_gradient((bracket.dt, *bracket.g))
    # The search takes no derivatives, not even by arrays inside `condition` and `step`.
    g, arrays = jax.closure_convert(lambda s: at(s)[1], dt)
    arrays = jax.lax.stop_gradient(arrays)
    resolution = 2 * jnp.finfo(dt.dtype).eps * (jax.lax.stop_gradient(bracket.t) + dt)
    rising = g_high > g_low

    def pending(state: tuple) -> Array:
        (low, high), _, _, _, residual, count = state
        return (high - low > resolution) & (residual != 0) & (count < ITERATIONS)

    def narrow(state: tuple) -> tuple:
        (low, high), (g_low, g_high), side, _, _, count = state
        s = (low * g_high - high * g_low) / (g_high - g_low)
        # Bisect where rounding, or 0/0, leads outside of the bracket.
        s = jnp.where((s > low) & (s < high), s, 0.5 * (low + high))
        found = g(s, *arrays)
        later = (found < 0) == rising  # the event is later than s
        g_high = jnp.where(later & (side > 0), 0.5 * g_high, g_high)
        g_low = jnp.where(~later & (side < 0), 0.5 * g_low, g_low)
        ends = jnp.where(later, s, low), jnp.where(later, high, s)
        values = jnp.where(later, found, g_low), jnp.where(later, g_high, found)
        side = jnp.where(later, 1, -1).astype(side.dtype)
        return ends, values, side, s, found, count + 1

    zero = jnp.zeros((), jnp.int32)
    start = (jnp.zeros_like(dt), dt), (g_low, g_high), zero, dt, g_high, zero
    s = jax.lax.stop_gradient(jax.lax.while_loop(pending, narrow, start)[3])

    def follow(carry: tuple[Array, Array], _: None) -> tuple[tuple, None]:
        """A Newton step that changes no value: each doubles the derivatives' order."""
        s = carry[0]
        (u, residual), (_, slope) = jax.jvp(at, (s,), (jnp.ones_like(s),))
        missed = jax.lax.stop_gradient(residual) - residual
        return (s + missed / jnp.where(bracket.found, slope, 1), u), None

    # The third step's u is at a time with right first, second and third derivatives.
    (s, u), _ = jax.lax.scan(follow, (s, bracket.u), None, length=3)
    nothing = jnp.asarray(jnp.nan, u.dtype)
    return Event(
        bracket.found,
        jnp.where(bracket.found, bracket.origin + (bracket.t + s), nothing),
        jnp.where(bracket.found, u, nothing),
    )
