"""Events: when a condition on the solution, g(u, t), changes its sign.

A step that brackets the first change is remembered, and after the run the length s of
the step that leads to the event is found from g(step(u, t, s), t + s) = 0: not an
interpolation between saved states, but the scheme's own solution at that time.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._mesh import Axes
from physcon._typing import Array, ArrayLike, Bool, Float, Scalar
from physcon.fv.scalar import number
from physcon.grid import Grid

#: ``condition(u, t)``, a scalar whose sign changes at the event.
Condition = Callable[[Array, Scalar], Array]
#: Bisections and secant steps of the root; float64 needs a dozen.
ITERATIONS = 60


class Event(eqx.Module):
    """The first time at which the condition changed its sign.

    Attributes:
        found: whether it did.
        t: that time; NaN if it did not. Its derivatives are those of the implicit equation
            condition = 0.
        u: the state then; NaN if it did not.
    """

    found: Bool[Array, ""]
    t: Scalar
    u: Float[Array, "c *x"]


def _place(x: ArrayLike | tuple[float, ...]) -> Array:
    return jnp.atleast_1d(jnp.asarray(x, dtype=jnp.result_type(float)))


class Arrival(eqx.Module):
    """Condition of an event: a variable at a sensor crosses a level, from either side.

    u between cell centres is linear. With a shock or a front a level halfway up its
    jump gives the time at which it passes, to a fraction of a cell.

    Attributes:
        grid: where the state lives.
        position: of the sensor, one number per axis.
        level: the value to cross.
        channel: which variable.

    Shapes: position ``(d,)``; called with a state ``(c, *x)`` and a time it gives a
        scalar.
    """

    grid: Grid
    position: Float[Array, " d"] = eqx.field(converter=_place)
    level: Float[Array, ""] = eqx.field(converter=number)
    channel: int = eqx.field(static=True, default=0)
    #: Per axis the mesh axis that divides the states, inside `jax.shard_map`.
    mesh_axes: Axes = eqx.field(static=True, default=())

    def __check_init__(self) -> None:
        d = self.grid.ndim
        require(
            self.position.shape == (d,),
            f"a position ({d},)",
            self.position.shape,
            "one per axis",
        )

    def __call__(self, u: Float[Array, "c *x"], t: ArrayLike) -> Scalar:
        value = u[self.channel]
        names = self.mesh_axes or (None,) * self.grid.ndim
        # Axis after axis: the state at the sensor's coordinate, linear between
        # neighbours.
        for x, at, name in zip(
            self.grid.coordinates, self.position, names, strict=True
        ):
            k = jnp.clip(jnp.searchsorted(x, at) - 1, 0, x.shape[0] - 2)
            share = ((at - x[k]) / (x[k + 1] - x[k])).astype(u.dtype)
            value = (1 - share) * _entry(value, k, name) + share * _entry(
                value, k + 1, name
            )
        divided = tuple(name for name in names if name is not None)
        value = jax.lax.psum(value, divided) if divided else value
        return value - self.level.astype(u.dtype)

    def on_block(self, cut: Any) -> "Arrival":
        """The condition on a part of the grid; see `physcon.parallel.domain`."""
        return replace(self, mesh_axes=cut.axes)


def _entry(values: Array, k: Array, mesh_axis: str | None) -> Array:
    """Entry k of the first axis; of a divided one, zero on devices that don't hold it."""
    if mesh_axis is None:
        return values[k]
    n = values.shape[0]
    k = k - jax.lax.axis_index(mesh_axis) * n
    return jnp.where((k >= 0) & (k < n), values[jnp.clip(k, 0, n - 1)], 0)


class Bracket(NamedTuple):
    """The step within which the first event lies: from (u, t) over dt, g at both ends."""

    found: Array
    u: Array
    t: Array
    dt: Array
    g: tuple[Array, Array]


def no_bracket(condition: Condition, u: Array, t: Array) -> Bracket:
    """At the start: the value whose sign must change."""
    g = condition(u, t)
    return Bracket(jnp.zeros((), bool), u, t, jnp.zeros_like(t), (g, g))


def watch(condition: Condition, bracket: Bracket, old: tuple, new: tuple) -> Bracket:
    """The bracket after a step from `old` to `new`, both (u, t)."""
    (u, t), (u_new, t_new) = old, new
    before, g = bracket.g[1], condition(u_new, t_new)
    crossed = ((before < 0) & (g >= 0)) | ((before > 0) & (g <= 0))
    latest = Bracket(crossed, u, t, t_new - t, (before, g))
    return jax.tree.map(lambda a, b: jnp.where(bracket.found, a, b), bracket, latest)


def locate(
    condition: Condition, step: Callable[[Array, Array, Array], Array], bracket: Bracket
) -> Event:
    """The event within its bracket; `step(u, t, dt)` is the scheme's.

    The root s is found on constants, by the Illinois variant of regula falsi. Its
    derivative is that of the implicit equation, -g/g' with live arguments in g.

    Source: Dowell and Jarratt, BIT 11 (1971) 168 (Illinois).
    """

    def at(s: Array) -> tuple[Array, Array]:
        u = step(bracket.u, bracket.t, s)
        return u, condition(u, bracket.t + s)

    dt, g_low, g_high = jax.lax.stop_gradient((bracket.dt, *bracket.g))
    # Without its derivatives, also those by arrays within `condition` and `step`.
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
        # Outside of the bracket by rounding, or 0/0: bisect.
        s = jnp.where((s > low) & (s < high), s, 0.5 * (low + high))
        found = g(s, *arrays)
        later = (found < 0) == rising  # the event is later than s
        g_high = jnp.where(later & (side > 0), 0.5 * g_high, g_high)
        g_low = jnp.where(~later & (side < 0), 0.5 * g_low, g_low)
        ends = jnp.where(later, s, low), jnp.where(later, high, s)
        values = jnp.where(later, found, g_low), jnp.where(later, g_high, found)
        return (
            ends,
            values,
            jnp.where(later, 1, -1).astype(side.dtype),
            s,
            found,
            count + 1,
        )

    zero = jnp.zeros((), jnp.int32)
    start = (jnp.zeros_like(dt), dt), (g_low, g_high), zero, dt, g_high, zero
    s = jax.lax.stop_gradient(jax.lax.while_loop(pending, narrow, start)[3])

    (u, residual), rates = jax.jvp(at, (s,), (jnp.ones_like(s),))
    velocity, slope = jax.lax.stop_gradient(rates)
    change = (jax.lax.stop_gradient(residual) - residual) / jnp.where(
        bracket.found, slope, 1
    )
    nothing = jnp.asarray(jnp.nan, u.dtype)
    return Event(
        bracket.found,
        jnp.where(bracket.found, bracket.t + s + change, nothing),
        jnp.where(bracket.found, u + velocity * change, nothing),
    )
