"""Scores against numerical integration, scipy and brute force; shocks of known profiles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import stats
from scipy.integrate import quad

from physcon import metrics


@pytest.fixture
def prediction(rng):
    """Means, standard deviations over two decades, truth: float64."""
    mean, std = rng.normal(size=(2, 9)), 10 ** rng.uniform(-1, 1, (2, 9))
    return mean, std, mean + std * rng.normal(size=(2, 9))


@pytest.mark.usefixtures("x64")
def test_scores_equal_scipy_and_the_defining_integral(prediction):
    mean, std, truth = prediction
    expected = stats.norm.logpdf(truth, mean, std).mean()
    np.testing.assert_allclose(metrics.gaussian_log_likelihood(*prediction), expected, rtol=1e-13)
    np.testing.assert_allclose(
        metrics.mean_squared_error(mean, truth), ((mean - truth) ** 2).mean()
    )

    def crps(m, s, y):  # the integral of (F(x) - 1[x >= y])² over x
        below = quad(lambda x: stats.norm.cdf(x, m, s) ** 2, m - 12 * s, y, epsabs=1e-12)[0]
        above = quad(lambda x: stats.norm.sf(x, m, s) ** 2, y, m + 12 * s, epsabs=1e-12)[0]
        return below + above

    points = zip(mean.ravel(), std.ravel(), truth.ravel(), strict=True)
    expected = np.mean([crps(*point) for point in points])
    np.testing.assert_allclose(metrics.gaussian_crps(*prediction), expected, rtol=1e-10)


@pytest.mark.usefixtures("x64")
def test_scores_are_losses(prediction):
    for score in (metrics.gaussian_log_likelihood, metrics.gaussian_crps):
        check_grads(jax.jit(score), prediction, order=2)


def test_scores_are_proper(rng):
    # The expected score over truths N(0, 1) is best, and stationary, at the mean 0 and std 1.
    truth = stats.norm.ppf((np.arange(4000) + 0.5) / 4000).astype(np.float32)

    @jax.jit
    @jax.vmap
    def scores(mean, std):
        like = jnp.ones_like(truth)
        args = (mean * like, std * like, truth)
        return metrics.gaussian_log_likelihood(*args), -metrics.gaussian_crps(*args)

    others = np.array([[0, 1], [0.3, 1], [-0.3, 1], [0, 0.7], [0, 1.4]], dtype=np.float32)
    for values in scores(*others.T):
        assert np.all(values[0] > values[1:] + 1e-3)


@pytest.mark.parametrize("fair", [True, False])
@pytest.mark.usefixtures("x64")
def test_energy_score_equals_the_double_sum(rng, fair):
    samples, truth = rng.normal(size=(7, 2, 3)), rng.normal(size=(2, 3))
    norm = lambda a: np.sqrt(np.sum(a**2, axis=(-2, -1)))  # noqa: E731
    pairs = norm(samples[:, None] - samples[None])
    between = pairs.sum() / (7 * 6) if fair else pairs.mean()
    expected = norm(samples - truth).mean() - 0.5 * between
    np.testing.assert_allclose(metrics.energy_score(samples, truth, fair), expected, rtol=1e-13)
    check_grads(lambda s: metrics.energy_score(s, truth, fair), (samples,), order=1, modes=["rev"])


def test_energy_score_of_a_scalar_is_the_crps():
    quantiles = stats.norm.ppf((np.arange(800) + 0.5) / 800).astype(np.float32)
    mean, std, truth = jnp.array([0.5]), jnp.array([2.0]), jnp.array([1.7])
    score = metrics.energy_score((mean + std * quantiles)[:, None], truth, fair=False)
    np.testing.assert_allclose(score, metrics.gaussian_crps(mean, std, truth), rtol=1e-3)


def test_calibrated_predictions_have_uniform_pit_and_nominal_coverage(rng):
    n = 4000
    mean, std = rng.normal(size=n).astype("f4"), (10 ** rng.uniform(-2, 2, n)).astype("f4")
    truth = (mean + std * rng.normal(size=n)).astype("f4")
    assert (
        stats.kstest(metrics.probability_integral_transform(mean, std, truth), "uniform")[1] > 0.05
    )
    narrow = metrics.probability_integral_transform(mean, std / 2, truth)
    assert stats.kstest(narrow, "uniform")[1] < 1e-9
    for level in (0.5, 0.95):
        share = float(metrics.interval_coverage(mean, std, truth, level))
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / n)
        width = 2 * stats.norm.ppf(0.5 + level / 2) * std.astype("f8").mean()
        np.testing.assert_allclose(metrics.interval_width(std, level), width, rtol=1e-5)


def test_conservation_error_is_a_small_difference_of_large_sums(rng):
    mean = (1e3 + rng.normal(size=100_000)).astype("f4")
    weights = np.full(mean.shape, 1e-5, dtype="f4")
    total = float(mean.astype("f8") @ weights.astype("f8"))
    mass = np.float32(total)
    error = metrics.conservation_error(mean, weights, mass)
    np.testing.assert_allclose(error, total - float(mass), rtol=1e-6)
    slope = jax.grad(metrics.conservation_error)(jnp.asarray(mean), weights, mass)
    np.testing.assert_array_equal(slope, weights)


def test_shock_position_of_known_profiles():
    x = jnp.array([0.0, 0.1, 0.3, 0.6, 1.0])
    profiles = jnp.array(
        [
            [3.0, 2.0, 1.0, -2.0, -1.0],  # crosses 0 a third of the way from 0.3 to 0.6
            [3.0, 2.0, 0.0, 0.0, 0.0],  # reaches 0 at a point
            [-1.0, 1.0, 1.0, 1.0, 1.0],  # below from the start
            [5.0, 4.0, 3.0, 2.0, 1.0],  # never below
        ]
    )
    first = jax.vmap(metrics.shock_position, (None, 0))(x, profiles)
    np.testing.assert_allclose(first.position, [0.6, 0.3, 0.0, 1.0])
    assert first.found.tolist() == [True, True, True, False]
    between = jax.vmap(lambda u: metrics.shock_position(x, u, interpolate=True))(profiles)
    np.testing.assert_allclose(between.position, [0.4, 0.3, 0.0, 1.0], rtol=1e-6)
    assert between.found.tolist() == first.found.tolist()
    error, share = metrics.shock_position_error(first, 0.5)
    np.testing.assert_allclose([error, share], [0.8 / 3, 0.75], rtol=1e-6)
    none = jax.tree.map(lambda leaf: leaf[3:], first)
    assert [float(value) for value in metrics.shock_position_error(none, 0.5)] == [np.inf, 0.0]


@pytest.mark.usefixtures("x64")
def test_interpolated_shock_position_has_a_derivative():
    x = jnp.linspace(0.0, 1.0, 6)
    u = jnp.array([2.0, 1.5, 0.7, -0.4, -1.0, -2.0])

    def position(u):
        return metrics.shock_position(x, u, 0.1, interpolate=True).position

    check_grads(position, (u,), order=1)
    assert float(jnp.sum(jnp.abs(jax.grad(position)(u)))) > 0
    np.testing.assert_array_equal(jax.grad(position)(u + 5.0), jnp.zeros(6))  # none found: no NaN


def test_shapes_that_would_broadcast_are_refused():
    mean = jnp.zeros((3, 4))
    with pytest.raises(ValueError, match=r"truth of shape \(3, 4\).*got \(4,\)"):
        metrics.mean_squared_error(mean, jnp.zeros(4))
    with pytest.raises(ValueError, match=r"expected a level in \(0, 1\), got 95"):
        metrics.interval_width(jnp.ones(3), 95)
    with pytest.raises(ValueError, match="expected 2 or more samples, got 1"):
        metrics.energy_score(jnp.zeros((1, 4)), jnp.zeros(4))
