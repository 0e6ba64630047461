"""Predictions of a neural process under every method of the article, and their scores."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon import metrics
from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.conditioning import Gaussian, LinearConstraint, integral
from physcon.conditioning.probconserv import hard_c, prob_conserv, unconstrained
from physcon.grid import Grid
from physcon.models.anp import ANP, predict_samples
from physcon.models.predictor import Observations, Prediction, mixture_moments
from physcon.problems import Problem, Task
from physcon.studies.config import EvaluationSettings, Method


class Networks(NamedTuple):
    """The trained networks: on the plain objective, and with the SoftC penalty."""

    plain: ANP
    soft: ANP | None


def posteriors(
    networks: Networks,
    task: Task,
    t: Scalar,
    key: PRNGKeyArray,
    settings: EvaluationSettings,
    draws: int,
) -> dict[Method, Gaussian]:
    """Per method the posterior of each latent draw at one time: leaves lead with ``draws``.

    Each draw is constrained on its own, as published; all methods see the same draws.
    """
    lower, upper = task.problem.settings.x
    grid = Grid.uniform(lower, upper, settings.nx, location="nodes")
    x = grid.coordinates[0]
    points = jnp.stack([jnp.full_like(x, t), x], axis=-1)
    mass = integral(grid, task.problem.mass(t), settings.noise_std, settings.rule)
    contexts = Observations(task.context.inputs, task.context.outputs)

    def draw(network: ANP) -> Gaussian:
        mean, std = predict_samples(
            network, contexts, points, key, num_samples=draws, dropout=settings.dropout
        )
        return jax.vmap(Gaussian.diagonal)(mean[..., 0], std[..., 0])

    plain = draw(networks.plain)
    found: dict[Method, Gaussian] = {}
    for method in settings.methods:
        if method == "soft":
            if networks.soft is not None:
                found[method] = draw(networks.soft)
        else:
            found[method] = jax.vmap(_method(method, mass, settings))(plain)
    return found


def _method(
    method: Method, mass: LinearConstraint, settings: EvaluationSettings
) -> Callable[[Gaussian], Gaussian]:
    """The posterior of a prior under one method."""
    methods: dict[str, Callable[[Gaussian, LinearConstraint], Gaussian]] = {
        "unconstrained": unconstrained,
        "hard": hard_c,
        "probconserv": prob_conserv,
        "diffusion": partial(prob_conserv, alpha=settings.alpha),
    }
    return lambda prior: methods[method](prior, mass)


def moments(draws: Gaussian) -> Prediction:
    """Mean and standard deviation of the mixture of posteriors over draws, ``(nx)``."""
    return mixture_moments(draws.mean, jax.vmap(Gaussian.std)(draws), ddof=1)


@eqx.filter_jit
def profiles(
    networks: Networks, task: Task, t: Scalar, key: PRNGKeyArray, settings: EvaluationSettings
) -> dict[Method, Prediction]:
    """Mixture moments of every method at one time, with the draws that the tables use."""
    found = posteriors(networks, task, t, key, settings, settings.latent_samples)
    return {method: moments(draws) for method, draws in found.items()}


@eqx.filter_jit
def masses(
    networks: Networks,
    task: Task,
    t: Float[Array, " nt"],
    key: PRNGKeyArray,
    settings: EvaluationSettings,
) -> dict[Method, Float[Array, " nt"]]:
    """Mass of the predicted mean of every method over time."""
    lower, upper = task.problem.settings.x
    grid = Grid.uniform(lower, upper, settings.nx, location="nodes")

    def at(t: Scalar) -> dict[Method, Scalar]:
        found = posteriors(networks, task, t, key, settings, settings.dense_latent_samples)
        return {
            method: grid.integrate(jnp.mean(draws.mean, axis=0), settings.rule)
            for method, draws in found.items()
        }

    return jax.lax.map(at, t)


@eqx.filter_jit
def score(
    prediction: dict[Method, Prediction], problem: Problem, t: Scalar, settings: EvaluationSettings
) -> dict[Method, dict[str, Scalar]]:
    """The scores of the published tables, and CRPS and coverage, for one function at one time."""
    lower, upper = problem.settings.x
    grid = Grid.uniform(lower, upper, settings.nx, location="nodes")
    truth, mass = problem.solution(t, grid.coordinates[0]), problem.mass(t)
    weights = grid.weights(settings.rule)
    return {
        method: {
            "conservation_error": metrics.conservation_error(mean, weights, mass),
            "log_likelihood": metrics.gaussian_log_likelihood(mean, std, truth),
            "mean_squared_error": metrics.mean_squared_error(mean, truth),
            "crps": metrics.gaussian_crps(mean, std, truth),
            "coverage": metrics.interval_coverage(mean, std, truth),
        }
        for method, (mean, std) in prediction.items()
    }


@eqx.filter_jit
def shock_positions(
    networks: Networks, task: Task, t: Scalar, key: PRNGKeyArray, settings: EvaluationSettings
) -> dict[Method, metrics.ShockPosition]:
    """Shock positions of posterior samples, spread evenly over the latent draws.

    Samples are pathwise: a prior sample is drawn, then conditioned (no covariance is factorised).
    """
    lower, upper = task.problem.settings.x
    x = Grid.uniform(lower, upper, settings.nx, location="nodes").coordinates[0]
    k = settings.latent_samples
    each = max(1, settings.shock_samples // k)
    found = posteriors(networks, task, t, key, settings, k)

    def positions(draws: Gaussian) -> metrics.ShockPosition:
        keys = jax.random.split(jax.random.fold_in(key, 1), k)
        samples = jax.vmap(lambda g, key: g.sample(key, (each,)))(draws, keys).reshape(-1, x.size)
        return jax.vmap(lambda u: metrics.shock_position(x, u))(samples)

    return {method: positions(draws) for method, draws in found.items()}
