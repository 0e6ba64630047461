"""Models and scores in any unit of the values: number densities, charges, metres."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.models import Observations, OperatorRegressor, mixture_moments
from physcon.models.gp import gp_fit, gp_predictor
from physcon.models.heads import bounded_std
from physcon.models.operator import operator_loss
from physcon.models.scores import conditioned_log_density, negative_log_likelihood
from physcon.operators import FNO, Normaliser, mean_and_variance

UNITS = [2.0**-100, 2.0**66]  # about 1e-30 and 1e20


@pytest.fixture
def sample(rng):
    """Truth, mean, standard deviation: three groups of five points."""
    u, mean = rng.normal(size=(2, 3, 5))
    return u, mean, 0.5 + rng.uniform(size=(3, 5))


@pytest.mark.parametrize("unit", UNITS)
def test_likelihood_of_values_in_any_unit(unit, sample):
    """log N of values in another unit differs by n log(unit), and has a gradient."""
    u, mean, std = sample
    expected = np.sum(0.5 * ((u - mean) / std) ** 2 + 0.5 * np.log(2 * np.pi * std**2))
    scaled = [jnp.asarray(x * unit, jnp.float32) for x in sample]
    got, slope = jax.value_and_grad(negative_log_likelihood, 2)(*scaled)
    np.testing.assert_allclose(got, expected + u.size * np.log(unit), rtol=1e-5)
    by_hand = 1 / std - (u - mean) ** 2 / std**3
    np.testing.assert_allclose(slope * np.float32(unit), by_hand, rtol=1e-4)


@pytest.mark.parametrize("unit", UNITS)
def test_conditioned_density_in_any_unit(unit, sample, rng):
    """Against Bayes' rule in NumPy and float64, rows in another unit too."""
    u, mean, std = sample
    rows = rng.uniform(0.5, 1.5, size=u.shape)

    def normal(x, m, v):
        return -0.5 * ((x - m) ** 2 / v + np.log(2 * np.pi * v))

    b, s = np.sum(rows * u, -1), 0.1
    spread = np.sum((rows * std) ** 2, -1) + s**2
    expected = np.sum(normal(u, mean, std**2), -1) + normal(b, b, s**2)
    expected = expected - normal(b, np.sum(rows * mean, -1), spread)
    values = [jnp.asarray(x * unit, jnp.float32) for x in sample]
    inverse = jnp.asarray(rows / unit, jnp.float32)
    got = conditioned_log_density(*values, inverse, s)
    np.testing.assert_allclose(got, expected - 5 * np.log(unit), rtol=1e-5)


@pytest.mark.parametrize("unit", UNITS)
def test_mixture_and_normaliser_in_any_unit(unit, rng):
    means, stds = rng.normal(size=(4, 6)), rng.uniform(0.1, 1, (4, 6))
    got = mixture_moments(*(jnp.asarray(x * unit, jnp.float32) for x in (means, stds)))
    expected = np.sqrt(np.mean(stds**2, 0) + np.var(means, 0))
    np.testing.assert_allclose(got.std / np.float32(unit), expected, rtol=1e-5)
    samples = jnp.asarray(unit * (3 + rng.normal(size=(7, 1, 50))), jnp.float32)
    norm = Normaliser.fit(samples)
    np.testing.assert_allclose(jnp.std(jax.vmap(norm.encode)(samples)), 1, rtol=1e-4)


@pytest.mark.parametrize("unit", UNITS)
def test_a_gaussian_process_in_any_unit(unit):
    """The fit, and the prediction, scale with the values."""
    x = jnp.linspace(0.0, 1.0, 7)[:, None]
    y = jnp.sin(4 * x) + 2

    def predicted(unit):
        data = Observations(x, y * jnp.float32(unit))
        params = gp_fit(data, max_steps=20)
        out = gp_predictor()(params, data, x + 0.05, jax.random.key(0))
        return np.stack([np.asarray(a, float) / unit for a in out])

    got, expected = predicted(unit), predicted(1.0)
    np.testing.assert_allclose(got, expected, rtol=2e-2, atol=2e-4)


@pytest.mark.parametrize("unit", UNITS)
def test_an_operator_in_any_unit(unit, rng):
    """The normaliser carries the unit; the loss differs by log(unit)."""
    u = jnp.asarray(rng.normal(size=(1, 16)), jnp.float32)
    fno = FNO.init(jax.random.key(0), 1, 2, (3,), 4, 1, hidden=4)

    def evaluated(unit):
        norm = Normaliser(jnp.ones(1) * 2 * unit, jnp.ones(1) * unit)
        model = OperatorRegressor(
            eqx.tree_at(lambda f: f.outputs, fno, norm, is_leaf=_none)
        )
        return (*model(u), operator_loss(model, u, u * unit))

    mean, std, loss = evaluated(unit)
    expected = evaluated(1.0)
    np.testing.assert_allclose(mean / np.float32(unit), expected[0], rtol=1e-5)
    np.testing.assert_allclose(std / np.float32(unit), expected[1], rtol=1e-5)
    np.testing.assert_allclose(loss, expected[2] + np.log(unit), rtol=1e-5)


def _none(x):
    return x is None


def test_bounds_of_the_spread():
    """Huge raw outputs stay below the bound, small ones are as without it."""
    raw = jnp.array([-3.0, 0.0, 50.0, 1e6])
    bounded = bounded_std(raw, 1e-3, 2.0)
    assert (np.diff(bounded) >= 0).all()
    assert float(bounded[-1]) <= 2.0
    np.testing.assert_allclose(bounded[0], bounded_std(raw, 1e-3)[0], rtol=1e-3)
    log_variance = jnp.stack([jnp.zeros(4), 2 * raw])
    _, variance = mean_and_variance(log_variance, max_std=2.0)
    np.testing.assert_allclose(jnp.sqrt(variance[0, 2:]), 2.0, rtol=1e-6)
    np.testing.assert_allclose(variance[0, 0], np.exp(-6.0), rtol=1e-3)
    slope = jax.grad(lambda r: jnp.sum(bounded_std(r, 1e-3, 2.0)))(raw)
    assert np.isfinite(slope).all()
