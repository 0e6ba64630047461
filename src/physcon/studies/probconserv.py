"""The ProbConserv studies: learn a family of equations, predict, conserve, score, draw.

Source: Hansen et al. (2023), section 4: tables 1 to 4 and figures 1 to 3 for the heat, porous
medium, Stefan, advection and Burgers equations.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from physcon import report
from physcon._checks import require
from physcon._files import atomic_write
from physcon._typing import PRNGKeyArray, PyTree
from physcon.io import load_torch_anp, read_arrays, write_arrays
from physcon.models.anp import ANP
from physcon.models.losses import (
    constrained_loss,
    mean_over_tasks,
    negative_elbo,
    soft_constraint_loss,
)
from physcon.models.predictor import Observations
from physcon.problems import (
    PROBLEMS,
    Points,
    Task,
    evaluation_problems,
    sample_tasks,
    training_problems,
)
from physcon.quadrature import trapezoid
from physcon.studies.config import EvaluationSettings, Method, StudyConfig, TrainingSettings
from physcon.studies.evaluate import Networks, masses, profiles, score, shock_positions
from physcon.training import Minibatches, fit


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
) -> list[report.Row]:
    """Train (or load), evaluate, and write tables and figures into `folder`.

    Args:
        identity: the resolved settings as JSON values; a checkpoint of other settings is refused.
        weights, soft_weights: published PyTorch state dicts (.npz) instead of training; without
            `soft_weights` the SoftC row is left out then.
        test_tasks: published test functions (.npz: input_contexts, output_contexts, input_targets,
            output_targets, params) instead of newly sampled ones.

    Returns: the rows of the table.
    """
    with jax.enable_x64(config.dtype == "float64"):
        train_key, test_key, network_key, evaluation_key = jax.random.split(
            jax.random.key(config.seed), 4
        )
        if weights is not None:
            soft = None if soft_weights is None else load_torch_anp(soft_weights)
            networks = Networks(load_torch_anp(weights), soft)
        else:
            networks = _train(config, folder, train_key, network_key, identity, resume, progress)
        networks = jax.tree.map(
            lambda x: x.astype(config.dtype) if eqx.is_inexact_array(x) else x, networks
        )
        tasks = _test_tasks(config, test_key, test_tasks)
        rows = _tables(config, folder, networks, tasks, evaluation_key, progress)
        _figures(config, folder, networks, tasks, evaluation_key)
    return rows


def _test_tasks(config: StudyConfig, key: PRNGKeyArray, path: Path | None) -> Task:
    family, settings = PROBLEMS[config.problem], config.tasks
    if path is None:
        number = settings.per_parameter * len(family.settings.test)
        problems = evaluation_problems(family, number)
        return sample_tasks(key, problems, settings.context, settings.target)
    arrays = read_arrays(path)
    names = [f"{kind}_{role}s" for role in ("context", "target") for kind in ("input", "output")]
    missing = {"params", *names} - set(arrays)
    require(not missing, "a file of test functions", f"none of {sorted(missing)}", "see --help")
    problems = jax.vmap(family)(jnp.asarray(arrays["params"][:, 0], dtype=float))
    context_x, context_u, target_x, target_u = (jnp.asarray(arrays[n], dtype=float) for n in names)
    return Task(problems, Points(context_x, context_u), Points(target_x, target_u))


def _train(config, folder, train_key, network_key, identity, resume, progress) -> Networks:
    family, settings = PROBLEMS[config.problem], config.training
    problems = training_problems(jax.random.fold_in(train_key, 0), family, config.tasks.train)
    tasks = sample_tasks(train_key, problems, config.tasks.context, config.tasks.target)
    network = config.network
    untrained = ANP(
        size=network.size,
        heads=network.heads,
        layers=network.layers,
        dropout_rate=network.dropout_rate,
        key=network_key,
    )
    losses: dict[str, np.ndarray] = {}

    def trained(name: str, loss, start: ANP, steps: int) -> ANP:
        result = fit(
            mean_over_tasks(loss),
            start,
            _optimizer(settings, steps),
            Minibatches(tasks, settings.batch),
            steps,
            train_key,
            checkpoint=folder / f"{name}.checkpoint",
            save_every=settings.save_every,
            resume=resume,
            config={**identity, "network": name},
            progress=progress,
        )
        losses[name] = result.losses
        return result.params

    plain_loss = _constrained(config) if settings.through_constraint else _plain
    plain = trained("anp", plain_loss, untrained, settings.steps)
    soft = None
    if "soft" in config.evaluation.methods:
        soft_loss = partial(_soft, weight=settings.soft_weight / settings.batch)
        if settings.soft_steps is None:
            soft = trained("anp_soft", soft_loss, untrained, settings.steps)
        else:
            soft = trained("anp_soft", soft_loss, plain, settings.soft_steps)
    report.training_figure(folder / "training.png", losses)
    write_arrays(folder / "training.npz", losses, force=True)
    return Networks(plain, soft)


def _optimizer(settings: TrainingSettings, steps: int):
    import optax

    if settings.schedule == "constant":
        return optax.adam(settings.learning_rate)
    warm_up = max(1, min(100, steps // 10))
    peak, decay = settings.learning_rate, max(steps, warm_up + 1)
    schedule = optax.warmup_cosine_decay_schedule(0.0, peak, warm_up, decay)
    return optax.chain(optax.clip_by_global_norm(100.0), optax.adam(schedule))


def _observed(task: Task) -> tuple[Observations, Observations]:
    return Observations(task.context.inputs, task.context.outputs), Observations(
        task.target.inputs, task.target.outputs
    )


def _plain(network: ANP, task: Task, key) -> jax.Array:
    return negative_elbo(network, *_observed(task), key, dropout=True)


def _soft(network: ANP, task: Task, key, *, weight: float) -> jax.Array:
    return soft_constraint_loss(
        network,
        *_observed(task),
        key,
        residual=task.problem.residual,
        weight=weight,
        dropout=True,
    )


def _constrained(config: StudyConfig):
    """The density after conditioning on the mass of each target time (trapezoid row)."""

    def loss(network: ANP, task: Task, key) -> jax.Array:
        x = task.target.inputs[:, 1].reshape(config.tasks.target)
        rows = jax.vmap(lambda x: trapezoid(jnp.diff(x)))(x)
        noise = config.evaluation.noise_std or 1e-3
        return constrained_loss(
            network, *_observed(task), key, rows=rows, noise_std=noise, dropout=True
        )

    return loss


def _tables(config, folder, networks, tasks: Task, key, progress) -> list[report.Row]:
    settings, family = config.evaluation, PROBLEMS[config.problem].settings
    t = jnp.asarray(family.evaluation_time)
    parameters = np.asarray(tasks.problem.parameter)
    scores = []
    for i in tqdm(range(parameters.size), disable=not progress, desc="evaluate", unit="function"):
        task: PyTree = jax.tree.map(lambda leaf, i=i: leaf[i], tasks)
        prediction = profiles(networks, task, t, jax.random.fold_in(key, i), settings)
        scores.append(jax.device_get(score(prediction, task.problem, t, settings)))
    stacked = _in_order(jax.tree.map(lambda *leaves: np.stack(leaves), *scores), settings)
    arrays = {f"{method}/{name}": v for method, s in stacked.items() for name, v in s.items()}
    write_arrays(folder / "scores.npz", {"parameter": parameters, **arrays}, force=True)
    rows = report.summarize(parameters, stacked)
    report.write_tables(folder, rows, family.parameter)
    return rows


def _figures(config, folder: Path, networks: Networks, tasks: Task, key) -> None:
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
        found = _in_order(masses(networks, task, times, own_key, settings), settings)
        mass = np.asarray(task.problem.mass(times))
        report.mass_figure(folder / f"mass_{name}", np.asarray(times), mass, found, title)
        prediction = _in_order(profiles(networks, task, t, own_key, settings), settings)
        truth = np.asarray(task.problem.solution(t, x))
        at = f"{title}, t = {family.evaluation_time:g}"
        report.profile_figure(folder / f"profile_{name}", x, truth, prediction, at)
        if family.has_front:
            shocks = _in_order(shock_positions(networks, task, t, own_key, settings), settings)
            positions = {m: np.asarray(s.position[s.found]) for m, s in shocks.items()}
            front = float(task.problem.front(t))
            report.shock_figure(folder / f"shock_{name}", positions, front, x[1] - x[0], at)


def _in_order(found: dict[Method, Any], settings: EvaluationSettings) -> dict[str, Any]:
    """On the host, and in the order of the settings (a dictionary leaves jit sorted by key)."""
    return {method: jax.device_get(found[method]) for method in settings.methods if method in found}


def prepare_folder(folder: Path, resume: bool) -> None:
    """Create the run folder; one that holds a run already is resumed or refused."""
    occupied = folder.is_dir() and any(folder.iterdir())
    require(
        resume or not occupied,
        "a new run folder",
        f"{folder} holds files",
        "add --resume to go on with that run, or choose another --output",
    )
    folder.mkdir(parents=True, exist_ok=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """JSON, whole or absent."""
    with atomic_write(path, "w") as file:
        file.write(json.dumps(content, indent=2) + "\n")
