"""Resumable training of the models of a study, on the objectives of the article."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from physcon import report
from physcon._mesh import check_even, shard
from physcon._typing import PRNGKeyArray, PyTree, Scalar
from physcon.io import write_arrays
from physcon.models import Ensemble, NeuralProcess
from physcon.models.anp import ANP
from physcon.models.ensemble import SetRegressor, ensemble_loss, make_ensemble
from physcon.models.losses import scored_loss, soft_constraint_loss
from physcon.models.scores import Score, make_score
from physcon.problems import PROBLEMS, Task, sample_tasks, training_problems
from physcon.quadrature import trapezoid
from physcon.studies.probconserv.evaluate import Models
from physcon.studies.probconserv.family import train_families
from physcon.studies.probconserv.settings import StudyConfig, TrainingSettings
from physcon.studies.session import Session
from physcon.studies.sharing import fit_tasks
from physcon.studies.side_by_side import (
    Loss,
    each_alone,
    side_by_side,
    stacked,
    unstacked,
)


def train(
    config: StudyConfig,
    train_key: PRNGKeyArray,
    network_keys: Sequence[PRNGKeyArray],
    session: Session,
) -> list[Models]:
    """Train the models of a study together, one for each key.

    They share the training functions and the batches; initial weights, latent draws and
    dropout differ. Checkpoints, losses and their figure go to the session's folder. The
    devices of its mesh share the tasks: each holds its part of the tasks, and trains on
    its part of every batch. Every process receives the whole models.
    """
    settings = config.training
    tasks = training_tasks(config, train_key, session.mesh)
    losses: dict[str, np.ndarray] = {}
    repeats = len(network_keys)

    def trained(
        name: str,
        loss: Loss,
        start: PyTree,
        steps: int,
        rate: float,
        batches_of: PyTree = tasks,
    ) -> Any:
        result = fit_tasks(
            side_by_side(loss),
            start,
            each_alone(_optimizer(settings, steps, rate)),
            batches_of,
            settings.batch,
            steps,
            train_key,
            session,
            name,
            save_every=settings.save_every,
        )
        losses[name] = result.losses / repeats
        return result.params

    if config.model == "ensemble":
        width = config.network.size
        number = config.network.members
        each = [make_ensemble(key, number, width=width) for key in network_keys]
        loss = partial(_members, config=config)
        members = trained(
            "ensemble", loss, stacked(each), settings.steps, settings.learning_rate
        )
        models = [Models(Ensemble(m), None) for m in unstacked(members, repeats)]
    elif config.model == "front":
        models = train_families(config, tasks, network_keys, trained)
    else:
        models = _neural_processes(config, network_keys, trained)
    if session.output is not None:
        _write_losses(session.output, losses)
    return models


def _neural_processes(
    config: StudyConfig, network_keys: Sequence[PRNGKeyArray], trained: Callable
) -> list[Models]:
    """The neural process and, if a method needs it, the network trained with SoftC."""
    settings = config.training
    network = config.network
    repeats = len(network_keys)
    untrained = stacked(
        [
            ANP(
                size=network.size,
                heads=network.heads,
                layers=network.layers,
                dropout_rate=network.dropout_rate,
                key=key,
            )
            for key in network_keys
        ]
    )
    rate = settings.learning_rate
    loss = partial(_process, config=config)
    plain = trained("anp", loss, untrained, settings.steps, rate)
    dropout = config.evaluation.dropout
    processes = unstacked(plain, repeats)
    if "soft" not in config.evaluation.methods:
        return [Models(NeuralProcess(p, dropout), None) for p in processes]
    loss = partial(_soft, weight=settings.soft_weight / settings.batch)
    if settings.soft_steps is None:
        soft = trained("anp_soft", loss, untrained, settings.steps, rate)
    else:
        # Adam starts without moments, so its first steps at the full rate would damage
        # the trained network.
        gentle = settings.soft_rate * rate
        soft = trained("anp_soft", loss, plain, settings.soft_steps, gentle)
    return [
        Models(NeuralProcess(p, dropout), NeuralProcess(s, dropout))
        for p, s in zip(processes, unstacked(soft, repeats), strict=True)
    ]


def training_tasks(config: StudyConfig, key: PRNGKeyArray, mesh: Mesh | None) -> Task:
    """Draw the functions to learn from.

    Each device of a mesh draws its own part of the same functions.
    """
    family = PROBLEMS[config.problem]
    sizes = config.tasks

    def draw(key: PRNGKeyArray) -> Task:
        problems = training_problems(jax.random.fold_in(key, 0), family, sizes.train)
        return sample_tasks(key, problems, sizes.context, sizes.target)

    if mesh is None:
        return draw(key)
    check_even(sizes.train, mesh.size, "a number of tasks (tasks.train)")
    divided = NamedSharding(mesh, P(mesh.axis_names))
    return jax.jit(draw, out_shardings=divided)(shard(key, mesh, P()))


def _optimizer(settings: TrainingSettings, steps: int, rate: float) -> Any:
    import optax

    chain = []
    if settings.clip is not None:
        chain.append(optax.clip_by_global_norm(settings.clip))
    if settings.schedule == "constant":
        return optax.chain(*chain, optax.adam(rate))
    warm_up = max(1, min(100, steps // 10))
    decay = max(steps, warm_up + 1)
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, warm_up, decay)
    return optax.chain(*chain, optax.adam(schedule))


def _write_losses(folder: Path, losses: dict[str, np.ndarray]) -> None:
    report.training_figure(folder / "training.png", losses)
    write_arrays(folder / "training.npz", losses, force=True)


def _score(config: StudyConfig, task: Task) -> Score:
    """The score according to the settings.

    With training through the constraint, the prediction is conditioned on the mass of
    each target time, whose row is a trapezoid sum over the target positions.
    """
    settings = config.training
    rows = None
    if settings.through_constraint:
        x = task.target.points[:, 1].reshape(config.tasks.target)
        rows = jax.vmap(lambda x: trapezoid(jnp.diff(x)))(x)
    noise_std = config.evaluation.noise_std or 1e-3
    return make_score(
        settings.score, rows, noise_std=noise_std, crps_scale=settings.crps_scale
    )


def _members(
    members: SetRegressor, task: Task, key: PRNGKeyArray, *, config: StudyConfig
) -> Scalar:
    return ensemble_loss(members, task.context, task.target, key, _score(config, task))


def _process(
    network: ANP, task: Task, key: PRNGKeyArray, *, config: StudyConfig
) -> Scalar:
    score = _score(config, task)
    return scored_loss(
        network, task.context, task.target, key, score=score, dropout=True
    )


def _soft(network: ANP, task: Task, key: PRNGKeyArray, *, weight: float) -> Scalar:
    return soft_constraint_loss(
        network,
        task.context,
        task.target,
        key,
        residual=task.problem.residual,
        weight=weight,
        dropout=True,
    )
