"""`physcon solve` on the cells of a mesh file: problem and initial averages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from physcon import boundary as bc
from physcon import fv
from physcon._checks import require
from physcon._numerics.float64 import cast
from physcon.io import read_mesh
from physcon.mesh import Mesh
from physcon.studies.solver.equations import Equation
from physcon.studies.solver.initial import states
from physcon.studies.solver.initial_averages import conservative, from_file
from physcon.studies.solver.problem_settings import GridSettings
from physcon.studies.solver.quadrature import cell_points
from physcon.studies.solver.settings import SchemeSettings, SolveConfig

#: Limiters of `fv.Linear` that the setting scheme.limiter can name.
MESH_LIMITERS = ("multidimensional", "venkatakrishnan", "barth_jespersen")


def read(settings: GridSettings) -> Mesh:
    """The mesh that grid.path names.

    Raises:
        ValueError: settings for a box as well, or a file that holds no mesh.
    """
    box = GridSettings()
    unused = [
        name
        for name in ("lower", "upper", "cells")
        if getattr(settings, name) != getattr(box, name)
    ]
    require(
        not unused,
        "grid.path alone",
        f"grid.path and {', '.join(f'grid.{name}' for name in unused)}",
        "leave one of them out",
    )
    assert settings.path is not None
    return read_mesh(Path(settings.path))


def conditions(
    config: SolveConfig, mesh: Mesh, made: Mapping[str, bc.Condition]
) -> dict[str, Any]:
    """The conditions by patch.

    Raises:
        ValueError: sides in place of patches, or a patch without a condition.
    """
    missing = [name for name in mesh.patches if name not in made]
    unknown = [name for name in made if name not in mesh.patches]
    require(
        not missing and not unknown,
        f"settings in `patches` for {', '.join(mesh.patches) or 'no patch'}",
        f"none for {missing}, and {unknown} besides",
        "give each patch of the mesh file a kind",
    )
    plain = type(config)().sides
    require(
        config.sides == plain,
        "`patches` with a mesh file",
        "`sides`",
        "name the patches instead of left, right, bottom and top",
    )
    return dict(made)


def reconstruction(settings: SchemeSettings) -> Any:
    """The reconstruction on a mesh.

    Raises:
        ValueError: a choice that needs a grid.
    """
    variables = settings.variables
    if settings.reconstruction == "constant":
        return fv.Constant()
    require(
        settings.reconstruction == "muscl" and variables != "characteristic",
        "constant or muscl in primitive or conservative variables on a mesh",
        f"{settings.reconstruction}, {variables}",
        "change scheme.reconstruction or scheme.variables",
    )
    default = settings.limiter == SchemeSettings().limiter
    limiter: Any = MESH_LIMITERS[0] if default else settings.limiter
    require(
        limiter in MESH_LIMITERS,
        f"one of {', '.join(MESH_LIMITERS)} as scheme.limiter on a mesh",
        settings.limiter,
        "choose one of them, or leave it out",
    )
    kept: Any = variables
    return fv.Linear(limiter, variables=kept)


def initial_state(config: SolveConfig, mesh: Mesh, found: Equation) -> np.ndarray:
    """The initial averages ``(c, cells)``, by quadrature or from a file."""
    if config.initial.name == "file":
        return from_file(config, (mesh.size,), found).astype(config.dtype)
    points, weights = cell_points(mesh)
    box = (
        np.asarray(mesh.points, float).min(axis=0),
        np.asarray(mesh.points).max(axis=0),
    )
    rng = np.random.default_rng(config.seed)
    with jax.enable_x64(True):
        law = cast(found.law, float)
        known = {"box": box, "rng": rng, "law": law}
        x = np.moveaxis(points, -1, 0)
        flat = x.reshape(len(x), -1)
        w = states(config.initial, flat, len(found.conserved), **known)
        u = np.asarray(conservative(law, w))
    u = u.reshape(len(u), *weights.shape)
    return np.sum(u * weights, axis=-1).astype(config.dtype)
