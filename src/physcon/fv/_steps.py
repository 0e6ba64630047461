"""One time step of a run: its length, the new state, its outcome and its event."""

from typing import NamedTuple

import jax.numpy as jnp

from physcon._status import Outcome, choose, worse
from physcon._typing import Array, Scalar
from physcon.fv._clock import Clock
from physcon.fv._sound import crossed
from physcon.fv.event import Bracket, Condition, watch
from physcon.fv.problem import Problem
from physcon.fv.unstructured import MeshProblem


class Run(NamedTuple):
    """When to save, and how long a step may be, in the dtype of the state."""

    clock: Clock
    cfl: Scalar
    dt: Scalar | None


class State(NamedTuple):
    """A run at time `origin` + `t`; `unstable`: some step was too long."""

    u: Array
    origin: Scalar
    t: Scalar
    steps: Array
    outcome: Outcome
    unstable: Array
    bracket: Bracket | None


class Steps(NamedTuple):
    """Everything that is the same in all steps of a run.

    Attributes:
        stop: whether the event ends the run.
        seams: mesh axes of devices that divide the grid.
        limit: the stability limit of the method, where it has one.
    """

    problem: Problem | MeshProblem
    run: Run
    event: Condition | None
    stop: bool
    seams: tuple[str, ...]
    limit: Array | float | None

    def cleaned(self, u: Array) -> Array:
        """The state without what the law cannot carry."""
        hyperbolic = self.problem.law.hyperbolic
        return u if hyperbolic is None else hyperbolic.cleaned(u)

    def step(self, u: Array, t: Scalar, dt: Scalar) -> Array:
        """The state after a step."""
        new = self.problem.scheme.step(self.problem, u, t, dt)
        return self.cleaned(new.astype(u.dtype))

    def rate(self, state: State) -> Scalar:
        """Cells (and diffusive limits) that are crossed per unit of time."""
        return crossed(self.problem, state.u, state.origin + state.t, self.seams)

    def advance(self, state: State, end: Scalar) -> State:
        """One step, not beyond `end` since the origin."""
        run = self.run
        speed = self.rate(state)
        size = run.cfl / speed if run.dt is None else run.dt
        t = jnp.minimum(state.t + size, end)
        moved = t > state.t
        if run.dt is not None:  # a fixed step that would be lost in the end time
            moved = moved & (end - run.dt < end)
        sound = jnp.isfinite(speed)
        outcome = choose((~sound, Outcome.not_finite), (~moved, Outcome.stalled))
        good = sound & moved
        t = jnp.where(good, t, state.t)
        # The step as the clock counts it: rounded steps add up to the saved times.
        taken = t - state.t
        new = self.step(state.u, state.origin + state.t, taken)
        u = jnp.where(good, new, state.u)
        unstable = state.unstable
        if self.limit is not None:
            unstable = unstable | (taken * speed > 1.01 * self.limit)
        bracket = state.bracket
        if self.event is not None and bracket is not None:
            old = (state.u, state.t)
            bracket = watch(self.event, bracket, state.origin, old, (u, t))
            happened = choose(
                (~bracket.valid, Outcome.not_finite),
                (bracket.found & self.stop, Outcome.stopped),
            )
            outcome = worse(outcome, happened)
        return State(u, state.origin, t, state.steps + 1, outcome, unstable, bracket)
