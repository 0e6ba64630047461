"""The equations of the families, solved by finite volumes instead of in closed form.

Only the law, the conditions on the sides and the initial averages come from the family,
so that the numerical and the exact solution check each other.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon import fv
from physcon._checks import require
from physcon._show import shown
from physcon.boundary import Boundary, Dirichlet, Neumann, Outflow, Periodic
from physcon.grid import Grid
from physcon.problems.advection import Advection
from physcon.problems.burgers import Burgers
from physcon.problems.heat import Heat
from physcon.problems.porous_medium import PorousMedium
from physcon.problems.problem import Problem
from physcon.problems.stefan import Stefan


class Numerical(NamedTuple):
    """Cell averages at the given times, in float64.

    Attributes:
        faces: positions of the cell faces, ``(n + 1,)``.
        u: cell averages, ``(times, n)``.
        steps: number of time steps taken.
    """

    faces: np.ndarray
    u: np.ndarray
    steps: int

    __repr__ = shown

    def at(self, k: int, x: np.ndarray) -> np.ndarray:
        """Values at positions x at the k-th time, by linear interpolation."""
        u = self.u[k]
        first, *_, last = self.faces
        centres = [first, *(0.5 * (self.faces[1:] + self.faces[:-1])), last]
        return np.interp(
            x, centres, [1.5 * u[0] - 0.5 * u[1], *u, 1.5 * u[-1] - 0.5 * u[-2]]
        )

    def mass(self, k: int) -> float:
        """The integral at the k-th time."""
        return float(self.u[k] @ np.diff(self.faces))


class _Setup(NamedTuple):
    law: object
    boundary: Boundary
    scheme: fv.Scheme
    stiff: bool = False


_WAVES = fv.Scheme(fv.MUSCL(), fv.godunov)
_DIFFUSION = fv.Scheme(step=fv.ssp_rk2)


def _heat(p: Heat) -> _Setup:
    return _Setup(fv.Heat(p.k), Boundary(Periodic()), _DIFFUSION)


def _porous_medium(p: PorousMedium) -> _Setup:
    # The value at x = 0 is (m t)^(1/m). An implicit stage may try a negative time.
    inflow = Dirichlet(lambda t: jnp.maximum(p.m * t, 1e-30) ** (1 / p.m))
    return _Setup(
        fv.PorousMedium(p.m), Boundary((inflow, Neumann(0.0))), _DIFFUSION, stiff=True
    )


def _stefan(p: Stefan) -> _Setup:
    sides = Boundary((Dirichlet(1.0), Neumann(0.0)))
    return _Setup(fv.Stefan(p.p_star, face="shock"), sides, _DIFFUSION)


def _advection(p: Advection) -> _Setup:
    return _Setup(fv.Advection(p.a), Boundary((Dirichlet(1.0), Outflow())), _WAVES)


def _burgers(p: Burgers) -> _Setup:
    return _Setup(fv.Burgers(), Boundary((Dirichlet(p.a), Outflow())), _WAVES)


_SETUPS: dict[type[Problem], Callable] = {
    Heat: _heat,
    PorousMedium: _porous_medium,
    Stefan: _stefan,
    Advection: _advection,
    Burgers: _burgers,
}


def solve_numerically(
    problem: Problem, times: Sequence[float], cells: int
) -> Numerical:
    """Solve one member of a family on equal cells, from t = 0, in float64.

    Raises:
        ValueError: for a family without a finite-volume form in this module.
    """
    kind = type(problem)
    known = ", ".join(family.__name__ for family in _SETUPS)
    require(
        kind in _SETUPS,
        f"one of {known}",
        kind.__name__,
        "use the exact solution of this problem",
    )
    with jax.enable_x64(True):
        problem = kind(float(np.asarray(problem.parameter)))
        law, boundary, scheme, stiff = _SETUPS[kind](problem)
        lower, upper = problem.settings.x
        grid = Grid.uniform(lower, upper, cells)
        faces = np.linspace(lower, upper, cells + 1)
        u = problem.cell_averages(0.0, jnp.asarray(faces))[None]
        if stiff:
            found = fv.solve_stiff(
                u, law, grid, boundary, times=times, rtol=1e-5, atol=1e-8
            )
        else:
            cfl = 0.9 if isinstance(law, fv.Diffusion) else 0.45
            found = fv.solve(
                u,
                law,
                grid,
                boundary,
                scheme,
                times=times,
                cfl=cfl,
                max_steps=10_000_000,
            )
        return Numerical(faces, np.asarray(found.u[:, 0]), int(found.steps))
