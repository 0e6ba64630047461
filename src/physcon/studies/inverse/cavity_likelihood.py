"""The readings of a cavity flow, given its swirls θ: mean, covariance and estimate.

The errors of the network and of the surface on validation flows are a Gaussian around
the prediction. The study conditions it on no slip; `physcon.studies.inverse.cavity`
describes the whole.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.conditioning import Gaussian, LinearConstraint, condition, sensors
from physcon.inverse import Estimate, least_squares
from physcon.linear_map import Rows
from physcon.studies.inverse.cavity_flows import (
    Flows,
    Laws,
    grid,
    no_slip,
    prior,
)
from physcon.studies.inverse.cavity_network import Surrogate, predict
from physcon.studies.inverse.settings import InverseCavityConfig


def field(
    surrogate: Surrogate,
    theta: Float[Array, " 9"],
    lid: Scalar,
    config: InverseCavityConfig,
    laws: Laws,
) -> Gaussian:
    """The predicted vorticity given θ, with its errors, conditioned on the laws."""
    error = Gaussian.from_samples(surrogate.errors)
    mean = predict(surrogate.network, surrogate.surface, theta, lid, config)
    plain = Gaussian(mean + error.mean, error.root)
    if laws == "none":
        return plain
    return condition(plain, no_slip(lid, config, laws), throw=False).posterior


def sensor_places(config: InverseCavityConfig) -> Float[Array, "s 2"]:
    """Random sensor positions, at some distance from the walls."""
    key = jax.random.key(config.seed + 2)
    return jax.random.uniform(key, (config.sensors, 2), float, 0.05, 0.95)


def sensing(config: InverseCavityConfig) -> LinearConstraint:
    """All sensors with their common reading times; the values are still zero."""
    places = sensor_places(config)
    every = config.times // config.readings
    times = grid(config).coordinates[2][every - 1 :: every]
    at = jnp.repeat(times, config.sensors)[:, None]
    points = jnp.concatenate([jnp.tile(places, (times.size, 1)), at], axis=1)
    return sensors(grid(config), points, jnp.zeros(points.shape[0]), config.noise_std)


class Sight(eqx.Module):
    """The surrogate, restricted to the rows that matter.

    Only S ω and G ω of the field are needed, which are k + m rows.

    Shapes:
        errors is ``(v, k + m)``.
    """

    surrogate: Surrogate
    rows: Rows
    errors: Float[Array, "v r"]


def sight(surrogate: Surrogate, config: InverseCavityConfig, laws: Laws) -> Sight:
    """The rows of the sensors, followed by the rows of the laws, if there are any."""
    rows = sensing(config).operator.rows()
    if laws != "none":
        law = no_slip(jnp.zeros(()), config, laws)
        rows = jnp.concatenate([rows, law.operator.rows()])
    flat = surrogate.errors.reshape(surrogate.errors.shape[0], -1)
    errors = jnp.matmul(flat, rows.reshape(rows.shape[0], -1).T, precision="highest")
    return Sight(surrogate, Rows(rows), errors)


def misfit(
    seen: Sight,
    theta: Float[Array, " 9"],
    lid: Scalar,
    readings: Float[Array, " k"],
    config: InverseCavityConfig,
    laws: Laws,
) -> Float[Array, " k"]:
    """L⁻¹ (y - S E[ω | θ]), L Lᵀ = S Cov[ω] Sᵀ + noise²: white if θ is the truth.

    The rows are conditioned on the laws, which equals the same rows of the conditioned
    `field`.
    """
    k = readings.size
    size = seen.errors.shape[1]
    error = Gaussian.from_samples(seen.errors)
    mean = predict(seen.surrogate.network, seen.surrogate.surface, theta, lid, config)
    given = Gaussian(seen.rows.mv(mean) + error.mean, error.root)
    if laws != "none":
        law = LinearConstraint(
            Rows(jnp.eye(size)[k:]), no_slip(lid, config, laws).value
        )
        given = condition(given, law, throw=False).posterior
    half = jax.vmap(given.root.rmv)(jnp.eye(k, size))
    spread = jnp.matmul(
        half, half.T, precision="highest"
    ) + config.noise_std**2 * jnp.eye(k)
    missed = readings - given.mean[:k]
    return jax.scipy.linalg.solve_triangular(
        jnp.linalg.cholesky(spread), missed, lower=True
    )


def observed(
    key: PRNGKeyArray, those: Flows, config: InverseCavityConfig
) -> Float[Array, "*s k"]:
    """Noisy readings of every flow."""
    exact = jax.vmap(sensing(config).operator.mv)(those.vorticity[..., 1:])
    return exact + config.noise_std * jax.random.normal(key, exact.shape)


def inflation(
    seen: Sight, others: Flows, readings: Array, config: InverseCavityConfig, laws: Laws
) -> Scalar:
    """Root mean square of the misfits at the true parameters of held-out flows.

    The error covariance is estimated without these flows. The result would be 1 if the
    errors were Gaussian, equally distributed for all flows, and their covariance known.
    """

    def one(pair: tuple[Flows, Array]) -> Scalar:
        flow, data = pair
        return jnp.mean(misfit(seen, flow.theta, flow.lid, data, config, laws) ** 2)

    return jnp.sqrt(jnp.mean(jax.lax.map(one, (others, readings))))


def estimate(
    seen: Sight,
    lid: Scalar,
    readings: Float[Array, " k"],
    config: InverseCavityConfig,
    laws: Laws,
    inflation: Scalar,
) -> Estimate:
    """Estimate θ and its covariance, by Levenberg-Marquardt from the prior mean."""
    return least_squares(
        lambda theta: misfit(seen, theta, lid, readings, config, laws) / inflation,
        prior(config),
        throw=False,
    )
