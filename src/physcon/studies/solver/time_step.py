"""The time step of a solution whose settings leave it open."""

from typing import Any, NamedTuple

from physcon import fv
from physcon.studies.solver.settings import SolveConfig, StepName

#: The CFL number of each step where the settings give none. MUSCL-Hancock is stable up
#: to 1; SSP Runge-Kutta steps keep extrema up to 0.5 for limited linear states.
_CFL: dict[StepName, float] = {"hancock": 0.9}


class TimeStep(NamedTuple):
    """The step that a solution takes.

    Attributes:
        name: of the step.
        cfl: the CFL number.
        why_not_hancock: what excludes MUSCL-Hancock, or None.
        chosen: whether the settings left the step open.
    """

    name: StepName
    cfl: float
    why_not_hancock: str | None
    chosen: bool

    def sentence(self) -> str:
        """The choice, for the output of a run."""
        if not self.chosen:
            return f"time step: {self.name}, CFL number {self.cfl:g}"
        reason = "" if self.why_not_hancock is None else f", as {self.why_not_hancock}"
        return (
            f"time step: {self.name}, CFL number {self.cfl:g} (scheme.step is not set"
            f"{reason})"
        )


def time_step(config: SolveConfig, law: Any) -> TimeStep:
    """The step in the settings, else hancock where it applies, else ssp_rk3."""
    settings = config.scheme
    obstacle = _obstacle(config, law)
    chosen: StepName = "hancock" if obstacle is None else "ssp_rk3"
    name = settings.step or chosen
    cfl = settings.cfl or _CFL.get(name, 0.45)
    return TimeStep(name, cfl, obstacle, settings.step is None)


def _obstacle(config: SolveConfig, law: Any) -> str | None:
    """What excludes MUSCL-Hancock: the first of the reasons that holds."""
    scheme = config.scheme
    sides = config.sides
    kinds = {side.kind for side in (sides.left, sides.right, sides.bottom, sides.top)}
    reasons = {
        "the cells form a mesh": config.grid.path is not None,
        "the law has diffusion": law.diffusion is not None,
        "the law has a bed": isinstance(law, fv.ShallowWater) and law.bed,
        "the reconstruction is not muscl": scheme.reconstruction != "muscl",
        "scheme.positive is true": scheme.positive,
        "scheme.dt is set": scheme.dt is not None,
        "a side gives a derivative": bool(kinds & {"neumann", "robin"}),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)
