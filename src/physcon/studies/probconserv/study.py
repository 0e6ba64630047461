"""The ProbConserv studies: learn a family of equations, predict, conserve and score.

Source:
    The experiments of Hansen et al. (2023) on the heat, porous medium, Stefan,
    advection and Burgers equations; the figures follow the order of the article: mass
    over time, profiles, shock position.
"""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon import report
from physcon._checks import require
from physcon._mesh import is_writer
from physcon._typing import PRNGKeyArray
from physcon.io import load_torch_anp, read_arrays
from physcon.models import GaussianProcess, NeuralProcess
from physcon.models.anp import ANP
from physcon.problems import PROBLEMS, Points, Task, evaluation_problems, sample_tasks
from physcon.studies.probconserv.evaluate import (
    Models,
    study_grid,
)
from physcon.studies.probconserv.fitting import train
from physcon.studies.probconserv.outputs import draw_figures, score_tables
from physcon.studies.probconserv.settings import (
    StudyConfig,
)
from physcon.studies.probconserv.truth import true_profiles
from physcon.studies.session import Session


def inputs(
    config: StudyConfig,
    weights: Path | None,
    soft_weights: Path | None,
    test_tasks: Path | None,
) -> dict[str, Any]:
    """Read the files of a study and check them, before anything is written.

    Args:
        weights: a published PyTorch state dict (.npz) that replaces the training.
        soft_weights: the same for SoftC. Without it the SoftC row is omitted.
        test_tasks: published test functions (.npz with input_contexts, output_contexts,
            input_targets, output_targets, params) that replace newly sampled ones.

    Raises:
        ValueError: for files or settings that do not fit.
    """
    with jax.enable_x64(config.dtype == "float64"):
        family = PROBLEMS[config.problem]
        first = family(family.settings.test[0])
        study_grid(first, config.evaluation).weights(config.evaluation.rule)
    published = weights is not None or soft_weights is not None
    require(
        not published or config.model == "anp",
        "model anp with --weights",
        config.model,
        "leave the option out: published weights belong to a neural process",
    )
    require(
        weights is not None or soft_weights is None,
        "--weights with --soft_weights",
        "--soft_weights alone",
        "add --weights FILE",
    )
    return {
        "weights": None if weights is None else load_torch_anp(weights),
        "soft_weights": None if soft_weights is None else load_torch_anp(soft_weights),
        "test_tasks": None if test_tasks is None else _read_tasks(test_tasks),
    }


def run(
    config: StudyConfig,
    session: Session,
    *,
    weights: ANP | None = None,
    soft_weights: ANP | None = None,
    test_tasks: dict[str, np.ndarray] | None = None,
) -> list[report.Row]:
    """Train (or load the weights), evaluate, and write tables and figures.

    Args:
        config: the settings.
        session: its folder receives the files; the devices of its mesh share the
            training, and process 0 evaluates.
        weights, soft_weights, test_tasks: see `inputs`.

    Returns:
        The rows of the table; no rows on other processes.
    """
    session = session.of(config)
    with jax.enable_x64(config.dtype == "float64"):
        train_key, test_key, network_key, evaluation_key = jax.random.split(
            jax.random.key(config.seed), 4
        )
        if weights is not None:
            each = [_published(config, weights, soft_weights)]
        elif config.model == "gp":
            each = [Models(GaussianProcess(), None)]
        else:
            keys = [network_key]
            for k in range(1, config.repeats):
                keys.append(jax.random.fold_in(network_key, k))
            each = train(config, train_key, keys, session)
        if not is_writer():
            return []
        each = [_cast(models, config.dtype) for models in each]
        tasks = _test_tasks(config, test_key, test_tasks)
        folder = session.output
        parameters = np.asarray(tasks.problem.parameter).tolist()
        truth = true_profiles(config, parameters, folder)
        rows = score_tables(config, each, tasks, truth, evaluation_key, session)
        if folder is not None and config.evaluation.figures:
            draw_figures(config, folder, each[0], tasks, truth, evaluation_key)
    return rows


def _published(config: StudyConfig, weights: ANP, soft_weights: ANP | None) -> Models:
    dropout = config.evaluation.dropout
    soft = None if soft_weights is None else NeuralProcess(soft_weights, dropout)
    return Models(NeuralProcess(weights, dropout), soft)


def _cast(models: Models, dtype: str) -> Models:
    return jax.tree.map(
        lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, models
    )


_NAMES = tuple(
    f"{kind}_{role}s" for role in ("context", "target") for kind in ("input", "output")
)


def _read_tasks(path: Path) -> dict[str, np.ndarray]:
    arrays = read_arrays(path)
    missing = {"params", *_NAMES} - set(arrays)
    require(
        not missing,
        f"test functions with the arrays params, {', '.join(_NAMES)} in {path}",
        f"none of {', '.join(sorted(missing))}",
        "add the missing arrays",
    )
    return arrays


def _test_tasks(
    config: StudyConfig, key: PRNGKeyArray, arrays: dict[str, np.ndarray] | None
) -> Task:
    family = PROBLEMS[config.problem]
    settings = config.tasks
    if arrays is None:
        number = settings.per_parameter * len(family.settings.test)
        problems = evaluation_problems(family, number)
        return sample_tasks(key, problems, settings.context, settings.target)
    problems = jax.vmap(family)(jnp.asarray(arrays["params"][:, 0], dtype=float))
    context_x, context_u, target_x, target_u = (
        jnp.asarray(arrays[n], dtype=float) for n in _NAMES
    )
    return Task(problems, Points(context_x, context_u), Points(target_x, target_u))
