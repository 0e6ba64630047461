"""What a solve returns, and how it can end."""

import equinox as eqx

from physcon._status import Outcome, code, settle
from physcon._typing import Array, Float, Int, PyTree, Scalar
from physcon.fv.event import Event

#: What the numbers in `Solution.status` mean.
STATUS = {
    0: "finished",
    1: "a value became infinite or NaN; use a smaller CFL number or a limiter",
    2: "a positive quantity (density, pressure, depth, conductivity) became negative; "
    "wrap the reconstruction in Positive, or use a smaller CFL number",
    3: "max_steps was reached; raise it",
    4: "the time step fell below the resolution of time; the solution blows up",
    5: "stopped by the event, as asked",
    6: "a step exceeded the stability limit of the explicit method; lower cfl or dt, "
    "or use an implicit step for diffusion",
    7: "the times do not increase from the start, or coincide once rounded; sort them, "
    "or solve in float64",
}
_CODES = {
    "good": 0,
    "not_finite": 1,
    "inadmissible": 2,
    "max_steps": 3,
    "stalled": 4,
    "stopped": 5,
    "unstable": 6,
    "unordered_times": 7,
}
_MESSAGES = {name: STATUS[number] for name, number in _CODES.items()}


class Solution(eqx.Module):
    """States at the saved times.

    Attributes:
        times: the saved times, ``(k,)``.
        u: the states, ``(k, c, *x)``; NaN after a failure, or after the event that
            stopped the run. The states of an unstable run are kept.
        steps: number of time steps taken.
        outcome: how the run ended; see `physcon.Outcome`.
        t: the time reached: the last saved time, or the time of the failure or of the
            event.
        event: when the condition `event` of `solve` changed its sign.
    """

    times: Float[Array, " k"]
    u: Float[Array, "k c *x"]
    steps: Int[Array, ""]
    outcome: Outcome
    t: Scalar
    event: Event | None = None

    @property
    def status(self) -> Int[Array, "*batch"]:
        """The outcome as a number: see `STATUS`."""
        return code(self.outcome, _CODES)


def settled(solution: Solution, inputs: PyTree, throw: bool) -> Solution:
    """The solution, none of whose values can be used unnoticed after a failure.

    Under `throw` using any of its arrays raises the sentence of `STATUS`. Otherwise its
    derivatives by all arrays of `inputs` are NaN after a failure, even where the state
    of a failed run no longer depends on them.
    """
    return settle(solution, solution.outcome, throw, _MESSAGES, inputs)
