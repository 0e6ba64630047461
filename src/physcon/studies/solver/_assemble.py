"""Build a problem of `physcon.fv` and its initial cell averages from settings."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon import boundary as bc
from physcon import fv
from physcon._checks import require
from physcon._numerics.float64 import cast
from physcon._typing import Array, Float
from physcon.grid import Grid
from physcon.mesh import Mesh
from physcon.studies.solver import on_mesh
from physcon.studies.solver.equations import Equation, equation, is_scalar
from physcon.studies.solver.initial_averages import (
    Averages,
    conservative,
    initial_averages,
)
from physcon.studies.solver.problem_settings import SideSettings
from physcon.studies.solver.settings import SchemeSettings, SolveConfig
from physcon.studies.solver.time_step import TimeStep, time_step

_STEPS = {
    "euler": fv.forward_euler,
    "ssp_rk2": fv.ssp_rk2,
    "ssp_rk3": fv.ssp_rk3,
    "ssp_rk43": fv.ssp_rk43,
    "hancock": fv.muscl_hancock,
    "implicit_euler": fv.implicit_euler,
    "sdirk2": fv.sdirk2,
    "strang": fv.Strang(),
}
_RIEMANN = {f.__name__: f for f in (fv.rusanov, fv.hll, fv.hllc, fv.roe, fv.godunov)}


class Setup(NamedTuple):
    """The problem that is solved, its variables, and its initial state.

    Attributes:
        averages: a function that computes any block, so that no device needs to hold
            the whole field.
        time_step: the step and its CFL number, and how they were chosen.
    """

    problem: fv.Problem | fv.MeshProblem
    equation: Equation
    averages: Averages
    time_step: TimeStep

    @property
    def mesh(self) -> Mesh | None:
        """The mesh, or None on a grid."""
        grid = self.problem.grid
        return grid if isinstance(grid, Mesh) else None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a field: of the grid, or the number of cells."""
        grid = self.problem.grid
        return (grid.size,) if isinstance(grid, Mesh) else grid.shape

    @property
    def state(self) -> jax.ShapeDtypeStruct:
        """The shape and precision of a state."""
        grid = self.problem.grid
        like = grid.volume if isinstance(grid, Mesh) else grid.coordinates[0]
        shape = len(self.equation.conserved), *self.shape
        return jax.ShapeDtypeStruct(shape, like.dtype)

    @property
    def u(self) -> Float[Array, "c *x"]:
        """The whole initial state, on one device."""
        return jnp.asarray(self.averages((slice(None),) * len(self.shape)))


def assemble(config: SolveConfig) -> Setup:
    """Build cells, law, sides, scheme and initial averages, in the ambient precision.

    Raises:
        ValueError: for settings that do not fit each other.
    """
    require(
        config.end > config.start,
        "end > start",
        f"{config.start}, {config.end}",
        "swap start and end",
    )
    require(
        config.snapshots >= 1,
        "1 or more snapshots",
        config.snapshots,
        "pass a positive number of snapshots",
    )
    if config.grid.path is not None:
        return _on_mesh(config)
    require(
        not config.patches,
        "`sides` for a box",
        f"`patches` {', '.join(config.patches)}",
        "set grid.path to a mesh file, or use sides.left, sides.right, ...",
    )
    g = config.grid
    sizes = {len(g.lower), len(g.upper), len(g.cells)}
    dimensions = len(g.cells)
    require(
        sizes <= {1} or sizes <= {2},
        "one or two axes, the same number in grid.lower, upper and cells",
        f"{g.lower}, {g.upper}, {g.cells}",
        "pass one entry for each axis",
    )
    grid = Grid.uniform(g.lower, g.upper, g.cells)
    found = equation(config.law, dimensions)
    step = time_step(config, found.law)
    problem = fv.Problem(
        found.law,
        grid,
        _boundary(config, found, dimensions),
        _scheme(config, found.law, step, _reconstruction(config.scheme)),
    )
    averages = initial_averages(config, problem, found)
    averages(
        (slice(1),) * dimensions
    )  # one cell: checks that the settings of the state fit
    return Setup(cast(problem, config.dtype), found, averages, step)


def _on_mesh(config: SolveConfig) -> Setup:
    """The problem on the cells of a mesh file."""
    require(
        not config.animation,
        "animation: false with a mesh file",
        "true",
        "open solution.pvd in ParaView",
    )
    mesh = on_mesh.read(config.grid)
    found = equation(config.law, mesh.ndim)
    step = time_step(config, found.law)
    made = {name: _side(side, found) for name, side in config.patches.items()}
    problem = fv.mesh_problem(
        found.law,
        mesh,
        on_mesh.conditions(config, mesh, made),
        _scheme(config, found.law, step, on_mesh.reconstruction(config.scheme)),
    )
    u = on_mesh.initial_state(config, mesh, found)
    return Setup(cast(problem, config.dtype), found, lambda block: u[:, block[0]], step)


def _reconstruction(settings: SchemeSettings) -> Any:
    """The reconstruction on a grid."""
    variables = settings.variables
    require(
        settings.limiter not in on_mesh.MESH_LIMITERS,
        "a limiter of a grid, such as mc",
        settings.limiter,
        "change scheme.limiter, or set grid.path to a mesh file",
    )
    choices: dict[str, Callable[[], Any]] = {
        "constant": fv.Constant,
        "muscl": lambda: fv.MUSCL(getattr(fv.limiter, settings.limiter), variables),
        "weno3": lambda: fv.WENO(3, variables=variables),
        "weno5": lambda: fv.WENO(5, variables=variables),
        "weno7": lambda: fv.WENO(7, variables=variables),
    }
    return choices[settings.reconstruction]()


def _scheme(
    config: SolveConfig, law: Any, step: TimeStep, reconstruct: Any
) -> fv.Scheme:
    settings = config.scheme
    if settings.positive:
        reconstruct = fv.Positive(reconstruct)
    hyperbolic = law.hyperbolic if isinstance(law, fv.Mixed) else law
    riemann = settings.riemann or ("godunov" if is_scalar(hyperbolic) else "hllc")
    implicit = ("implicit_euler", "sdirk2")
    require(
        step.name not in implicit or settings.dt is not None,
        f"scheme.dt with {step.name}",
        "none",
        "an implicit step has no limit to choose it by",
    )
    return fv.Scheme(reconstruct, _RIEMANN[riemann], _STEPS[step.name])


def _boundary(config: SolveConfig, found: Equation, dimensions: int) -> bc.Boundary:
    s = config.sides
    pairs = [(s.left, s.right), (s.bottom, s.top)]
    unused = [
        side for pair in pairs[dimensions:] for side in pair if side != SideSettings()
    ]
    require(
        not unused, "left and right in 1-D", "bottom or top", "leave out bottom and top"
    )
    return bc.Boundary(
        *[(_side(a, found), _side(b, found)) for a, b in pairs[:dimensions]]
    )


def _side(side: SideSettings, found: Equation) -> bc.Condition:
    channels = len(found.conserved)
    require(
        len(side.value) in (1, channels),
        f"1 or {channels} numbers in the value of a {side.kind} side",
        len(side.value),
        "pass one number for each variable",
    )
    value = np.broadcast_to(np.asarray(side.value), (channels,))
    if side.kind == "dirichlet":
        return bc.Dirichlet(conservative(found.law, value))
    if side.kind == "neumann":
        return bc.Neumann(value)
    if side.kind == "robin":
        return bc.Robin(side.a, side.b, value)
    if side.kind == "flux":
        return bc.Flux(value)
    plain = {
        "outflow": bc.Outflow,
        "reflective": bc.Reflective,
        "periodic": bc.Periodic,
    }
    return plain[side.kind]()
