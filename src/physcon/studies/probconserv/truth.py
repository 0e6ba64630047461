"""The reference for predictions.

It is the exact solution, or a finite-volume solution on a converged mesh.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from physcon._files import write_json, write_text
from physcon.problems import PROBLEMS
from physcon.problems.numerical import solve_numerically
from physcon.studies.probconserv.evaluate import study_grid
from physcon.studies.probconserv.settings import StudyConfig

#: Profiles at the evaluation time, by parameter.
Truth = dict[float, np.ndarray]
_COLUMNS = ("parameter", "cells", "steps", "change", "error", "mass_error")


def true_profiles(
    config: StudyConfig, parameters: Iterable[float], folder: Path | None
) -> Truth:
    """The solution at the evaluation time on the study's nodes, for every parameter.

    With ``truth: fv`` the equation is also solved on half as many cells. The change
    between the two meshes, the distance to the exact solution, and the error of the
    mass go to truth.json and truth.txt.
    """
    family = PROBLEMS[config.problem]
    t = family.settings.evaluation_time
    truth = {}
    rows = []
    for parameter in sorted(set(parameters)):
        problem = family(parameter)
        x = np.asarray(study_grid(problem, config.evaluation).coordinates[0])
        exact = np.asarray(problem.solution(t, x))
        truth[parameter] = exact
        if config.truth == "exact":
            continue
        size = np.abs(exact).mean()
        coarser = None
        for cells in (config.truth_cells // 2, config.truth_cells):
            found = solve_numerically(problem, [t], cells)
            values = found.at(0, x)
            change = (
                None
                if coarser is None
                else float(np.abs(values - coarser).mean() / size)
            )
            error = float(np.abs(values - exact).mean() / size)
            misfit = found.mass(0) - float(problem.mass(t))
            row = (parameter, cells, found.steps, change, error, misfit)
            rows.append(dict(zip(_COLUMNS, row, strict=True)))
            truth[parameter] = coarser = values
    if rows and folder is not None:
        write_json(
            folder / "truth.json", {"problem": config.problem, "time": t, "rows": rows}
        )
        write_text(folder / "truth.txt", _text(rows))
    return truth


def _text(rows: list[dict[str, Any]]) -> str:
    """Format the mesh convergence as text.

    It lists the relative L1 change from the coarser mesh, and the error to the exact
    solution.
    """
    columns: dict[str, Callable[[Any], str]] = {
        "parameter": lambda v: f"{v:g}",
        "cells": str,
        "steps": str,
        "change": lambda v: "" if v is None else f"{v:.2e}",
        "error": lambda v: f"{v:.2e}",
        "mass_error": lambda v: f"{v:.1e}",
    }
    lines = ["".join(f"{name:>12}" for name in columns)]
    lines += [
        "".join(f"{form(row[name]):>12}" for name, form in columns.items())
        for row in rows
    ]
    return "\n".join(lines)
