"""Settings of `physcon solve`: equation, grid, sides, scheme and initial state."""

from dataclasses import dataclass, field
from typing import Literal

from physcon._checks import require
from physcon.studies.ranges import judge, seed, setting
from physcon.studies.solver.problem_settings import (
    GridSettings,
    InitialSettings,
    LawSettings,
    SideSettings,
    SidesSettings,
)

StepName = Literal[
    "euler",
    "ssp_rk2",
    "ssp_rk3",
    "ssp_rk43",
    "hancock",
    "implicit_euler",
    "sdirk2",
    "strang",
]
#: Steps without a stability limit, which need a fixed dt.
IMPLICIT: tuple[StepName, ...] = ("implicit_euler", "sdirk2")
#: The largest stable CFL number relative to forward Euler, which is the SSP
#: coefficient.
LARGEST_CFL: dict[StepName, float] = {"ssp_rk43": 2.0}


@dataclass(frozen=True)
class SchemeSettings:
    """The finite-volume method.

    Attributes:
        reconstruction: reconstruction of the face states.
        limiter: slope limiter of muscl. On a mesh it is multidimensional (also meant by
            mc there), venkatakrishnan or barth_jespersen.
        variables: the variables that are reconstructed.
        positive: keep density, pressure and depth positive (`physcon.fv.Positive`).
        riemann: Riemann solver; None means hllc for gas and water, and godunov for
            scalar laws.
        step: time step; strang splits advection and diffusion, and implicit steps are
            for diffusion. None means hancock for waves without diffusion or bed, on a
            grid with muscl, without positive, dt and derivatives at the sides; and
            ssp_rk3 elsewhere.
        cfl: cells (and diffusive limits) crossed per step; at most 1, or 2 with
            ssp_rk43. None means 0.9 with hancock, and 0.45 with other steps.
        dt: fixed step instead of the CFL number; required by the implicit steps.
        max_steps: largest number of steps between two snapshots.
    """

    reconstruction: Literal["constant", "muscl", "weno3", "weno5", "weno7"] = "muscl"
    limiter: Literal[
        "minmod",
        "van_leer",
        "mc",
        "superbee",
        "koren",
        "multidimensional",
        "venkatakrishnan",
        "barth_jespersen",
    ] = "mc"
    variables: Literal["primitive", "conservative", "characteristic"] = "primitive"
    positive: bool = False
    riemann: Literal["rusanov", "hll", "hllc", "roe", "godunov"] | None = None
    step: StepName | None = None
    cfl: float | None = setting(None, above=0)
    dt: float | None = setting(None, above=0)
    max_steps: int = setting(100_000, at_least=1)

    def __post_init__(self):
        judge(self)
        step = self.step or "ssp_rk3"
        largest = LARGEST_CFL.get(step, 1.0)
        require(
            self.cfl is None or step in IMPLICIT or self.cfl <= largest,
            f"a scheme.cfl of at most {largest:g} with {self.step or 'this step'}",
            self.cfl,
            "lower it: larger steps are unstable",
        )


@dataclass(frozen=True)
class SolveConfig:
    """One solution of one equation.

    Attributes:
        law: the equation.
        grid: the cells.
        sides: the boundary conditions of a box.
        patches: the boundary conditions of a mesh, by the names of its patches;
            derivatives and fluxes are along the outward normal.
        scheme: the method.
        initial: the initial state.
        start: first time.
        end: last time.
        snapshots: number of equal intervals between them; the initial state is kept as
            well.
        dtype: floating-point type.
        seed: seed of random initial states.
        figure: draw the solution at the end.
        animation: draw the solution over time at the end.
    """

    law: LawSettings = field(default_factory=LawSettings)
    grid: GridSettings = field(default_factory=GridSettings)
    sides: SidesSettings = field(default_factory=SidesSettings)
    patches: dict[str, SideSettings] = field(default_factory=dict)
    scheme: SchemeSettings = field(default_factory=SchemeSettings)
    initial: InitialSettings = field(default_factory=InitialSettings)
    start: float = 0.0
    end: float = 1.0
    snapshots: int = setting(10, at_least=1)
    dtype: Literal["float32", "float64"] = "float32"
    seed: int = seed()
    figure: bool = True
    animation: bool = False

    def __post_init__(self):
        judge(self)
        require(
            self.end > self.start,
            f"end > start = {self.start}",
            self.end,
            "raise end, or lower start",
        )
        require(
            self.scheme.step not in IMPLICIT or self.scheme.dt is not None,
            f"scheme.dt with {self.scheme.step}",
            "none",
            "set it: an implicit step has no limit of stability to choose it by",
        )
