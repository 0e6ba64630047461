"""Scores against numerical integration, scipy and brute force; shocks of known
profiles.
"""

from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from physcon import metrics
from physcon.models import scores


@pytest.fixture
def prediction(rng, x64):
    """Means, standard deviations over two decades, truth: float64."""
    mean, std = rng.normal(size=(2, 9)), 10 ** rng.uniform(-1, 1, (2, 9))
    return tuple(map(jnp.asarray, (mean, std, mean + std * rng.normal(size=(2, 9)))))


def test_scores_equal_scipy_and_the_defining_integral(prediction):
    mean, std, truth = prediction
    expected = stats.norm.logpdf(truth, mean, std).mean()
    np.testing.assert_allclose(
        metrics.gaussian_log_likelihood(*prediction), expected, rtol=1e-13
    )
    np.testing.assert_allclose(
        metrics.mean_squared_error(mean, truth), ((mean - truth) ** 2).mean()
    )
    expected = np.sqrt(np.sum((mean - truth) ** 2) / np.sum(truth**2))
    np.testing.assert_allclose(metrics.relative_l2(mean, truth), expected)

    def crps(m, s, y):  # the integral of (F(x) - 1[x >= y])² over x
        below = quad(
            lambda x: stats.norm.cdf(x, m, s) ** 2, m - 12 * s, y, epsabs=1e-12
        )[0]
        above = quad(
            lambda x: stats.norm.sf(x, m, s) ** 2, y, m + 12 * s, epsabs=1e-12
        )[0]
        return below + above

    points = zip(*(np.asarray(a).ravel() for a in prediction), strict=True)
    expected = np.mean([crps(*point) for point in points])
    np.testing.assert_allclose(metrics.gaussian_crps(*prediction), expected, rtol=1e-10)


def test_scores_are_losses(prediction):
    # d/dmean of ln N is z / std; d/dmean of the CRPS is 1 - 2 Φ(z): both known in
    # closed form.
    mean, std, truth = prediction
    z = (truth - mean) / std
    slopes = jax.jit(
        lambda *args: (
            jax.grad(metrics.gaussian_log_likelihood, (0, 1))(*args),
            jax.grad(metrics.gaussian_crps, (0, 1))(*args),
        )
    )(*prediction)
    density, cumulated = stats.norm.pdf(z), stats.norm.cdf(z)
    expected = (
        (z / std, (z**2 - 1) / std),
        (1 - 2 * cumulated, 2 * density - 1 / np.sqrt(np.pi)),
    )
    for got, exact in zip(
        jax.tree.leaves(slopes), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(got, exact / mean.size, rtol=1e-11, atol=1e-14)


def test_scores_are_proper(rng):
    # The expected score over truths N(0, 1) is best, and stationary, at the mean 0 and
    # std 1.
    truth = jnp.asarray(stats.norm.ppf((np.arange(4000) + 0.5) / 4000), dtype=float)

    @jax.jit
    @jax.vmap
    def scores(mean, std):
        like = jnp.ones_like(truth)
        args = (mean * like, std * like, truth)
        return metrics.gaussian_log_likelihood(*args), -metrics.gaussian_crps(*args)

    others = np.array(
        [[0, 1], [0.3, 1], [-0.3, 1], [0, 0.7], [0, 1.4]], dtype=np.float32
    )
    for values in scores(*others.T):
        assert np.all(values[0] > values[1:] + 1e-3)


@pytest.mark.parametrize("fair", [True, False])
@pytest.mark.usefixtures("x64")
def test_energy_score_equals_the_double_sum(rng, fair):
    samples, truth = (
        jnp.asarray(rng.normal(size=(7, 2, 3))),
        jnp.asarray(rng.normal(size=(2, 3))),
    )
    norm = lambda a: np.sqrt(np.sum(np.square(a), axis=(-2, -1)))  # noqa: E731
    pairs = norm(samples[:, None] - samples[None])
    between = pairs.sum() / (7 * 6) if fair else pairs.mean()
    expected = norm(samples - truth[None]).mean() - 0.5 * between
    score = jax.jit(
        jax.value_and_grad(lambda s: metrics.energy_score(s, truth, fair=fair))
    )
    value, slope = score(samples)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    # along any direction, the derivative is the central difference
    step = 1e-6 * rng.normal(size=samples.shape)
    change = score(samples + step)[0] - score(samples - step)[0]
    np.testing.assert_allclose(np.sum(slope * step), change / 2, rtol=1e-6)


def test_energy_score_of_a_scalar_is_the_crps():
    quantiles = stats.norm.ppf((np.arange(800) + 0.5) / 800).astype(np.float32)
    mean, std, truth = jnp.array([0.5]), jnp.array([2.0]), jnp.array([1.7])
    score = jax.jit(metrics.energy_score, static_argnames="fair")(
        (mean + std * quantiles)[:, None], truth, fair=False
    )
    np.testing.assert_allclose(
        score, metrics.gaussian_crps(mean, std, truth), rtol=1e-3
    )


def test_calibrated_predictions_have_uniform_pit_and_nominal_coverage(rng):
    n = 4000
    mean, std = (
        jnp.asarray(rng.normal(size=n)),
        jnp.asarray(10 ** rng.uniform(-2, 2, n)),
    )
    truth = mean + std * jnp.asarray(rng.normal(size=n))
    assert (
        stats.kstest(
            metrics.probability_integral_transform(mean, std, truth), "uniform"
        )[1]
        > 0.05
    )
    narrow = metrics.probability_integral_transform(mean, std / 2, truth)
    assert stats.kstest(narrow, "uniform")[1] < 1e-9
    for level in (0.5, 0.95):
        share = float(metrics.interval_coverage(mean, std, truth, level))
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / n)
        width = 2 * stats.norm.ppf(0.5 + level / 2) * np.asarray(std, "f8").mean()
        np.testing.assert_allclose(metrics.interval_width(std, level), width, rtol=1e-5)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_calibration_factor_makes_intervals_hold_their_level(rng, level):
    n = 4000
    mean, std = jnp.asarray(rng.normal(size=n)), jnp.asarray(rng.uniform(0.5, 2, n))
    truth = mean + 3 * std * jnp.asarray(rng.normal(size=n))
    factor = metrics.calibration_factor(mean, std, truth, level)
    assert float(factor) == pytest.approx(3, rel=0.06)
    share = metrics.interval_coverage(mean, factor * std, truth, level)
    assert level - 1e-6 <= float(share) <= level + 2 / n
    # In other units of the field, and of predictions that are calibrated.
    scaled = metrics.calibration_factor(1e20 * mean, 1e20 * std, 1e20 * truth, level)
    np.testing.assert_allclose(scaled, factor, rtol=1e-5)
    one = metrics.calibration_factor(mean, 3 * std, truth, level)
    np.testing.assert_allclose(one, factor / 3, rtol=1e-5)


def test_conservation_error_is_a_small_difference_of_large_sums(rng):
    mean = (1e3 + rng.normal(size=100_000)).astype("f4")
    weights = np.full(mean.shape, 1e-5, dtype="f4")
    total = float(mean.astype("f8") @ weights.astype("f8"))
    mass = np.float32(total)
    error, slope = jax.jit(jax.value_and_grad(metrics.conservation_error))(
        mean, weights, mass
    )
    np.testing.assert_allclose(error, total - float(mass), rtol=1e-6)
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
    first = jax.jit(jax.vmap(metrics.shock_position, (None, 0)))(x, profiles)
    np.testing.assert_allclose(first.position, [0.6, 0.3, 0.0, 1.0])
    assert first.found.tolist() == [True, True, True, False]
    interpolated = partial(metrics.shock_position, interpolate=True)
    between = jax.jit(jax.vmap(interpolated, (None, 0)))(x, profiles)
    np.testing.assert_allclose(between.position, [0.4, 0.3, 0.0, 1.0], rtol=1e-6)
    assert between.found.tolist() == first.found.tolist()
    distance = jax.jit(metrics.shock_position_error)
    error, share = distance(first, 0.5)
    np.testing.assert_allclose([error, share], [0.8 / 3, 0.75], rtol=1e-6)
    none = jax.tree.map(lambda leaf: leaf[3:], first)
    assert [float(value) for value in distance(none, 0.5)] == [np.inf, 0.0]


@pytest.mark.usefixtures("x64")
def test_interpolated_shock_position_has_a_derivative():
    x = jnp.linspace(0.0, 1.0, 6)
    u = jnp.array([2.0, 1.5, 0.7, -0.4, -1.0, -2.0])

    def position(u):
        return metrics.shock_position(x, u, 0.1, interpolate=True).position

    slope = jax.jit(jax.grad(position))
    # s = x_2 + h (u_2 - c) / (u_2 - u_3): ds/du_2 = h (c - u_3) / (u_2 - u_3)², ds/du_3
    # likewise
    expected = 0.2 * np.array([0, 0, 0.1 + 0.4, 0.7 - 0.1, 0, 0]) / (0.7 + 0.4) ** 2
    np.testing.assert_allclose(slope(u), expected, rtol=1e-12)
    np.testing.assert_array_equal(slope(u + 5.0), jnp.zeros(6))  # none found: no NaN


def test_shapes_that_would_broadcast_are_refused(monkeypatch):
    monkeypatch.setattr(
        jaxtyping.config, "jaxtyping_disable", True
    )  # as in a user's program
    mean = jnp.zeros((3, 4))
    with pytest.raises(ValueError, match=r"truth of shape \(3, 4\).*got \(4,\)"):
        metrics.mean_squared_error(mean, jnp.zeros(4))
    with pytest.raises(ValueError, match=r"expected a level in \(0, 1\), got 95"):
        metrics.interval_width(jnp.ones(3), 95)
    with pytest.raises(ValueError, match="expected 2 or more samples, got 1"):
        metrics.energy_score(jnp.zeros((1, 4)), jnp.zeros(4))


CERTAIN = jnp.array([1.0, 2.0, 0.5]), jnp.array([0.0, 0.0, 0.1])
SCORES = {
    "log likelihood": metrics.gaussian_log_likelihood,
    "crps": metrics.gaussian_crps,
}


def test_scores_of_certain_points_that_are_met():
    """A boundary value met exactly: no error, probability one, covered."""
    mean, std = CERTAIN
    truth = jnp.array([1.0, 2.0 + 4e-7, 0.6])  # the second to rounding
    alone = (mean[2:], std[2:], truth[2:])
    assert float(metrics.interval_coverage(mean, std, truth)) == 1.0
    pit = metrics.probability_integral_transform(mean, std, truth)
    np.testing.assert_allclose(pit[:2], 0.5)
    for score in SCORES.values():
        found, expected = score(mean, std, truth), score(*alone) / 3
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        gradients = jax.grad(score, (0, 1, 2))(mean, std, truth)
        assert all(np.all(np.isfinite(g)) for g in gradients)


def test_scores_of_certain_points_that_are_missed():
    mean, std, truth = jnp.array([1.0, 2.0]), jnp.zeros(2), jnp.array([1.5, 1.0])
    assert float(metrics.gaussian_crps(mean, std, truth)) == 0.75
    assert float(metrics.interval_coverage(mean, std, truth)) == 0.0
    assert float(metrics.gaussian_log_likelihood(mean, std, truth)) == -np.inf
    pit = metrics.probability_integral_transform(mean, std, truth)
    assert pit.tolist() == [1.0, 0.0]
    assert np.isnan(metrics.gaussian_crps(mean, -jnp.ones(2), truth))
    assert np.isnan(metrics.gaussian_log_likelihood(mean, -jnp.ones(2), truth))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scores_do_not_depend_on_the_units(rng, scale):
    mean, truth, std = (jnp.asarray(rng.uniform(0.5, 1.5, 8)) for _ in range(3))
    samples = jnp.asarray(rng.normal(size=(5, 8)))

    def scores(s):
        prediction = s * mean, s * std, s * truth
        return jnp.stack(
            [
                metrics.relative_l2(s * mean, s * truth),
                metrics.gaussian_crps(*prediction) / s,
                metrics.gaussian_log_likelihood(*prediction) + jnp.log(s),
                metrics.interval_coverage(*prediction),
                metrics.energy_score(s * samples, s * truth) / s,
            ]
        )

    one = jnp.float32(1.0)
    np.testing.assert_allclose(scores(scale * one), scores(one), rtol=3e-5)
    slope = jax.grad(lambda u: metrics.relative_l2(scale * u, scale * truth))(mean)
    expected = jax.grad(lambda u: metrics.relative_l2(u, truth))(mean)
    np.testing.assert_allclose(slope, expected, rtol=1e-5)


def test_a_certain_point_adds_nothing_to_a_loss_if_it_is_met():
    u = jnp.array([1.0, 2.0, 3.0])
    std = jnp.array([0.0, 0.5, 0.0])
    loss = scores.negative_log_likelihood
    alone = loss(u[1:2], u[1:2] + 0.1, std[1:2])
    mean = u + jnp.array([0.0, 0.1, 0.0])
    assert float(loss(u, mean, std)) == pytest.approx(float(alone), rel=1e-6)
    slope = jax.grad(lambda mean: loss(u, mean, std))(mean)
    assert slope.tolist() == pytest.approx([0.0, 0.4, 0.0], rel=1e-5)
    assert float(loss(u, u + 0.1, std)) == np.inf
