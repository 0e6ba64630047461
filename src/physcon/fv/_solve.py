"""Integration in time: steps bounded by the CFL number, inside one compiled loop."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, require
from physcon._mesh import largest
from physcon._numerics.float64 import cast, floating
from physcon._typing import Array, ArrayLike, Float, Int, Scalar
from physcon.boundary import Boundary
from physcon.fv.diffusion import Mixed
from physcon.fv.event import Bracket, Condition, Event, locate, no_bracket, watch
from physcon.fv.law import Law
from physcon.fv.semidiscrete import DEFAULT, Problem, Scheme, Source, rate
from physcon.grid import Grid

OK, NOT_FINITE, INADMISSIBLE, MAX_STEPS, STALLED, STOPPED = (
    np.int32(k) for k in range(6)
)
#: What the numbers in `Solution.status` mean.
STATUS = {
    0: "finished",
    1: "a value became infinite or NaN; use a smaller CFL number or a limiter",
    2: "a positive quantity (density, pressure, depth) became negative; wrap the "
    "reconstruction in Positive, or use a smaller CFL number",
    3: "max_steps was reached; raise it",
    4: "the time step fell below the resolution of time; the solution blows up",
    5: "stopped by the event, as asked",
}


class Solution(eqx.Module):
    """States at the saved times.

    Attributes: times: the saved times, ``(k,)``. u: the states, ``(k, c, *x)``; NaN
        after a failure, or after the event that stopped it. steps: time steps taken.
        status: 0, or why it stopped: see `STATUS`. t: the time reached: the last saved
        time, or the time of failure or of the event. event: when the condition `event`
        of `solve` changed its sign.
    """

    times: Float[Array, " k"]
    u: Float[Array, "k c *x"]
    steps: Int[Array, ""]
    status: Int[Array, ""]
    t: Scalar
    event: Event | None = None


class _State(NamedTuple):
    u: Array
    t: Array
    steps: Array
    status: Array
    bracket: Bracket | None


def solve(
    u: ArrayLike,
    law: Any,
    grid: Grid,
    boundary: Boundary,
    scheme: Scheme = DEFAULT,
    *,
    times: ArrayLike | Sequence[ArrayLike],
    start: ArrayLike = 0.0,
    cfl: ArrayLike = 0.45,
    dt: ArrayLike | None = None,
    source: Source | None = None,
    event: Condition | None = None,
    stop: bool = True,
    max_steps: int = 100_000,
    loop: Literal["while", "checkpointed"] = "while",
    throw: bool = True,
) -> Solution:
    """Integrate cell averages from `start` and save them at `times`.

    Args:
        u: initial cell averages.
        law, grid, boundary, scheme, source: as in `tendency`.
        times: increasing, ``(k,)``; steps are shortened to meet them.
        cfl: step times `rate`; below 1 for MUSCL with SSP-RK, below 0.5 where positivity or a
            maximum principle is wanted.
        dt: a fixed step instead, e.g. for `implicit_euler`.
        event: ``event(u, t)``, a scalar: its first change of sign is found to rounding and
            reported in `Solution.event`, see `Arrival`. To differentiate by arrays within it, make
            it an `equinox.Module`.
        stop: whether to stop there, or only to report it.
        max_steps: between two saved times.
        loop: ``"while"`` is the fast one (forward-mode derivatives only); ``"checkpointed"``
            allows `jax.grad` in memory of O(sqrt(max_steps)) states, by computing the forward
            pass three times. Both take the same steps.
        throw: raise where the solution fails; otherwise look at `Solution.status`.

    Shapes: u ``(c, *x)`` on the grid; the result ``(k, c, *x)``.
    Raises: ValueError for a state off the grid; at run time under `throw` for a failed
        status.
    """
    require(
        loop in ("while", "checkpointed"),
        "'while' or 'checkpointed'",
        repr(loop),
        "choose",
    )
    u = floating(u)
    times = increasing(times, u.dtype)
    start, cfl = jnp.asarray(start, u.dtype), jnp.asarray(cfl, u.dtype)
    dt = None if dt is None else jnp.asarray(dt, u.dtype)
    problem = cast(Problem(law, grid, boundary, scheme, source), u.dtype)
    solution = _solve(problem, u, times, start, cfl, dt, event, stop, max_steps, loop)
    return raise_failure(solution) if throw else solution


def increasing(
    times: ArrayLike | Sequence[ArrayLike], dtype: Any
) -> Float[Array, " k"]:
    """The times at which a solution is saved, checked as far as they have values."""
    times = jnp.asarray(times, dtype)
    require(times.ndim == 1, "a 1-D array of times", times.shape, "times=[t_end]")
    exact = concrete(times)
    if exact is not None:
        require(
            bool((exact[1:] > exact[:-1]).all()), "increasing times", times, "sort them"
        )
    return times


def raise_failure(solution: Solution) -> Solution:
    """The solution, or at run time an error that says what its status means."""
    messages = [STATUS[k] for k in sorted(STATUS)][1:]
    status = solution.status
    failed = (status != OK) & (status != STOPPED)
    saved = eqx.branched_error_if(
        solution.u, failed, jnp.maximum(status - 1, 0), messages
    )
    return eqx.tree_at(lambda s: s.u, solution, saved)


@eqx.filter_jit
def _solve(
    problem: Problem,
    u: Array,
    times: Array,
    start: Array,
    cfl: Array,
    dt: Array | None,
    event: Condition | None,
    stop: bool,
    max_steps: int,
    loop: str,
) -> Solution:
    seams = problem.boundary.seams()
    step = problem.scheme.step

    def advance(state: _State, end: Array) -> _State:
        """One step, not beyond `end`."""
        # max() passes NaN on: this one reduction finds the step and any inadmissible
        # state.
        crossed = largest(_rate_or_nan(problem, state.u, state.t), seams)
        size = cfl / crossed if dt is None else dt
        t = jnp.minimum(state.t + size, end)
        status = jnp.where(t > state.t, OK, STALLED)
        status = jnp.where(jnp.isfinite(crossed), status, NOT_FINITE)
        t = jnp.where(status == OK, t, state.t)
        # The step as the clock sees it: rounded steps add up to the very times that are
        # saved.
        u = step(problem, state.u, state.t, t - state.t)
        u, bracket = jnp.where(status == OK, u.astype(state.u.dtype), state.u), None
        if event is not None and state.bracket is not None:
            bracket = watch(event, state.bracket, (state.u, state.t), (u, t))
            status = jnp.where((status == OK) & bracket.found & stop, STOPPED, status)
        return _State(u, t, state.steps + 1, status, bracket)

    def until(state: _State, end: Array) -> tuple[_State, Array]:
        limit = state.steps + max_steps

        def pending(s: _State) -> Array:
            return (s.status == OK) & (s.t < end) & (s.steps < limit)

        repeat = _while if loop == "while" else _checkpointed
        state = repeat(pending, lambda s: advance(s, end), state, max_steps)
        sound = jnp.isfinite(largest(_rate_or_nan(problem, state.u, state.t), seams))
        status = jnp.where(state.t < end, MAX_STEPS, OK)
        status = jnp.where(sound, status, NOT_FINITE)
        state = state._replace(
            status=jnp.where(state.status == OK, status, state.status)
        )
        return state, jnp.where(state.status == OK, state.u, jnp.nan)

    zero = jnp.zeros((), jnp.int32)
    bracket = None if event is None else no_bracket(event, u, start)
    last, saved = jax.lax.scan(until, _State(u, start, zero, zero, bracket), times)
    wrong = (last.status == NOT_FINITE) & jnp.isfinite(largest(jnp.abs(last.u), seams))
    status = jnp.where(wrong, INADMISSIBLE, last.status)
    if event is None or last.bracket is None:
        return Solution(times, saved, last.steps, status, last.t)
    found = locate(event, lambda u, t, dt: step(problem, u, t, dt), last.bracket)
    reached = jnp.where(status == STOPPED, found.t, last.t)
    return Solution(times, saved, last.steps, status, reached, found)


def _rate_or_nan(problem: Problem, u: Array, t: Array) -> Array:
    """Cells crossed per unit time; NaN where the state is not admissible."""
    law, grid, boundary, scheme = problem.parts()
    hyperbolic = law.hyperbolic if isinstance(law, Mixed) else law
    finite = jnp.isfinite(u).all(axis=0)
    holds = hyperbolic.admissible(u) if isinstance(hyperbolic, Law) else finite
    # A step that treats a part of the law implicitly is limited by the rest.
    limiting = getattr(scheme.step, "limiting", lambda law: law)(law)
    return jnp.where(holds, rate(u, limiting, grid, boundary, t), jnp.nan)


def _while(
    pending: Callable, advance: Callable, state: _State, max_steps: int
) -> _State:
    return jax.lax.while_loop(pending, advance, state)


def _checkpointed(
    pending: Callable, advance: Callable, state: _State, max_steps: int
) -> _State:
    """The same loop as two nested scans of about sqrt(max_steps): only the states
    between chunks are kept, those within a chunk are computed again when its gradient
    is due.
    """
    length = math.isqrt(max(max_steps - 1, 0)) + 1
    stay = lambda s: s  # noqa: E731

    @jax.checkpoint
    def one(s: _State, _: None) -> tuple[_State, None]:
        return jax.lax.cond(pending(s), advance, stay, s), None

    def chunk_of_steps(s: _State) -> _State:
        return jax.lax.scan(one, s, None, length=length)[0]

    @jax.checkpoint
    def chunk(s: _State, _: None) -> tuple[_State, None]:
        return jax.lax.cond(pending(s), chunk_of_steps, stay, s), None

    return jax.lax.scan(chunk, state, None, length=-(-max_steps // length))[0]
