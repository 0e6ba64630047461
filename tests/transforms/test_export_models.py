"""Exports of models, scores, maps, inverse problems, see `test_export_everything`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from exporting import FNO, GRID, KEY, N, export, mass, prior

import physcon as pc
from physcon import assimilation, inverse, linear_map, metrics, models, operators
from physcon.models.ensemble import make_ensemble

LATENT = models.OperatorRegressor(operators.FNO.init(KEY, 2, 2, (3,), 4, 1), latents=1)


def misfit(x) -> Callable:
    """Two readings of eight parameters."""
    return lambda theta: jnp.tanh(theta[:2]) - x[:2]


ANP = models.ANP(dim=1, size=4, heads=2, layers=1, key=KEY)
MEMBERS = make_ensemble(KEY, 2, dim=1, width=4, depth=1)


def contexts(x):
    return models.Observations(GRID.coordinates[0][:3, None], x[:3, None])


def every_model(x):
    points = GRID.coordinates[0][:, None]
    found = [
        models.NeuralProcess(ANP),
        models.GaussianProcess(),
        models.Ensemble(MEMBERS),
    ]
    priors = [m.draws(m.observe(contexts(x)), points, KEY, 2) for m in found]
    return [models.moments(prior) for prior in priors]


def every_metric(x):
    std, samples = 1 + x**2, jnp.stack([x, 2 * x, x**2])
    shocks = jax.vmap(metrics.shock_position, (None, 0))(GRID.coordinates[0], samples)
    pointwise = (
        metrics.gaussian_log_likelihood,
        metrics.gaussian_crps,
        metrics.standardized,
    )
    return (
        metrics.mean_squared_error(x, std),
        metrics.relative_l2(x, std),
        [score(x, std, 2 * x) for score in pointwise],
        metrics.energy_score(samples, std),
        metrics.interval_coverage(x, std, 2 * x),
        metrics.calibration_factor(x, std, 2 * x),
        metrics.interval_width(std),
        metrics.probability_integral_transform(x, std, 2 * x),
        metrics.conservation_error(x, GRID.weights(), 1.0),
        metrics.shock_position_error(shocks, 0.5),
    )


def every_update(x):
    members = jnp.stack([x, 2 * x, x**2])
    places = GRID.coordinates[0][:2]
    options = {
        "localisation": assimilation.localisation(GRID, places, 0.5, periodic=True),
        "law": mass(x),
        "throw": False,
    }
    data = pc.sensors(GRID, places, x[:2], 0.1)
    return [
        assimilation.ensemble_update(members, data, **options),
        assimilation.ensemble_update(members, data, key=KEY, lower=0.0, **options),
    ]


def every_map(x):
    spectrum = 2 + jnp.cos(jnp.arange(3.0))
    a, b = pc.Diagonal(x), pc.LowRank(jnp.stack([x, x**2]))
    maps = [
        linear_map.Circulant(spectrum, (2,), (4,)),
        linear_map.Sum(b, a),
        linear_map.Compose(pc.Rows(x[None]), a),
        linear_map.Kronecker(linear_map.Dense(jnp.ones((2, 2)), (2,)), b),
        linear_map.BlockDiagonal(a, a),
        linear_map.Difference(x),
        linear_map.Stencil(jnp.stack([x, x**2]), ((0,), (1,)), (N,)),
    ]
    split = linear_map.split_fields(x, ((2,), (2, 3)))
    return split, [m.rmv(m.mv(jnp.ones(m.in_shape))) for m in maps]


#: Name of the public thing -> a function of x (8 numbers).
TABLE: dict[str, Callable[[Any], Any]] = {
    # Inverse problems
    "inverse.least_squares": lambda x: inverse.least_squares(
        misfit(x), prior(x), throw=False
    ),
    "inverse.maximum_a_posteriori": lambda x: inverse.maximum_a_posteriori(
        lambda theta: jnp.sum(misfit(x)(theta) ** 2), prior(x), throw=False
    ),
    "inverse.evidence": lambda x: inverse.evidence(prior(x), mass(x), throw=False),
    "inverse.laplace_sample": lambda x: inverse.laplace_sample(
        KEY, misfit(x), prior(x), x, throw=False
    ),
    # Ensembles
    "assimilation.ensemble_update, assimilation.localisation, "
    "assimilation.gaspari_cohn": every_update,
    # Models and scores
    "models.ANP, models.predict, models.predict_samples": lambda x: models.predict(
        ANP, contexts(x), x[:, None], KEY, num_samples=2
    ),
    "models.NeuralProcess, models.GaussianProcess, models.Ensemble, models.moments": (
        every_model
    ),
    "models.OperatorRegressor, models.operator_prior, models.operator_loss": lambda x: (
        models.operator_prior(models.OperatorRegressor(FNO), x[None]).mean,
        models.operator_loss(models.OperatorRegressor(FNO), x[None], x[None]),
    ),
    "models.latent_prior, models.latent_loss": lambda x: (
        models.latent_prior(LATENT, x[None], key=KEY, samples=2).mean,
        models.latent_loss(LATENT, x[None], x[None], key=KEY, samples=2),
    ),
    "models.mixture_moments": lambda x: models.mixture_moments(
        x.reshape(2, 4), jnp.ones((2, 4))
    ),
    "metrics.mean_squared_error, metrics.relative_l2, metrics.gaussian_log_likelihood, "
    "metrics.gaussian_crps, metrics.standardized, metrics.energy_score, "
    "metrics.interval_coverage, metrics.calibration_factor, "
    "metrics.interval_width, metrics.probability_integral_transform, "
    "metrics.conservation_error, metrics.shock_position, "
    "metrics.shock_position_error": every_metric,
    "linear_map.Circulant, linear_map.Sum, linear_map.Compose, Kronecker, "
    "linear_map.BlockDiagonal, linear_map.Dense, linear_map.Difference, "
    "linear_map.Stencil, "
    "linear_map.split_fields": every_map,
}


@pytest.mark.parametrize("name", TABLE, ids=lambda line: line.partition(", ")[0])
def test_exports_for_every_platform(name):
    with jax.numpy_dtype_promotion("strict"):
        export(TABLE[name])
