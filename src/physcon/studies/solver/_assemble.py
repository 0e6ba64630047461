"""Build a problem of `physcon.fv` and its initial cell averages from settings."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from physcon import boundary as bc
from physcon import fv
from physcon._checks import require
from physcon._numerics.float64 import cast
from physcon._typing import Array, Float
from physcon.grid import Grid
from physcon.io import read_arrays
from physcon.studies.solver.equations import AXES, Equation, equation, is_scalar
from physcon.studies.solver.initial import states
from physcon.studies.solver.problem_settings import SideSettings
from physcon.studies.solver.settings import SchemeSettings, SolveConfig

#: Gauss points per axis in a cell: averages of smooth states are exact to order 8.
GAUSS_POINTS = 4
#: Largest number of points evaluated at a time. All points together would take many
#: times the memory of the averages.
MOST_POINTS = 2**18

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


#: A function from a block of cells, given by its range on every axis, to the initial
#: averages ``(c, *block)``.
Averages: TypeAlias = Callable[[tuple[slice, ...]], np.ndarray]


class Setup(NamedTuple):
    """The problem that is solved, its variables, and its initial state.

    Attributes:
        averages: a function that computes any block, so that no device needs to hold
            the whole field.
    """

    problem: fv.Problem
    equation: Equation
    averages: Averages

    @property
    def state(self) -> jax.ShapeDtypeStruct:
        """The shape and precision of a state."""
        shape = len(self.equation.conserved), *self.problem.grid.shape
        return jax.ShapeDtypeStruct(shape, self.problem.grid.coordinates[0].dtype)

    @property
    def u(self) -> Float[Array, "c *x"]:
        """The whole initial state, on one device."""
        return jnp.asarray(self.averages((slice(None),) * self.problem.grid.ndim))


def assemble(config: SolveConfig) -> Setup:
    """Build grid, law, sides, scheme and initial averages, in the ambient precision.

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
    problem = fv.Problem(
        found.law,
        grid,
        _boundary(config, found, dimensions),
        _scheme(config.scheme, found.law),
    )
    averages = _averages(config, problem, found)
    averages(
        (slice(1),) * dimensions
    )  # one cell: checks that the settings of the state fit
    return Setup(cast(problem, config.dtype), found, averages)


def _scheme(settings: SchemeSettings, law: Any) -> fv.Scheme:
    variables = settings.variables
    choices: dict[str, Callable[[], Any]] = {
        "constant": fv.Constant,
        "muscl": lambda: fv.MUSCL(getattr(fv.limiter, settings.limiter), variables),
        "weno3": lambda: fv.WENO(3, variables=variables),
        "weno5": lambda: fv.WENO(5, variables=variables),
        "weno7": lambda: fv.WENO(7, variables=variables),
    }
    reconstruct = choices[settings.reconstruction]()
    if settings.positive:
        reconstruct = fv.Positive(reconstruct)
    hyperbolic = law.hyperbolic if isinstance(law, fv.Mixed) else law
    riemann = settings.riemann or ("godunov" if is_scalar(hyperbolic) else "hllc")
    implicit = ("implicit_euler", "sdirk2")
    require(
        settings.step not in implicit or settings.dt is not None,
        f"scheme.dt with {settings.step}",
        "none",
        "an implicit step has no limit to choose it by",
    )
    return fv.Scheme(reconstruct, _RIEMANN[riemann], _STEPS[settings.step])


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
        return bc.Dirichlet(_conservative(found.law, value))
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


def _averages(config: SolveConfig, problem: fv.Problem, found: Equation) -> Averages:
    if config.initial.name == "file":
        require(
            config.initial.path is not None,
            "initial.path",
            "none",
            "set initial.path to the name of the file",
        )
        u = _from_file(Path(str(config.initial.path)), problem.grid, found)
        return lambda block: u[(slice(None), *block)].astype(config.dtype)
    lower, upper = (
        np.asarray(bound) for bound in (config.grid.lower, config.grid.upper)
    )
    nodes, weights = np.polynomial.legendre.leggauss(GAUSS_POINTS)

    def slab(block: tuple[slice, ...]) -> np.ndarray:
        points = []
        for a, b, n, part in zip(lower, upper, problem.grid.shape, block, strict=True):
            h = (b - a) / n
            points.append(
                a + h * (np.arange(n)[part, None] + 0.5 + 0.5 * nodes).ravel()
            )
        x = np.stack(np.meshgrid(*points, indexing="ij"))
        rng = np.random.default_rng(config.seed)
        with jax.enable_x64(True):
            law = cast(found.law, float)
            known = {"box": (lower, upper), "rng": rng, "law": law}
            w = states(config.initial, x, len(found.conserved), **known)
            u = np.asarray(_conservative(law, w))
        for axis in range(1, 1 + len(block)):
            split = u.reshape(*u.shape[:axis], -1, GAUSS_POINTS, *u.shape[axis + 1 :])
            u = np.tensordot(split, 0.5 * weights, axes=(1 + axis, 0))
        return u.astype(config.dtype)

    def averages(block: tuple[slice, ...]) -> np.ndarray:
        rows, *rest = (
            range(n)[part] for n, part in zip(problem.grid.shape, block, strict=True)
        )
        row = GAUSS_POINTS ** len(block) * math.prod(len(r) for r in rest)
        thick = max(1, MOST_POINTS // row)
        cuts = [rows[k : k + thick] for k in range(0, len(rows), thick)]
        return np.concatenate(
            [slab((slice(c.start, c.stop), *block[1:])) for c in cuts], axis=1
        )

    return averages


def _conservative(law: Any, w: np.ndarray) -> Array:
    hyperbolic = isinstance(law, fv.Law)
    return law.conservative(jnp.asarray(w)) if hyperbolic else jnp.asarray(w)


def _from_file(path: Path, grid: Grid, found: Equation) -> np.ndarray:
    """Read the conserved variables by name.

    If there is a leading time axis, the last time is used.
    """
    arrays = read_arrays(path)
    names = [variable.name for variable in found.conserved]
    missing = ", ".join(set(names) - set(arrays))
    require(
        not missing,
        f"arrays {', '.join(names)} in {path.name}",
        f"no {missing}",
        "give the arrays these names",
    )
    u = np.stack([arrays[name] for name in names])
    u = u[:, -1] if u.ndim == grid.ndim + 2 else u
    axes = ", ".join(AXES[: grid.ndim])
    require(
        u.shape[1:] == grid.shape,
        f"arrays ({axes}) {grid.shape}",
        u.shape[1:],
        "set grid.cells to the shape of the arrays",
    )
    return u
