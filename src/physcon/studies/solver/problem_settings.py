"""Settings of a problem of `physcon solve`: law, grid, sides and initial state."""

from dataclasses import dataclass, field
from typing import Literal

from physcon._checks import require
from physcon.studies.ranges import judge, setting

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
    """Equal cells on a box, or the cells of a mesh file.

    A box has one entry per axis, so their number is the dimension.

    Attributes:
        lower: lower end of every axis.
        upper: upper end of every axis.
        cells: number of cells on every axis.
        path: mesh file (gmsh, VTK, UGRID, ...) in place of a box; its boundary patches
            are named in `patches`.
    """

    lower: Numbers = setting((0.0,), entries=1)
    upper: Numbers = setting((1.0,), entries=1)
    cells: tuple[int, ...] = setting((200,), at_least=1, entries=1)
    path: str | None = None

    def __post_init__(self):
        judge(self)
        require(
            all(a < b for a, b in zip(self.lower, self.upper, strict=False)),
            "grid.lower below grid.upper on every axis",
            f"{self.lower} and {self.upper}",
            "change one of the two",
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
            "set a or b",
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
