"""The ProbConserv studies: learn a family of equations, predict, conserve, score, draw.

Source: the experiments of Hansen et al. (2023) on the heat, porous medium, Stefan,
advection and Burgers equations; figures in the article's order: mass over time,
profiles, shock position.
"""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from physcon import report
from physcon._checks import require
from physcon._mesh import is_writer
from physcon._typing import PRNGKeyArray, PyTree
from physcon.io import load_torch_anp, read_arrays, write_arrays
from physcon.problems import PROBLEMS, Points, Task, evaluation_problems, sample_tasks
from physcon.studies.probconserv.evaluate import (
    Models,
    masses,
    profiles,
    score,
    shock_positions,
)
from physcon.studies.probconserv.fitting import train
from physcon.studies.probconserv.models import GaussianProcess, NeuralProcess
from physcon.studies.probconserv.settings import EvaluationSettings, Method, StudyConfig
from physcon.studies.probconserv.truth import Truth, true_profiles


def run(
    config: StudyConfig,
    folder: Path,
    *,
    identity: dict[str, Any],
    weights: Path | None = None,
    soft_weights: Path | None = None,
    test_tasks: Path | None = None,
    resume: bool = False,
    progress: bool = True,
    mesh: Mesh | None = None,
) -> list[report.Row]:
    """Train (or load), evaluate, and write tables and figures into `folder`.

    Args:
        identity: the resolved settings as JSON values; a checkpoint of other settings is refused.
        weights, soft_weights: published PyTorch state dicts (.npz) instead of training; without
            `soft_weights` the SoftC row is left out then.
        test_tasks: published test functions (.npz: input_contexts, output_contexts, input_targets,
            output_targets, params) instead of newly sampled ones.
        mesh: of one axis ``"batch"``, whose devices share the training. Process 0 evaluates.

    Returns: the rows of the table; none on other processes.
    """
    with jax.enable_x64(config.dtype == "float64"):
        train_key, test_key, network_key, evaluation_key = jax.random.split(
            jax.random.key(config.seed), 4
        )
        published = weights is not None or soft_weights is not None
        require(
            not published or config.model == "anp",
            "model: anp with --weights",
            config.model,
            "published weights are those of the neural process",
        )
        dropout = config.evaluation.dropout
        if weights is not None:
            soft = None
            if soft_weights is not None:
                soft = NeuralProcess(load_torch_anp(soft_weights), dropout)
            models = Models(NeuralProcess(load_torch_anp(weights), dropout), soft)
        elif config.model == "gp":
            require(
                not config.training.through_constraint
                and config.training.score == "nll",
                "model: anp or ensemble with training.through_constraint or training.score",
                "gp",
                "a Gaussian process is fitted by its evidence",
            )
            models = Models(GaussianProcess(), None)
        else:
            models = train(
                config, folder, train_key, network_key, identity, resume, progress, mesh
            )
        models = jax.tree.map(
            lambda x: x.astype(config.dtype) if eqx.is_inexact_array(x) else x, models
        )
        if not is_writer():
            return []
        tasks = _test_tasks(config, test_key, test_tasks)
        truth = true_profiles(
            config, np.asarray(tasks.problem.parameter).tolist(), folder
        )
        rows = _tables(config, folder, models, tasks, truth, evaluation_key, progress)
        _figures(config, folder, models, tasks, truth, evaluation_key)
    return rows


def _test_tasks(config: StudyConfig, key: PRNGKeyArray, path: Path | None) -> Task:
    family, settings = PROBLEMS[config.problem], config.tasks
    if path is None:
        number = settings.per_parameter * len(family.settings.test)
        problems = evaluation_problems(family, number)
        return sample_tasks(key, problems, settings.context, settings.target)
    arrays = read_arrays(path)
    names = [
        f"{kind}_{role}s"
        for role in ("context", "target")
        for kind in ("input", "output")
    ]
    missing = {"params", *names} - set(arrays)
    require(
        not missing,
        "a file of test functions",
        f"none of {sorted(missing)}",
        "see --help",
    )
    problems = jax.vmap(family)(jnp.asarray(arrays["params"][:, 0], dtype=float))
    context_x, context_u, target_x, target_u = (
        jnp.asarray(arrays[n], dtype=float) for n in names
    )
    return Task(problems, Points(context_x, context_u), Points(target_x, target_u))


def _tables(
    config: StudyConfig,
    folder: Path,
    models: Models,
    tasks: Task,
    truth: Truth,
    key: PRNGKeyArray,
    progress: bool,
) -> list[report.Row]:
    settings, family = config.evaluation, PROBLEMS[config.problem].settings
    t = jnp.asarray(family.evaluation_time)
    parameters = np.asarray(tasks.problem.parameter)
    scores = []
    for i in tqdm(
        range(parameters.size), disable=not progress, desc="evaluate", unit="function"
    ):
        task: PyTree = jax.tree.map(lambda leaf, i=i: leaf[i], tasks)
        prediction = profiles(models, task, t, jax.random.fold_in(key, i), settings)
        profile = jnp.asarray(truth[parameters[i].item()], config.dtype)
        scores.append(
            jax.device_get(score(prediction, task.problem, t, profile, settings))
        )
    stacked = _in_order(
        jax.tree.map(lambda *leaves: np.stack(leaves), *scores), settings
    )
    arrays = {
        f"{method}/{name}": v for method, s in stacked.items() for name, v in s.items()
    }
    write_arrays(folder / "scores.npz", {"parameter": parameters, **arrays}, force=True)
    rows = report.summarize(parameters, stacked)
    report.write_tables(folder, rows, family.parameter)
    return rows


def _figures(
    config: StudyConfig,
    folder: Path,
    models: Models,
    tasks: Task,
    truth: Truth,
    key: PRNGKeyArray,
) -> None:
    """For the first test function of every parameter."""
    settings, family = config.evaluation, PROBLEMS[config.problem].settings
    t = jnp.asarray(family.evaluation_time)
    times = jnp.linspace(*family.t, settings.nt)
    x = np.linspace(*family.x, settings.nx)
    values, first = np.unique(np.asarray(tasks.problem.parameter), return_index=True)
    for value, index in zip(values.tolist(), first.tolist(), strict=True):
        task: PyTree = jax.tree.map(lambda leaf, j=index: leaf[j], tasks)
        own_key = jax.random.fold_in(key, index)
        title = f"{config.problem}, {family.parameter} = {value:g}"
        name = f"{family.parameter}_{value:g}.png"
        found = _in_order(masses(models, task, times, own_key, settings), settings)
        mass = np.asarray(task.problem.mass(times))
        report.mass_figure(
            folder / f"mass_{name}", np.asarray(times), mass, found, title
        )
        prediction = _in_order(profiles(models, task, t, own_key, settings), settings)
        at = f"{title}, t = {family.evaluation_time:g}"
        report.profile_figure(
            folder / f"profile_{name}", x, truth[value], prediction, at
        )
        if family.has_front:
            shocks = _in_order(
                shock_positions(models, task, t, own_key, settings), settings
            )
            positions = {m: np.asarray(s.position[s.found]) for m, s in shocks.items()}
            front = float(task.problem.front(t))
            report.shock_figure(
                folder / f"shock_{name}", positions, front, x[1] - x[0], at
            )


def _in_order(found: dict[Method, Any], settings: EvaluationSettings) -> dict[str, Any]:
    """On the host, and in the order of the settings (a dictionary leaves jit sorted by
    key).
    """
    return {
        method: jax.device_get(found[method])
        for method in settings.methods
        if method in found
    }
