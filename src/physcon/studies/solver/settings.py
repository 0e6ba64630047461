"""Settings of `physcon solve`: equation, grid, sides, scheme and initial state."""

from dataclasses import dataclass, field
from typing import Literal

from physcon._checks import require
from physcon.studies.ranges import judge, seed, setting

Numbers = tuple[float, ...]
LawName = Literal[
    "advection",
    "burgers",
    "traffic",
    "buckley_leverett",
    "shallow_water",
    "euler",
    "heat",
    "pme",
    "stefan",
]
InitialName = Literal[
    "uniform",
    "riemann",
    "dam_break",
    "disc",
    "blast",
    "quadrants",
    "gaussian",
    "sine",
    "random",
    "shock_entropy",
    "barenblatt",
    "file",
]
SideKind = Literal[
    "outflow", "reflective", "periodic", "dirichlet", "neumann", "robin", "flux"
]
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
class LawSettings:
    """The equation; a parameter that it does not have is refused.

    A parameter that is None takes the default of the equation.

    Attributes:
        name: name of the equation.
        velocity: velocity of advection, one number per axis.
        free_speed: speed of a single vehicle in traffic.
        jam_density: density at which traffic stands.
        mobility_ratio: mobility ratio of Buckley and Leverett's two-phase flow.
        gravity: gravity in shallow water.
        bed: whether the last variable of a shallow-water state is the height of the
            bed.
        gamma: ratio of specific heats of the gas (Euler).
        conductivity: conductivity of heat.
        exponent: exponent of the porous medium equation (pme), k = u^exponent.
        threshold: threshold of Stefan's problem: k = above where u >= threshold, else
            below.
        above: conductivity of Stefan's problem above the threshold.
        below: conductivity of Stefan's problem below the threshold.
        face: mean of k at a face (pme, stefan), see `physcon.fv.diffusion`.
        viscosity: viscosity of advection, burgers, traffic and buckley_leverett, which
            adds viscosity u_xx.
    """

    name: LawName = "burgers"
    velocity: Numbers | None = None
    free_speed: float | None = setting(None, above=0)
    jam_density: float | None = setting(None, above=0)
    mobility_ratio: float | None = setting(None, above=0)
    gravity: float | None = setting(None, above=0)
    bed: bool | None = None
    gamma: float | None = setting(None, above=1)
    conductivity: float | None = setting(None, at_least=0)
    exponent: float | None = setting(None, above=0)
    threshold: float | None = None
    above: float | None = setting(None, at_least=0)
    below: float | None = setting(None, at_least=0)
    face: Literal["integral", "arithmetic", "harmonic", "shock"] | None = None
    viscosity: float | None = setting(None, at_least=0)

    def __post_init__(self):
        judge(self)


@dataclass(frozen=True)
class GridSettings:
    """Equal cells on a box: one entry per axis, so their number is the dimension.

    Attributes:
        lower: lower end of every axis.
        upper: upper end of every axis.
        cells: number of cells on every axis.
    """

    lower: Numbers = setting((0.0,), entries=1)
    upper: Numbers = setting((1.0,), entries=1)
    cells: tuple[int, ...] = setting((200,), at_least=1, entries=1)

    def __post_init__(self):
        judge(self)
        require(
            all(a < b for a, b in zip(self.lower, self.upper, strict=False)),
            "grid.lower below grid.upper on every axis",
            f"{self.lower} and {self.upper}",
            "change one of them",
        )


@dataclass(frozen=True)
class SideSettings:
    """The condition on one side.

    Attributes:
        kind: the condition; it is periodic on both sides of an axis or on neither.
        value: the state in the variables of `initial` (dirichlet), the derivative along
            the axis (neumann), the flux (flux), or the right-hand side (robin), per
            conserved variable. One number stands for all variables.
        a: factor of u in robin, a u + b ∂u/∂x = value.
        b: factor of ∂u/∂x in robin, see `a`.
    """

    kind: SideKind = "outflow"
    value: Numbers = setting((0.0,), entries=1)
    a: float = 1.0
    b: float = 1.0

    def __post_init__(self):
        judge(self)
        require(
            self.kind != "robin" or self.a != 0 or self.b != 0,
            "a or b different from 0 on a robin side",
            "a = b = 0",
            "set one of them",
        )


@dataclass(frozen=True)
class SidesSettings:
    """All sides of the box.

    Attributes:
        left: lower end of the first axis.
        right: upper end of the first axis.
        bottom: lower end of the second axis.
        top: upper end of the second axis.
    """

    left: SideSettings = field(default_factory=SideSettings)
    right: SideSettings = field(default_factory=SideSettings)
    bottom: SideSettings = field(default_factory=SideSettings)
    top: SideSettings = field(default_factory=SideSettings)


@dataclass(frozen=True)
class SchemeSettings:
    """The finite-volume method.

    Attributes:
        reconstruction: reconstruction of the face states.
        limiter: slope limiter of muscl.
        variables: the variables that are reconstructed.
        positive: keep density, pressure and depth positive (`physcon.fv.Positive`).
        riemann: Riemann solver; None means hllc for gas and water, and godunov for
            scalar laws.
        step: time step; strang splits advection and diffusion, and implicit steps are
            for diffusion.
        cfl: cells (and diffusive limits) crossed per step; at most 1, or 2 with
            ssp_rk43.
        dt: fixed step instead of the CFL number; required by the implicit steps.
        max_steps: largest number of steps between two snapshots.
    """

    reconstruction: Literal["constant", "muscl", "weno3", "weno5", "weno7"] = "muscl"
    limiter: Literal["minmod", "van_leer", "mc", "superbee", "koren"] = "mc"
    variables: Literal["primitive", "conservative", "characteristic"] = "primitive"
    positive: bool = False
    riemann: Literal["rusanov", "hll", "hllc", "roe", "godunov"] | None = None
    step: StepName = "ssp_rk3"
    cfl: float = setting(0.45, above=0)
    dt: float | None = setting(None, above=0)
    max_steps: int = setting(100_000, at_least=1)

    def __post_init__(self):
        judge(self)
        largest = LARGEST_CFL.get(self.step, 1.0)
        require(
            self.step in IMPLICIT or self.cfl <= largest,
            f"a scheme.cfl of at most {largest:g} with {self.step}",
            self.cfl,
            "lower it: larger steps are unstable",
        )


@dataclass(frozen=True)
class InitialSettings:
    """The initial state: a family of `physcon.studies.solver.initial`, and its options.

    States are in primitive variables: (u), (depth, velocities), (density, velocities,
    pressure).

    Attributes:
        name: uniform, riemann, dam_break, disc, blast, quadrants, gaussian, sine,
            random, shock_entropy, barenblatt, or file.
        state: state of uniform; background of gaussian, sine and random.
        left: left state of riemann; left depth of dam_break.
        right: right state of riemann; right depth of dam_break.
        position: position on the first axis at which the two states meet; for quadrants
            the corner, one number per axis.
        inside: state inside of disc; pressure inside of blast.
        outside: state outside of disc; pressure outside of blast.
        radius: radius of disc and blast.
        centre: centre of disc, blast, gaussian and barenblatt.
        states: states of quadrants: upper right, upper left, lower left, lower right.
        amplitude: amplitude added to `state`, per variable, by gaussian, sine and
            random.
        width: standard deviation of gaussian.
        waves: whole periods per axis of sine; largest number of periods of random.
        time: time of barenblatt since the point source.
        path: .npz, .h5 or .nc file with the conserved variables by name, on this grid.
    """

    name: InitialName = "riemann"
    state: Numbers | None = None
    left: Numbers | None = None
    right: Numbers | None = None
    position: Numbers | None = None
    inside: Numbers | None = None
    outside: Numbers | None = None
    radius: float | None = setting(None, above=0)
    centre: Numbers | None = None
    states: tuple[Numbers, Numbers, Numbers, Numbers] | None = None
    amplitude: Numbers | None = None
    width: float | None = setting(None, above=0)
    waves: tuple[int, ...] | None = setting(None, at_least=0)
    time: float | None = setting(None, above=0)
    path: str | None = None

    def __post_init__(self):
        judge(self)


@dataclass(frozen=True)
class SolveConfig:
    """One solution of one equation.

    Attributes:
        law: the equation.
        grid: the cells.
        sides: the boundary conditions.
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
