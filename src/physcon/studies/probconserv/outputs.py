"""The tables and figures of a ProbConserv study."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physcon import report
from physcon._typing import PRNGKeyArray, PyTree, Scalar
from physcon.io import write_arrays
from physcon.metrics import ShockPosition, shock_position_error
from physcon.problems import PROBLEMS, Task
from physcon.studies.probconserv.evaluate import (
    Models,
    masses,
    profiles,
    profiles_and_shocks,
    score,
    shock_positions,
)
from physcon.studies.probconserv.settings import (
    EvaluationSettings,
    Method,
    StudyConfig,
)
from physcon.studies.probconserv.truth import Truth
from physcon.studies.session import Session
from physcon.training.progress import progress_bar


def score_tables(
    config: StudyConfig,
    each: list[Models],
    tasks: Task,
    truth: Truth,
    key: PRNGKeyArray,
    session: Session,
) -> list[report.Row]:
    """Score every network on every test function: (networks, functions) arrays."""
    settings = config.evaluation
    family = PROBLEMS[config.problem].settings
    t = jnp.asarray(family.evaluation_time)
    parameters = np.asarray(tasks.problem.parameter)
    per_network = []
    with progress_bar(
        len(each) * parameters.size,
        enabled=session.progress,
        unit="function",
        title="evaluate",
    ) as bar:
        for models in each:
            scores = []
            for i in range(parameters.size):
                task: PyTree = jax.tree.map(lambda leaf, i=i: leaf[i], tasks)
                own_key = jax.random.fold_in(key, i)
                given = (models, task, t, own_key, settings)
                shocks: dict[Method, ShockPosition] = {}
                if settings.score_shocks and family.has_front:
                    prediction, shocks = profiles_and_shocks(*given)
                else:
                    prediction = profiles(*given)
                exact = jnp.asarray(truth[parameters[i].item()], config.dtype)
                found = score(prediction, task.problem, t, exact, settings)
                for method, one in shocks.items():
                    error = _shock_error(one, task.problem.front(t))
                    found[method]["shock_error"] = error
                scores.append(jax.device_get(found))
                bar.update()
            per_network.append(jax.tree.map(lambda *x: np.stack(x), *scores))
    stacked = jax.tree.map(lambda *x: np.stack(x), *per_network)
    stacked = in_order(stacked, settings)
    rows = report.summarize(parameters, stacked)
    if session.output is not None:
        kept = stacked if len(each) > 1 else jax.tree.map(lambda x: x[0], stacked)
        arrays = {f"{m}/{name}": v for m, s in kept.items() for name, v in s.items()}
        arrays = {"parameter": parameters, **arrays}
        write_arrays(session.output / "scores.npz", arrays, force=True)
        report.write_tables(session.output, rows, family.parameter)
    return rows


def _shock_error(shocks: ShockPosition, front: Scalar) -> Scalar:
    """The mean distance from the front over the samples that fall to zero.

    Where none does, all positions are the end of the domain, and its distance counts.
    """
    error, share = shock_position_error(shocks, front)
    return jnp.where(share > 0, error, jnp.mean(jnp.abs(shocks.position - front)))


def draw_figures(
    config: StudyConfig,
    folder: Path,
    models: Models,
    tasks: Task,
    truth: Truth,
    key: PRNGKeyArray,
) -> None:
    """Draw the first test function of every parameter."""
    settings = config.evaluation
    family = PROBLEMS[config.problem].settings
    t = jnp.asarray(family.evaluation_time)
    times = jnp.linspace(*family.t, settings.nt)
    x = np.linspace(*family.x, settings.nx)
    values, first = np.unique(np.asarray(tasks.problem.parameter), return_index=True)
    for value, index in zip(values.tolist(), first.tolist(), strict=True):
        task: PyTree = jax.tree.map(lambda leaf, j=index: leaf[j], tasks)
        own_key = jax.random.fold_in(key, index)
        title = f"{config.problem}, {family.parameter} = {value:g}"
        name = f"{family.parameter}_{value:g}.png"
        found = in_order(masses(models, task, times, own_key, settings), settings)
        mass = np.asarray(task.problem.mass(times))
        report.mass_figure(
            folder / f"mass_{name}", np.asarray(times), mass, found, title
        )
        prediction = in_order(profiles(models, task, t, own_key, settings), settings)
        at = f"{title}, t = {family.evaluation_time:g}"
        report.profile_figure(
            folder / f"profile_{name}", x, truth[value], prediction, at
        )
        if family.has_front:
            shocks = in_order(
                shock_positions(models, task, t, own_key, settings), settings
            )
            positions = {m: np.asarray(s.position[s.found]) for m, s in shocks.items()}
            front = float(task.problem.front(t))
            report.shock_figure(
                folder / f"shock_{name}", positions, front, x[1] - x[0], at
            )


def in_order(found: dict[Method, Any], settings: EvaluationSettings) -> dict[str, Any]:
    """Bring results to the host, in the order of the settings.

    A dictionary leaves jit sorted by key.
    """
    return {
        method: jax.device_get(found[method])
        for method in settings.methods
        if method in found
    }
