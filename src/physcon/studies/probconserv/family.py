"""Training of a `FrontFamily`, on the likelihood or also through the law."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, PRNGKeyArray, PyTree, Scalar
from physcon.models.front_family import Domain, FittedFamily, FrontFamily
from physcon.models.front_model import FrontModel
from physcon.problems import PROBLEMS, Task
from physcon.studies.probconserv.evaluate import Models
from physcon.studies.probconserv.settings import StudyConfig
from physcon.studies.side_by_side import stacked, unstacked


def train_families(
    config: StudyConfig,
    tasks: Task,
    network_keys: Sequence[PRNGKeyArray],
    trained: Callable[..., PyTree],
) -> list[Models]:
    """Train one family for each key, and another through the law if it is asked for.

    Args:
        tasks: the training functions.
        trained: ``trained(name, loss, start, steps, rate, tasks)`` runs the steps.
    """
    settings = PROBLEMS[config.problem].settings
    domain = Domain(*settings.x, settings.t[1])
    network = config.network
    latents = first_latents(tasks)

    def starts(*, own_errors: bool) -> PyTree:
        each = []
        for key in network_keys:
            family = FrontFamily(
                domain,
                network.size,
                network.layers,
                network.pieces,
                falling=settings.has_front,
                own_errors=own_errors,
                key=key,
            )
            each.append(FittedFamily(family, latents / 3))
        return stacked(each)

    rate = config.training.learning_rate
    steps = config.training.steps
    numbered = (jnp.arange(latents.size), tasks)

    def fitted(name: str, *, through: bool) -> list[FrontModel]:
        loss = partial(_loss, config=config, domain=domain, through=through)
        # Where there is no front, the mass determines all errors that are common to
        # the points of a profile; the likelihood would punish all others.
        start = starts(own_errors=through and not settings.has_front)
        found = trained(name, loss, start, steps, rate, numbered)
        each = unstacked(found, len(network_keys))
        return [FrontModel(one.family, config.tasks.context[0]) for one in each]

    plain = fitted("front", through=False)
    if "trained" not in config.evaluation.methods:
        return [Models(one, None) for one in plain]
    through = fitted("front_through", through=True)
    return [Models(p, None, t) for p, t in zip(plain, through, strict=True)]


def first_latents(tasks: Task) -> Float[Array, " n"]:
    """A first guess of the latents: the mass of each function, averaged over time.

    Where the mass is always the same, it is the mean size of the observed values.
    """
    settings = type(tasks.problem).settings
    t = jnp.linspace(0.0, 1.0, 65)[1:] * settings.t[1]
    guess = jax.vmap(lambda problem: jnp.mean(problem.mass(t)))(tasks.problem)
    size = jnp.mean(jnp.abs(tasks.context.values), axis=(1, 2))
    guess = jnp.where(jnp.std(guess) > 0, guess, size)
    return (guess - jnp.mean(guess)) / jnp.std(guess)


def _loss(
    fitted: FittedFamily,
    numbered: tuple[Array, Task],
    key: PRNGKeyArray,
    *,
    config: StudyConfig,
    domain: Domain,
    through: bool,
) -> Scalar:
    """The loss of one function; all its observations, at context and target points."""
    index, task = numbered
    seen = (task.context, task.target)
    times = (config.tasks.context[0], config.tasks.target[0])
    plain: tuple[Any, ...] = (None, None)
    loss = fitted.loss(index, seen, times, plain)
    if not through:
        return loss
    known = []
    for observations, number in zip(seen, times, strict=True):
        t = observations.points[:, 0].reshape(number, -1)[:, 0]
        known.append(task.problem.mass(t) / (domain.upper - domain.lower))
    return 0.5 * (loss + fitted.loss(index, seen, times, tuple(known)))
