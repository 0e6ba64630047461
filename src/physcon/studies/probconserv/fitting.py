"""Training of a study's models: on the article's objectives, resumable."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from physcon import report
from physcon._mesh import check_even, is_writer, shard
from physcon._typing import PRNGKeyArray, Scalar
from physcon.io import write_arrays
from physcon.models.anp import ANP
from physcon.models.ensemble import SetRegressor, ensemble_loss, make_ensemble
from physcon.models.losses import scored_loss, soft_constraint_loss
from physcon.models.predictor import Observations
from physcon.models.scores import Score, make_score
from physcon.problems import PROBLEMS, Task, sample_tasks, training_problems
from physcon.quadrature import trapezoid
from physcon.studies.probconserv.evaluate import Models
from physcon.studies.probconserv.models import Ensemble, NeuralProcess
from physcon.studies.probconserv.settings import StudyConfig, TrainingSettings
from physcon.studies.sharing import fit_tasks

Loss = Callable[..., Scalar]


def train(
    config: StudyConfig,
    folder: Path,
    train_key: PRNGKeyArray,
    network_key: PRNGKeyArray,
    identity: dict[str, Any],
    resume: bool,
    progress: bool,
    mesh: Mesh | None = None,
) -> Models:
    """The trained models of a study; checkpoints, losses and their figure go to
    `folder`.

    With a mesh its devices share the tasks: each holds its part of them, and trains on
    its part of every batch. The models come back to every process whole.
    """
    settings, network = config.training, config.network
    tasks = training_tasks(config, train_key, mesh)
    losses: dict[str, np.ndarray] = {}

    def trained(name: str, loss: Loss, start: Any, steps: int) -> Any:
        result = fit_tasks(
            loss,
            start,
            _optimizer(settings, steps),
            tasks,
            settings.batch,
            steps,
            train_key,
            checkpoint=folder / f"{name}.checkpoint",
            save_every=settings.save_every,
            resume=resume,
            config={**identity, "network": name},
            progress=progress,
            mesh=mesh,
        )
        losses[name] = result.losses
        return result.params

    if config.model == "ensemble":
        members = make_ensemble(network_key, network.members, width=network.size)
        loss = partial(_members, config=config)
        models = Models(
            Ensemble(trained("ensemble", loss, members, settings.steps)), None
        )
    else:
        untrained = ANP(
            size=network.size,
            heads=network.heads,
            layers=network.layers,
            dropout_rate=network.dropout_rate,
            key=network_key,
        )
        plain = trained(
            "anp", partial(_process, config=config), untrained, settings.steps
        )
        soft = None
        if "soft" in config.evaluation.methods:
            loss = partial(_soft, weight=settings.soft_weight / settings.batch)
            if settings.soft_steps is None:
                soft = trained("anp_soft", loss, untrained, settings.steps)
            else:
                soft = trained("anp_soft", loss, plain, settings.soft_steps)
        dropout = config.evaluation.dropout
        models = Models(
            NeuralProcess(plain, dropout),
            None if soft is None else NeuralProcess(soft, dropout),
        )
    if is_writer():
        report.training_figure(folder / "training.png", losses)
        write_arrays(folder / "training.npz", losses, force=True)
    return models


def training_tasks(config: StudyConfig, key: PRNGKeyArray, mesh: Mesh | None) -> Task:
    """The functions to learn from; each device of a mesh draws its own part of the same
    ones.
    """
    family, sizes = PROBLEMS[config.problem], config.tasks

    def draw(key: PRNGKeyArray) -> Task:
        problems = training_problems(jax.random.fold_in(key, 0), family, sizes.train)
        return sample_tasks(key, problems, sizes.context, sizes.target)

    if mesh is None:
        return draw(key)
    check_even(sizes.train, mesh.size, "a number of tasks (tasks.train)")
    divided = NamedSharding(mesh, P(mesh.axis_names))
    return jax.jit(draw, out_shardings=divided)(shard(key, mesh, P()))


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


def _score(config: StudyConfig, task: Task) -> Score:
    """The settings' score; through the constraint: on the mass of each target time, its
    trapezoid sum over the target positions.
    """
    rows, settings = None, config.training
    if settings.through_constraint:
        x = task.target.inputs[:, 1].reshape(config.tasks.target)
        rows = jax.vmap(lambda x: trapezoid(jnp.diff(x)))(x)
    noise_std = config.evaluation.noise_std or 1e-3
    return make_score(
        settings.score, rows, noise_std=noise_std, crps_scale=settings.crps_scale
    )


def _members(
    members: SetRegressor, task: Task, key: PRNGKeyArray, *, config: StudyConfig
) -> Scalar:
    return ensemble_loss(members, *_observed(task), key, _score(config, task))


def _process(
    network: ANP, task: Task, key: PRNGKeyArray, *, config: StudyConfig
) -> Scalar:
    return scored_loss(
        network, *_observed(task), key, score=_score(config, task), dropout=True
    )


def _soft(network: ANP, task: Task, key: PRNGKeyArray, *, weight: float) -> Scalar:
    return soft_constraint_loss(
        network,
        *_observed(task),
        key,
        residual=task.problem.residual,
        weight=weight,
        dropout=True,
    )
