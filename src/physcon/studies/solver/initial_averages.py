"""Cell averages of the initial state, by Gauss quadrature or from a file."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from physcon import fv
from physcon._checks import require
from physcon._numerics.float64 import cast
from physcon._typing import Array
from physcon.io import read_arrays
from physcon.studies.solver.equations import AXES, Equation
from physcon.studies.solver.initial import states
from physcon.studies.solver.settings import SolveConfig

#: Gauss points per axis in a cell: averages of smooth states are exact to order 8.
GAUSS_POINTS = 4
#: Largest number of points evaluated at a time. All points together would take many
#: times the memory of the averages.
MOST_POINTS = 2**18

#: A function from a block of cells, given by its range on every axis, to the initial
#: averages ``(c, *block)``.
Averages: TypeAlias = Callable[[tuple[slice, ...]], np.ndarray]


def initial_averages(
    config: SolveConfig, problem: fv.Problem, found: Equation
) -> Averages:
    """The function that computes the averages of a block of cells."""
    if config.initial.name == "file":
        u = from_file(config, problem.grid.shape, found)
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
            u = np.asarray(conservative(law, w))
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


def conservative(law: Any, w: np.ndarray) -> Array:
    """The conserved variables of a state in primitive variables."""
    hyperbolic = isinstance(law, fv.Law)
    return law.conservative(jnp.asarray(w)) if hyperbolic else jnp.asarray(w)


def from_file(
    config: SolveConfig, shape: tuple[int, ...], found: Equation
) -> np.ndarray:
    """Read the conserved variables by name.

    If there is a leading time axis, the last time is used.

    Raises:
        ValueError: no path, a variable that is missing, or arrays of another shape.
    """
    require(
        config.initial.path is not None,
        "initial.path",
        "none",
        "set initial.path to the name of the file",
    )
    path = Path(str(config.initial.path))
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
    u = u[:, -1] if u.ndim == len(shape) + 2 else u
    on_mesh = config.grid.path is not None
    axes = "cells" if on_mesh else ", ".join(AXES[: len(shape)])
    require(
        u.shape[1:] == shape,
        f"arrays ({axes}) {shape}",
        u.shape[1:],
        "use arrays of this mesh"
        if on_mesh
        else "set grid.cells to the shape of the arrays",
    )
    return u
