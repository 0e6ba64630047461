"""Settings of `physcon solve`: one equation, its grid, sides, scheme and initial state."""

from dataclasses import dataclass, field
from typing import Literal

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


@dataclass(frozen=True)
class LawSettings:
    """The equation. A parameter that it does not have is refused; None is its own
    default.

    Attributes: name: which one. velocity: of advection, one number per axis.
        free_speed, jam_density: of traffic. mobility_ratio: of Buckley and Leverett's
        two-phase flow. gravity: of shallow water. bed: of shallow water: the last
        variable of a state is the height of the bed. gamma: ratio of specific heats of
        the gas (Euler). conductivity: of heat. exponent: of the porous medium equation
        (pme), k = u^exponent. threshold, above, below: of Stefan's problem, k = above
        where u >= threshold, else below. face: mean of k at a face (pme, stefan), see
        `physcon.fv.diffusion`. viscosity: of advection, burgers, traffic,
        buckley_leverett: adds viscosity u_xx.
    """

    name: LawName = "burgers"
    velocity: Numbers | None = None
    free_speed: float | None = None
    jam_density: float | None = None
    mobility_ratio: float | None = None
    gravity: float | None = None
    bed: bool | None = None
    gamma: float | None = None
    conductivity: float | None = None
    exponent: float | None = None
    threshold: float | None = None
    above: float | None = None
    below: float | None = None
    face: Literal["integral", "arithmetic", "harmonic", "shock"] | None = None
    viscosity: float | None = None


@dataclass(frozen=True)
class GridSettings:
    """Equal cells on a box: one entry per axis, so their number is that of the
    dimensions.
    """

    lower: Numbers = (0.0,)
    upper: Numbers = (1.0,)
    cells: tuple[int, ...] = (200,)


@dataclass(frozen=True)
class SideSettings:
    """What holds on one side.

    Attributes:
        kind: the condition; periodic on both sides of an axis or on neither.
        value: dirichlet: the state in the variables of `initial`; neumann: the derivative along
            the axis, flux: the flux, robin: the right side, per conserved variable. One number
            stands for all variables.
        a, b: of robin, a u + b ∂u/∂x = value.
    """

    kind: SideKind = "outflow"
    value: Numbers = (0.0,)
    a: float = 1.0
    b: float = 1.0


@dataclass(frozen=True)
class SidesSettings:
    """All sides; bottom and top are those of the second axis."""

    left: SideSettings = field(default_factory=SideSettings)
    right: SideSettings = field(default_factory=SideSettings)
    bottom: SideSettings = field(default_factory=SideSettings)
    top: SideSettings = field(default_factory=SideSettings)


@dataclass(frozen=True)
class SchemeSettings:
    """The finite-volume method.

    Attributes:
        reconstruction: of the face states.
        limiter: of muscl.
        variables: what is reconstructed.
        positive: keep density, pressure, depth positive (`physcon.fv.Positive`).
        riemann: None: hllc for gas and water, godunov for scalar laws.
        step: strang splits advection and diffusion; implicit steps are for diffusion.
        cfl: cells (and diffusive limits) crossed per step.
        dt: fixed step instead of the CFL number; needed by the implicit steps.
        max_steps: between two snapshots.
    """

    reconstruction: Literal["constant", "muscl", "weno3", "weno5", "weno7"] = "muscl"
    limiter: Literal["minmod", "van_leer", "mc", "superbee", "koren"] = "mc"
    variables: Literal["primitive", "conservative", "characteristic"] = "primitive"
    positive: bool = False
    riemann: Literal["rusanov", "hll", "hllc", "roe", "godunov"] | None = None
    step: Literal[
        "euler",
        "ssp_rk2",
        "ssp_rk3",
        "ssp_rk43",
        "hancock",
        "implicit_euler",
        "sdirk2",
        "strang",
    ] = "ssp_rk3"
    cfl: float = 0.45
    dt: float | None = None
    max_steps: int = 100_000


@dataclass(frozen=True)
class InitialSettings:
    """The initial state: a family of `physcon.studies.solver.initial`, and what it
    takes.

    States are in primitive variables: (u), (depth, velocities), (density, velocities,
    pressure).

    Attributes:
        name: uniform, riemann, dam_break, disc, blast, quadrants, gaussian, sine, random,
            shock_entropy, barenblatt, or file.
        state: of uniform; the background of gaussian, sine and random.
        left, right: states of riemann; depths of dam_break.
        position: where they meet on the first axis; the corner of quadrants, one per axis.
        inside, outside: states of disc; pressures of blast.
        radius, centre: of disc and blast.
        states: of quadrants: upper right, upper left, lower left, lower right.
        amplitude: added to `state`, per variable, by gaussian, sine and random.
        width: of gaussian (standard deviation).
        waves: of sine, whole periods per axis; of random, the largest number.
        time: of barenblatt, since the point source.
        path: of file: .npz, .h5 or .nc with the conserved variables by name, on this grid.
    """

    name: InitialName = "riemann"
    state: Numbers | None = None
    left: Numbers | None = None
    right: Numbers | None = None
    position: Numbers | None = None
    inside: Numbers | None = None
    outside: Numbers | None = None
    radius: float | None = None
    centre: Numbers | None = None
    states: tuple[Numbers, Numbers, Numbers, Numbers] | None = None
    amplitude: Numbers | None = None
    width: float | None = None
    waves: tuple[int, ...] | None = None
    time: float | None = None
    path: str | None = None


@dataclass(frozen=True)
class SolveConfig:
    """One solution of one equation.

    Attributes:
        start, end: times.
        snapshots: equal intervals between them; the initial state is kept as well.
        seed: of random initial states.
        figure, animation: what is drawn at the end.
    """

    law: LawSettings = field(default_factory=LawSettings)
    grid: GridSettings = field(default_factory=GridSettings)
    sides: SidesSettings = field(default_factory=SidesSettings)
    scheme: SchemeSettings = field(default_factory=SchemeSettings)
    initial: InitialSettings = field(default_factory=InitialSettings)
    start: float = 0.0
    end: float = 1.0
    snapshots: int = 10
    dtype: Literal["float32", "float64"] = "float32"
    seed: int = 0
    figure: bool = True
    animation: bool = False
