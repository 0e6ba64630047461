"""Test problems of bench_fv_accuracy.py, each with an exact or a fine-grid solution."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import _exact_riemann
from physcon.boundary import Boundary, Outflow, Periodic, Reflective
from physcon.fv import (
    MUSCL,
    WENO,
    Euler,
    Positive,
    Scheme,
    ShallowWater,
    hllc,
    limiter,
    muscl_hancock,
    solve,
)
from physcon.grid import Grid


class Fine(NamedTuple):
    """A scheme for the fine grid, its name in tables, and its CFL number."""

    label: str
    scheme: Scheme
    cfl: float


class Case(NamedTuple):
    """A problem of the first channel's mean absolute error.

    Attributes:
        start: initial state, law, grid and boundary for a number of cells.
        end: final time.
        sizes: numbers of cells along an axis.
        exact: averages of the first channel at the end; None: from a fine grid.
        fine: number of cells of the fine grid along an axis.
        scheme: what computes the solution on the fine grid.
        check: another scheme on the same grid, which shows how far to trust the first.
        dtype: of the fine grid.
    """

    start: Callable[[int], tuple]
    end: float
    sizes: tuple[int, ...]
    exact: Callable[[int], np.ndarray] | None = None
    fine: int = 0
    scheme: Fine | None = None
    check: Fine | None = None
    dtype: str = "float64"


def _tube(lower, upper, cells, state: Callable[[Any], list], side=None):
    """A gas between two sides, from primitive variables of the centres."""
    grid = Grid.uniform(lower, upper, cells)
    w = jnp.stack([jnp.broadcast_to(v, (cells,)) for v in state(grid.coordinates[0])])
    law = Euler()
    return law.conservative(w), law, grid, Boundary(side or Outflow())


def sod(cells):
    """Sod's shock tube (1978)."""

    def state(x):
        return [jnp.where(x < 0.5, 1.0, 0.125), 0.0, jnp.where(x < 0.5, 1.0, 0.1)]

    return _tube(0.0, 1.0, cells, state)


def shu_osher(cells):
    """A shock of Mach number 3 that runs into waves of density (1989)."""

    def state(x):
        behind = x < -4
        density = jnp.where(behind, 27 / 7, 1 + 0.2 * jnp.sin(5 * x))
        velocity = jnp.where(behind, 4 * 35**0.5 / 9, 0.0)
        return [density, velocity, jnp.where(behind, 31 / 3, 1.0)]

    return _tube(-5.0, 5.0, cells, state)


def blasts(cells):
    """Two blast waves that meet (Woodward and Colella 1984)."""

    def state(x):
        middle = jnp.where(x > 0.9, 100.0, 0.01)
        return [1.0, 0.0, jnp.where(x < 0.1, 1000.0, middle)]

    return _tube(0.0, 1.0, cells, state, Reflective())


def wave(cells):
    """A smooth wave of density that travels once around."""
    averages = jnp.asarray(smooth_averages(cells))
    return _tube(0.0, 1.0, cells, lambda _: [averages, 1.0, 1.0], Periodic())


def smooth_averages(cells):
    """Averages of 1 + 0.2 sin(2πx)."""
    edges = np.linspace(0, 1, cells + 1)
    return 1 - 0.2 * np.diff(np.cos(2 * np.pi * edges)) * cells / (2 * np.pi)


def dam_break(cells):
    """Water of depth 2 beside water of depth 1, at rest (gravity 1)."""
    grid = Grid.uniform(-1.0, 1.0, cells)
    h = jnp.where(grid.coordinates[0] < 0, 2.0, 1.0)
    return jnp.stack([h, 0 * h]), ShallowWater(1.0), grid, Boundary(Outflow())


def quadrants(side):
    """Configuration 3 of Schulz-Rinne, Collins and Glaz (1993), four shocks."""
    grid = Grid.uniform((0.0, 0.0), (1.0, 1.0), (side, side))
    # The corner lies inside of a cell of some sizes: averages of the conserved state.
    share = np.clip(0.8 * side - np.arange(side), 0, 1)
    west, south = share[:, None], share[None, :]
    v = 1.206045378311055
    states = np.array(
        [
            [1.5, 0.0, 0.0, 1.5],
            [0.532258064516129, v, 0.0, 0.3],
            [0.137992831541219, v, v, 0.029032258064516],
            [0.532258064516129, 0.0, v, 0.3],
        ]
    )
    law = Euler()
    a, b, c, d = np.asarray(law.conservative(jnp.asarray(states.T))).T
    parts = [
        (a, (1 - west) * (1 - south)),
        (b, west * (1 - south)),
        (c, west * south),
        (d, (1 - west) * south),
    ]
    u = sum(state[:, None, None] * part for state, part in parts)
    return jnp.asarray(u), law, grid, Boundary(Outflow(), Outflow())


def _exact_sod(cells):
    left, right = (1.0, 0.0, 1.0), (0.125, 0.0, 0.1)

    def density(x):
        return _exact_riemann.gas(left, right, (x - 0.5) / 0.2)[0]

    return _exact_riemann.averaged(density, cells, 0.0, 1.0)


def _exact_dam(cells):
    def depth(x):
        return _exact_riemann.dam(2.0, 1.0, x / 0.4, 1.0)

    return _exact_riemann.averaged(depth, cells, -1.0, 1.0)


_WENO = WENO(variables="characteristic")
_WAVES = Fine("characteristic WENO5-Z", Scheme(_WENO, hllc), 0.45)
_STRONG = Fine(
    "characteristic WENO5-Z, kept positive", Scheme(Positive(_WENO), hllc), 0.3
)
_PLAIN = Fine("primitive WENO5-Z", Scheme(WENO(variables="primitive"), hllc), 0.45)
_FAST = Fine(
    "MUSCL-Hancock with van_leer",
    Scheme(MUSCL(limiter.van_leer), hllc, muscl_hancock),
    0.8,
)

CASES = {
    "sod": Case(sod, 0.2, (400, 800), _exact_sod),
    "shu_osher": Case(shu_osher, 1.8, (400, 800), None, 6400, _WAVES, _FAST),
    "blasts": Case(blasts, 0.038, (400, 800), None, 6400, _FAST, _STRONG),
    "wave": Case(wave, 1.0, (50, 100), smooth_averages),
    "dam_break": Case(dam_break, 0.4, (400, 800), _exact_dam),
    "quadrants": Case(quadrants, 0.8, (128, 256), None, 768, _FAST, _PLAIN, "float32"),
}


def fine_solution(case: Case, chosen: Fine) -> np.ndarray:
    """The first channel on the fine grid, by one of the two schemes."""
    with jax.enable_x64(case.dtype == "float64"):
        u, law, grid, boundary = case.start(case.fine)
        u = u.astype(case.dtype)
        times = jnp.asarray([case.end])
        out = solve(u, law, grid, boundary, chosen.scheme, times=times, cfl=chosen.cfl)
        return np.asarray(out.u[0, 0], np.float64)


def coarsened(fine: np.ndarray, cells: int) -> np.ndarray:
    """Averages of blocks of a fine grid."""
    for axis in range(fine.ndim):
        shape = fine.shape
        blocks = (*shape[:axis], cells, shape[axis] // cells, *shape[axis + 1 :])
        fine = fine.reshape(blocks).mean(axis=axis + 1)
    return fine
