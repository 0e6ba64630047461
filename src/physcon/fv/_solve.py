"""Integration in time: steps bounded by the CFL number, inside one compiled loop."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp

from physcon._checks import require_choice
from physcon._numerics.float64 import cast, floating
from physcon._status import Outcome, choose, worse
from physcon._typing import Array, ArrayLike, Scalar
from physcon._wide import wide_jit
from physcon.boundary import Boundary
from physcon.fv._clock import clock
from physcon.fv._loop import checkpointed_loop, while_loop
from physcon.fv._solution import STATUS as STATUS
from physcon.fv._solution import Solution as Solution
from physcon.fv._solution import settled
from physcon.fv._sound import require_sound, require_step_size, stability_limit
from physcon.fv._steps import Run as Run
from physcon.fv._steps import State, Steps
from physcon.fv.event import Condition, locate, no_bracket
from physcon.fv.problem import Problem
from physcon.fv.protocols import Source
from physcon.fv.scheme import DEFAULT, Scheme
from physcon.fv.stated import by_content, stated
from physcon.fv.unstructured import MeshProblem
from physcon.grid import Grid
from physcon.mesh import Mesh

Loop = Literal["while", "checkpointed"]
_LOOPS = {"while": while_loop, "checkpointed": checkpointed_loop}


def solve(
    u: ArrayLike,
    law: Any,
    grid: Grid | Mesh,
    boundary: Boundary | Mapping[str, Any],
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
    loop: Loop = "while",
    throw: bool = True,
) -> Solution:
    """Integrate cell averages from `start` and save them at `times`.

    Args:
        u: initial cell averages.
        law, grid, boundary, scheme, source: as in `tendency`. On a `Mesh` the boundary
            maps the name of every patch to its condition.
        times: increasing, ``(k,)``; steps are shortened to meet them exactly.
        start: the initial time. Time is counted from it, so that it may be large.
        cfl: a step times `rate`; below 1 for MUSCL with SSP-RK, below 0.5 where
            positivity or a maximum principle is wanted.
        dt: a fixed step in place of one from `cfl`, e.g. for `implicit_euler`.
        event: ``event(u, t)``, a scalar: its first change of sign is found to rounding
            and reported in `Solution.event`; see `Arrival`. To differentiate by arrays
            that it holds, make it an `equinox.Module`.
        stop: whether to stop at the event, or only to report it.
        max_steps: between two saved times.
        loop: ``"while"`` is the fast one (forward-mode derivatives only);
            ``"checkpointed"`` allows `jax.grad` in memory of O(sqrt(max_steps)) states,
            by computing the forward pass again in chunks. Both take the same steps.
        throw: whether using a failed solution raises. If not, look at
            `Solution.outcome`; derivatives of a failed solution are NaN.

    Shapes: u ``(c, *x)`` on the grid, ``(c, cells)`` on a mesh; the result
    ``(k, c, *x)``.

    Raises:
        ValueError: a state off the grid, or a setting that is known to be impossible:
            times before the start, a step beyond the stability limit of an explicit
            method, a boundary value or cell width that is not finite.
        RuntimeError: at run time under `throw`, for every other failure; see `STATUS`.
    """
    u = floating(u)
    problem = stated(law, grid, boundary, scheme, source)
    run = prepared_run(problem, u, times, start, cfl, dt)
    problem, event = by_content(problem, event, u)
    solution = integrate(problem, u, run, event, stop, max_steps, loop)
    return settled(solution, (problem, u, run, event), throw)


def prepared_run(
    problem: Problem | MeshProblem,
    u: Array,
    times: ArrayLike | Sequence[ArrayLike],
    start: ArrayLike,
    cfl: ArrayLike,
    dt: ArrayLike | None,
) -> Run:
    """The arguments of `solve`, checked as far as their values are known."""
    problem.require_state(u)
    require_sound(problem)
    require_step_size(problem, cfl, dt)
    size = None if dt is None else jnp.asarray(dt, u.dtype)
    return Run(clock(times, start, u.dtype), jnp.asarray(cfl, u.dtype), size)


@wide_jit
def integrate(
    problem: Problem | MeshProblem,
    u: Array,
    run: Run,
    event: Condition | None,
    stop: bool,
    max_steps: int,
    loop: str,
) -> Solution:
    """The compiled part of `solve`: no failure raises here."""
    require_choice(loop, Loop, "loop")
    problem = cast(problem, u.dtype)
    start = run.clock.start
    seams = problem.boundary.seams()
    steps = Steps(problem, run, event, stop, seams, stability_limit(problem))

    def until(state: State, interval: tuple) -> tuple[State, Array]:
        end, time = interval
        limit = state.steps + max_steps

        def pending(s: State) -> Array:
            return (s.outcome == Outcome.good) & (s.t < end) & (s.steps < limit)

        repeat = _LOOPS[loop]
        state = repeat(pending, lambda s: steps.advance(s, end), state, max_steps)
        found = choose(
            (~jnp.isfinite(steps.rate(state)), Outcome.not_finite),
            (state.t < end, Outcome.max_steps),
        )
        good = state.outcome == Outcome.good
        outcome = Outcome.where(good, found, state.outcome)
        done = outcome == Outcome.good
        origin = jnp.where(done, time, state.origin)
        t = jnp.where(done, 0, state.t)
        state = state._replace(outcome=outcome, origin=origin, t=t)
        # A product, not a selection, which would hide a failure from derivatives.
        kept = jnp.where(outcome == Outcome.good, 1, jnp.nan).astype(u.dtype)
        return state, state.u * kept

    u = steps.cleaned(u)
    zero = jnp.zeros((), jnp.int32)
    bracket = None if event is None else no_bracket(event, u, start)
    outcome = choose((~run.clock.is_ordered(), Outcome.unordered_times))
    if bracket is not None:
        outcome = worse(outcome, choose((~bracket.valid, Outcome.not_finite)))
    at_start = jnp.zeros_like(start)
    first = State(u, start, at_start, zero, outcome, jnp.zeros((), bool), bracket)
    last, saved = jax.lax.scan(until, first, (run.clock.lengths, run.clock.times))
    reached = last.origin + last.t
    outcome = _explained(problem, last, reached, seams)
    times = run.clock.times
    if event is None or last.bracket is None:
        return Solution(times, saved, last.steps, outcome, reached)
    found = locate(event, lambda *x: steps.step(*x), last.bracket)
    reached = jnp.where(last.outcome == Outcome.stopped, found.t, reached)
    return Solution(times, saved, last.steps, outcome, reached, found)


def _explained(
    problem: Problem | MeshProblem, last: State, t: Scalar, seams: tuple[str, ...]
) -> Outcome:
    """The outcome of a run, with the cause of a state that is not sound."""
    now = problem.at(last.u, t)
    finite = ~_anywhere(~jnp.isfinite(last.u), seams)
    faulty = _anywhere(~now.admissible(last.u, seams), seams)
    negative = (last.outcome == Outcome.not_finite) & finite & faulty
    outcome = Outcome.where(negative, Outcome.inadmissible, last.outcome)
    return worse(outcome, choose((last.unstable, Outcome.unstable)))


def _anywhere(wrong: Array, seams: tuple[str, ...]) -> Array:
    """Whether something is wrong in any cell of any block."""
    found = jnp.any(wrong)
    return jax.lax.pmax(found.astype(jnp.int32), seams) > 0 if seams else found
