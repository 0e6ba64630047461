"""The inverse Stefan study's model: fields, observations and likelihood given p*."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.conditioning import (
    Gaussian,
    LinearConstraint,
    integral,
    sensors,
    stationary,
)
from physcon.grid import Grid
from physcon.inverse import evidence
from physcon.kernels import matern52
from physcon.problems import Stefan
from physcon.studies.inverse.settings import InverseStefanConfig


class Data(NamedTuple):
    """A truth and its observations.

    Shapes:
        θ is ``(1,)`` and the field ``(cells)``.
    """

    theta: Float[Array, " 1"]
    field: Float[Array, " n"]
    readings: Float[Array, " k"]
    mass: Scalar


def p_star(theta: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """p* = 1 / (1 + exp(-θ)), inside (0, 1) for every θ."""
    return jax.nn.sigmoid(theta)


def parameter_prior(config: InverseStefanConfig) -> Gaussian:
    """The prior of θ, ``(1,)``; half of it lies where p* is within 0.06 of 0.62."""
    return Gaussian.diagonal(
        jnp.full(1, config.prior_mean), jnp.full(1, config.prior_std)
    )


def field(theta: Float[Array, " 1"], config: InverseStefanConfig) -> Gaussian:
    """The distribution of u given θ.

    The mean holds exact cell averages of the similarity solution; the root describes
    the discrepancy.
    """
    grid = Grid.uniform(0.0, 1.0, config.cells)
    problem = Stefan(p_star(theta[0]), throw=False)
    mean = problem.cell_averages(config.time, grid.faces())
    return stationary(
        mean,
        matern52,
        grid,
        config.discrepancy_std,
        config.discrepancy_length,
        throw=False,
    )


def rows(
    readings: Float[Array, " k"], mass: Scalar, config: InverseStefanConfig
) -> tuple[LinearConstraint, LinearConstraint]:
    """The noisy sensors and the exact metered mass."""
    grid = Grid.uniform(0.0, 1.0, config.cells)
    k = config.sensors
    half = 0.5 * config.width
    centres = jnp.asarray(
        np.linspace(half, config.reach - half, k), grid.spacings[0].dtype
    )
    seen = sensors(
        grid, centres[:, None], readings, config.noise_std, width=config.width
    )
    return seen, integral(grid, mass)


def simulate(key: PRNGKeyArray, config: InverseStefanConfig) -> Data:
    """Draw a truth from the prior, a field with a discrepancy, and noisy readings."""
    keys = jax.random.split(key, 3)
    theta = parameter_prior(config).sample(keys[0])
    u = field(theta, config).sample(keys[1])
    seen, law = rows(jnp.zeros(config.sensors), jnp.zeros(()), config)
    noise = config.noise_std * jax.random.normal(keys[2], (config.sensors,))
    return Data(theta, u, seen.operator.mv(u) + noise, law.operator.mv(u)[0])


def negative_log_likelihood(
    theta: Float[Array, " 1"],
    data: Data,
    config: InverseStefanConfig,
    constrained: bool,
) -> Scalar:
    """-log p(readings | p*), or -log p(readings, mass | p*)."""
    seen, law = rows(data.readings, data.mass, config)
    used = (seen, law) if constrained else (seen,)
    return -evidence(field(theta, config), *used, throw=False).log_evidence
