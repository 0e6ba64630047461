"""Predictions of a model under every method of the article, and their scores."""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon import metrics
from physcon._typing import Array, Float, PRNGKeyArray, PyTree, Scalar
from physcon.conditioning import METHODS, Gaussian, derived, integral, prob_conserv
from physcon.grid import Grid
from physcon.models import Model, Observations, Prediction, moments
from physcon.models.front_model import FrontModel
from physcon.problems import Problem, Task
from physcon.studies.probconserv.front_scores import front_scores
from physcon.studies.probconserv.models import applicable, points_at
from physcon.studies.probconserv.remedies import remedied
from physcon.studies.probconserv.settings import EvaluationSettings, Method


class Models(NamedTuple):
    """The networks trained on the plain objective, with the SoftC penalty, and through
    the law."""

    plain: Model
    soft: Model | None
    through: FrontModel | None = None


class Observed(NamedTuple):
    """The predictions of each model for one test function, given its contexts."""

    models: Models
    problem: Problem
    contexts: Observations
    plain: PyTree
    soft: PyTree


def observe(models: Models, task: Task) -> Observed:
    """Compute the quantities that are common to all times."""
    soft = None if models.soft is None else models.soft.observe(task.context)
    plain = models.plain.observe(task.context)
    return Observed(models, task.problem, task.context, plain, soft)


def study_grid(problem: Problem, settings: EvaluationSettings) -> Grid:
    """The nodes in space."""
    lower, upper = problem.settings.x
    return Grid.uniform(lower, upper, settings.nx, location="nodes")


def posteriors(
    function: Observed,
    t: Scalar,
    key: PRNGKeyArray,
    settings: EvaluationSettings,
    number: int,
) -> dict[Method, Gaussian]:
    """The posterior of each draw at one time, for every method.

    The draws are the leading axis of all leaves. Each draw is constrained separately,
    as published; all methods use the same draws.
    """
    models = function.models
    problem = function.problem
    grid = study_grid(problem, settings)
    points = points_at(t, grid.coordinates[0])
    mass = integral(grid, problem.mass(t), settings.noise_std, rule=settings.rule)
    plain = models.plain.draws(function.plain, points, key, number)
    article = METHODS | {"diffusion": partial(prob_conserv, alpha=settings.alpha)}
    found: dict[Method, Gaussian] = {}
    for method in settings.methods:
        if method not in applicable(models.plain):
            continue
        if method == "soft":
            if models.soft is not None:
                found[method] = models.soft.draws(function.soft, points, key, number)
        elif method in article:
            found[method] = jax.vmap(partial(article[method], law=mass))(plain)
        elif method in ("front", "trained"):
            network = models.plain if method == "front" else models.through
            if isinstance(network, FrontModel):
                x = grid.coordinates[0]
                given = (function.contexts, t, x, problem.mass(t))
                found[method] = network.draws_at_mass(*given, key, number)
        else:

            def draws(t: Scalar, x: Array) -> Gaussian:
                at = points_at(t, x)
                return models.plain.draws(function.plain, at, key, number)

            found[method] = remedied(method, plain, draws, problem, t, grid, mass)
    return found


@eqx.filter_jit
def profiles(
    models: Models,
    task: Task,
    t: Scalar,
    key: PRNGKeyArray,
    settings: EvaluationSettings,
) -> dict[Method, Prediction]:
    """Mixture moments of every method at one time, with the samples of the tables."""
    found = posteriors(observe(models, task), t, key, settings, settings.latent_samples)
    return {method: moments(draws) for method, draws in found.items()}


@eqx.filter_jit
def masses(
    models: Models,
    task: Task,
    t: Float[Array, " nt"],
    key: PRNGKeyArray,
    settings: EvaluationSettings,
) -> dict[Method, Float[Array, " nt"]]:
    """The mass of the predicted mean of every method over time."""
    grid = study_grid(task.problem, settings)
    function = observe(models, task)

    def at(t: Scalar) -> dict[Method, Scalar]:
        found = posteriors(function, t, key, settings, settings.dense_latent_samples)
        return {
            method: grid.integrate(jnp.mean(draws.mean, axis=0), settings.rule)
            for method, draws in found.items()
        }

    return jax.lax.map(at, t)


@eqx.filter_jit
def score(
    prediction: dict[Method, Prediction],
    problem: Problem,
    t: Scalar,
    truth: Float[Array, " nx"],
    settings: EvaluationSettings,
) -> dict[Method, dict[str, Scalar]]:
    """Scores of every method for one function at one time.

    They are the scores of the published tables, CRPS and coverage; with
    `score_shocks`, those of `front_scores` as well.
    """
    mass = problem.mass(t)
    grid = study_grid(problem, settings)
    weights = grid.weights(settings.rule)
    found: dict[Method, dict[str, Scalar]] = {}
    for method, each in prediction.items():
        mean, std = each
        found[method] = {
            "conservation_error": metrics.conservation_error(mean, weights, mass),
            "log_likelihood": metrics.gaussian_log_likelihood(mean, std, truth),
            "mean_squared_error": metrics.mean_squared_error(mean, truth),
            "crps": metrics.gaussian_crps(mean, std, truth),
            "coverage": metrics.interval_coverage(mean, std, truth),
        }
        if settings.score_shocks and problem.settings.has_front:
            found[method] |= front_scores(each, problem, t, truth, grid)
    return found


@eqx.filter_jit
def shock_positions(
    models: Models,
    task: Task,
    t: Scalar,
    key: PRNGKeyArray,
    settings: EvaluationSettings,
) -> dict[Method, metrics.ShockPosition]:
    """Shock positions of posterior samples, spread evenly over the draws."""
    found = posteriors(observe(models, task), t, key, settings, settings.latent_samples)
    return _positions(found, task, key, settings)


@eqx.filter_jit
def profiles_and_shocks(
    models: Models,
    task: Task,
    t: Scalar,
    key: PRNGKeyArray,
    settings: EvaluationSettings,
) -> tuple[dict[Method, Prediction], dict[Method, metrics.ShockPosition]]:
    """`profiles` and `shock_positions` of the same draws, as one program."""
    found = posteriors(observe(models, task), t, key, settings, settings.latent_samples)
    mixed: dict[Method, Prediction] = {m: moments(draws) for m, draws in found.items()}
    return mixed, _positions(found, task, key, settings)


def _positions(
    found: dict[Method, Gaussian],
    task: Task,
    key: PRNGKeyArray,
    settings: EvaluationSettings,
) -> dict[Method, metrics.ShockPosition]:
    """Samples are pathwise: a prior sample is drawn and then conditioned, so no
    covariance is factorised."""
    x = study_grid(task.problem, settings).coordinates[0]

    def positions(draws: Gaussian) -> metrics.ShockPosition:
        number = draws.mean.shape[0]
        each = max(1, settings.shock_samples // number)
        keys = jax.random.split(jax.random.fold_in(key, 1), number)
        found = jax.vmap(lambda g, key: derived.shock_positions(g, x, key, each))(
            draws, keys
        )
        return jax.tree.map(jnp.ravel, found)

    return {method: positions(draws) for method, draws in found.items()}
