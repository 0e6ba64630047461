"""Truncated Gaussians: moments against quadrature, draws against exact laws."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from physcon import (
    Boundary,
    Dirichlet,
    Gaussian,
    Grid,
    LinearConstraint,
    Rows,
    boundary_values,
    integral,
)
from physcon._status import Outcome
from physcon.conditioning import (
    marginal_moments,
    sample_bounded,
    sensors,
    stack,
    truncated_moments,
)

EPS = float(np.finfo(np.float32).eps)

#: mean, std, lower, upper
INTERVALS = [
    (0.0, 1.0, 0.0, np.inf),
    (0.0, 1.0, -np.inf, np.inf),
    (5.0, 1.0, 0.0, np.inf),
    (-3.0, 1.0, 0.0, np.inf),
    (-30.0, 1.0, 0.0, 1.0),
    (-1e3, 1.0, 0.0, np.inf),
    (2.0, 1e-3, 0.0, 1.0),
    (0.5, 100.0, 0.0, 1.0),
    (0.2, 0.3, 0.0, 1.0),
    (0.5, 1e-6, 0.0, 1.0),
]


def reference_moments(mean, std, lower, upper):
    a, b = (lower - mean) / std, (upper - mean) / std
    mode = min(max(0.0, a), b)
    width = 50 / max(1.0, abs(mode))
    left, right = min(mode - a, width), min(b - mode, width)

    def moment(k):
        f = lambda t: t**k * np.exp(-t * (mode + t / 2))  # noqa: E731
        return sum(
            scipy.integrate.quad(f, *ends, epsabs=0, epsrel=1e-10)[0]
            if ends[1] > ends[0]
            else 0
            for ends in ((-left, 0.0), (0.0, right))
        )

    shift = moment(1) / moment(0)
    return mean + std * mode + std * shift, std * np.sqrt(
        moment(2) / moment(0) - shift**2
    )


def test_moments_at_any_distance_from_the_interval():
    arguments = [jnp.array(x, jnp.float32) for x in zip(*INTERVALS, strict=True)]
    mean, std = jax.jit(truncated_moments)(*arguments)
    for i, case in enumerate(np.asarray(arguments, np.float64).T):
        expected = reference_moments(*case)
        scale = max(abs(expected[0]), expected[1])
        assert abs(mean[i] - expected[0]) <= 1e-5 * scale
        assert float(std[i]) == pytest.approx(expected[1], rel=1e-5)
    assert np.all((mean >= arguments[2]) & (mean <= arguments[3]))


def test_degenerate_moments_and_their_gradients():
    args = (jnp.array([0.5, -1.0]), jnp.zeros(2), jnp.zeros(2), jnp.ones(2))
    mean, std = truncated_moments(*args)
    assert mean.tolist() == [0.5, 0.0]
    assert std.tolist() == [0.0, 0.0]
    grads = jax.jacrev(truncated_moments, (0, 1))(*args)
    assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(grads))


def test_marginals_shrink_and_stay_positive(rng):
    mean = jnp.asarray(rng.normal(size=30), jnp.float32)
    prior = Gaussian.diagonal(mean, jnp.ones(30))
    law = integral(jnp.ones(30), 20.0)
    _, inside = jax.jit(lambda prior: marginal_moments(prior, law, 0.0))(prior)
    _, free = jax.jit(lambda prior: marginal_moments(prior, law))(prior)
    assert np.all(inside < free * (1 + 1e-5))
    assert np.all(inside > 0.05 * free)
    np.testing.assert_allclose(free, np.sqrt(1 - 1 / 30), rtol=1e-5)


@pytest.fixture(scope="module")
def simplex():
    """Draws from a wide prior on the simplex: Dirichlet(1, ..., 1) of 6 variables."""
    law = integral(jnp.ones(6), 1.0)

    def draw(key, mean, std):
        prior = Gaussian.diagonal(mean, std)
        return sample_bounded(
            key, prior, law, 0.0, shape=(4000,), sweeps=40, throw=False
        )

    return jax.jit(draw)


def test_uniform_on_the_simplex(simplex):
    draws = np.asarray(
        simplex(jax.random.key(1), jnp.zeros(6), jnp.full(6, 1e3)), np.float64
    )
    assert draws.min() >= 0
    assert np.abs(draws.sum(axis=1) - 1).max() <= 4 * EPS
    for i in (0, 5):
        assert scipy.stats.kstest(draws[:, i], scipy.stats.beta(1, 5).cdf).pvalue > 1e-3
    covariance = (np.diag(np.full(6, 6.0)) - 1) / (36 * 7)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=6 * 0.02 / 4000**0.5)


def test_draws_equal_rejection(simplex, rng):
    """Draws of `condition` that happen to lie in the box have the exact law."""
    mean, std = (
        np.array([0.5, 0.3, 0.1, 0.0, 0.2, 0.1]),
        np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.1]),
    )
    draws = np.asarray(simplex(jax.random.key(2), jnp.asarray(mean), jnp.asarray(std)))
    free = mean + std * rng.normal(size=(400_000, 6))
    free += (1 - free.sum(axis=1))[:, None] * std**2 / np.sum(std**2)
    exact = free[np.all(free >= 0, axis=1)]
    for i in range(6):
        assert scipy.stats.ks_2samp(draws[:, i], exact[:, i]).pvalue > 1e-3
    error = 5 * exact.std(axis=0) * (1 / len(draws) + 1 / len(exact)) ** 0.5
    assert np.all(np.abs(draws.mean(axis=0) - exact.mean(axis=0)) < error)
    # Quantiles of draws are intervals of that coverage.
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    coverage = np.mean((exact >= low) & (exact <= high), axis=0)
    np.testing.assert_allclose(coverage, 0.9, atol=0.02)


def test_draws_with_two_rows_equal_rejection(rng):
    """Mass and first moment of six points, and a point that has no variance."""
    x = np.arange(7) / 6
    rows, value = np.stack([np.ones(7), x]), np.array([1.6, 0.7])
    mean = np.array([0.5, 0.3, 0.1, 0.2, 0.0, 0.2, 0.1])
    std = np.array([0.3, 0.2, 0.3, 0.0, 0.2, 0.2, 0.1])

    @jax.jit
    def draw(key):
        prior = Gaussian.diagonal(
            jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32)
        )
        law = LinearConstraint(
            Rows(jnp.asarray(rows, jnp.float32)), jnp.asarray(value, jnp.float32)
        )
        return sample_bounded(
            key, prior, law, 0.0, shape=(3000,), sweeps=80, throw=False
        )

    draws = np.asarray(draw(jax.random.key(6)), np.float64)
    assert draws.min() >= 0
    assert np.all(draws[:, 3] == np.float32(0.2))
    missed = np.abs(draws @ np.float32(rows).T - np.float32(value))
    assert np.all(missed <= 4 * EPS * (draws @ np.float32(rows).T + value))
    free = mean + std * rng.normal(size=(400_000, 7))
    gain = np.linalg.solve((rows * std**2) @ rows.T, rows * std**2).T
    free += (value - free @ rows.T) @ gain.T
    exact = free[np.all(free >= 0, axis=1)]
    for i in (0, 1, 2, 4, 5, 6):
        assert scipy.stats.ks_2samp(draws[:, i], exact[:, i]).pvalue > 1e-3


def test_weights_of_either_sign_zeros_and_pinned_points(rng):
    """A signed row over a grid, with points outside of it, without variance, and a
    closed box.
    """
    n = 12
    mean = jnp.asarray(rng.normal(0.5, 0.3, (3, 4)), jnp.float32)
    std = jnp.asarray(rng.uniform(0.2, 1, (3, 4)), jnp.float32).at[0, 0].set(0)
    row = jnp.asarray(rng.normal(size=(3, 4)), jnp.float32).at[1, 1].set(0)
    value = jnp.sum(row * 0.5)[None]
    mean = mean.at[0, 0].set(0.25)
    law = LinearConstraint(Rows(row[None]), value)

    def draw(key):
        prior = Gaussian.diagonal(mean, std)
        return sample_bounded(
            key, prior, law, 0.0, 1.0, (2000,), sweeps=30, throw=False
        )

    draws = np.asarray(jax.jit(draw)(jax.random.key(3)), np.float64).reshape(-1, n)
    assert draws.min() >= 0
    assert draws.max() <= 1
    g = np.asarray(row, np.float64).reshape(-1)
    size = np.abs(g) @ np.abs(draws.T) + abs(float(value[0]))
    assert np.all(np.abs(draws @ g - float(value[0])) <= 4 * EPS * size)
    assert np.all(draws[:, 0] == 0.25)
    m, s = float(mean[1, 1]), float(std[1, 1])
    alone = scipy.stats.truncnorm(-m / s, (1 - m) / s, m, s)
    assert scipy.stats.kstest(draws[:, 5], alone.cdf).pvalue > 1e-3


def test_far_tail_draws(simplex):
    """Means 50 standard deviations below zero: the mass still spreads evenly."""
    draws = np.asarray(simplex(jax.random.key(4), jnp.full(6, -50.0), jnp.ones(6)))
    assert np.abs(draws.sum(axis=1) - 1).max() <= 4 * EPS
    assert np.abs(draws.mean(axis=0) - 1 / 6).max() < 5 * 0.15 / 4000**0.5


def _mass_and_ends():
    grid = Grid.uniform(0.0, 1.0, 8, location="nodes")
    ends = boundary_values(grid, Boundary((Dirichlet(0.0), Dirichlet(1.0))))
    return stack(integral(grid, 0.5), ends)


def _integral_and_sensors():
    grid = Grid.uniform(0.0, 1.0, 8)
    at = np.array([0.21, 0.77])
    return stack(integral(grid, 0.45), sensors(grid, at, jnp.array([0.4, 0.5])))


def _windows():
    rows = jnp.repeat(jnp.eye(3), jnp.array([3, 3, 2]), axis=1, total_repeat_length=8)
    return LinearConstraint(Rows(rows), jnp.array([1.3, 1.7, 0.9]))


@jax.jit
def _draw(key, prior, rows, value):
    law = LinearConstraint(Rows(rows), value)
    return sample_bounded(
        key, prior, law, 0.0, 1.0, (3000,), throw=False, with_outcome=True
    )


@pytest.mark.parametrize("law", [_mass_and_ends, _integral_and_sensors, _windows])
def test_any_mix_of_rows_equals_rejection(law, rng):
    """Rows that see one point, two points, or parts of the field."""
    law = law()
    rows, value = (np.asarray(x, float) for x in (law.operator.rows(), law.value))
    mean, std = rng.uniform(0.3, 0.6, 8), rng.uniform(0.2, 0.4, 8)
    prior = Gaussian.diagonal(
        jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32)
    )
    found = _draw(jax.random.key(7), prior, law.operator.rows(), law.value)
    assert bool(found.outcome == Outcome.good)
    draws = np.asarray(found.draws, float)
    assert draws.min() >= 0
    assert draws.max() <= 1
    size = np.abs(draws) @ np.abs(rows).T + np.abs(value)
    assert np.all(np.abs(draws @ rows.T - value) <= 4 * EPS * size)
    gain = np.linalg.solve((rows * std**2) @ rows.T, rows * std**2).T
    free = mean + std * rng.normal(size=(400_000, 8))
    free += (value - free @ rows.T) @ gain.T
    inside = np.all((free >= -1e-9) & (free <= 1 + 1e-9), axis=1)
    exact = free[inside]
    assert len(exact) > 3000
    for i in range(8):
        if exact[:, i].std() > 1e-6:
            assert scipy.stats.ks_2samp(draws[:, i], exact[:, i]).pvalue > 1e-4
        else:  # determined by the rows: an end
            np.testing.assert_allclose(draws[:, i], exact[0, i], atol=1e-6)
            assert float(found.moves[i]) == 0


def test_ends_seen_by_one_row_change_nothing_else():
    """With rows for both ends, and with the ends as certain points: one law."""
    n, count = 100, 400
    grid = Grid.uniform(0.0, 1.0, n, location="nodes")
    mean, std = jnp.full(n, 0.5), jnp.full(n, 0.3)
    mass = integral(grid, 0.5)
    ends = boundary_values(grid, Boundary((Dirichlet(0.0), Dirichlet(1.0))))
    certain = (mean.at[0].set(0).at[-1].set(1), std.at[0].set(0).at[-1].set(0))

    def spread(mean, std, law):
        prior = Gaussian.diagonal(mean, std)
        draws = sample_bounded(
            jax.random.key(1), prior, law, 0.0, 1.0, (count,), sweeps=60, throw=False
        )
        return np.asarray(jnp.std(draws[:, 1:-1], axis=0))

    with_rows = spread(mean, std, stack(mass, ends))
    reduced = spread(*certain, mass)
    np.testing.assert_allclose(with_rows.mean(), reduced.mean(), rtol=0.02)
    np.testing.assert_allclose(reduced.mean(), 0.235, atol=0.006)
    assert with_rows.min() > 0.18


def test_outcomes_of_draws():
    """Out of reach, too few moves: an error, or NaN and an outcome; also under vmap."""
    prior = Gaussian.diagonal(jnp.full(6, 0.4), jnp.full(6, 0.3))
    keys = jax.random.split(jax.random.key(0), 3)

    @partial(jax.jit, static_argnames=("sweeps", "throw"))
    def draw(value, sweeps=20, throw=False):
        law = integral(jnp.ones(6), value)
        return jax.vmap(
            lambda key: sample_bounded(
                key, prior, law, 0.0, 1.0, sweeps=sweeps, with_outcome=True, throw=throw
            )
        )(keys)

    good = draw(2.0)
    assert np.all(np.asarray(good.outcome == Outcome.good))
    np.testing.assert_allclose(good.draws.sum(axis=1), 2.0, rtol=1e-6)
    assert np.unique(np.asarray(good.draws)).size == 18
    far = draw(9.0)
    assert np.all(np.asarray(far.outcome == Outcome.unreachable))
    assert np.all(np.isnan(far.draws))
    few = draw(2.0, sweeps=2)
    assert np.all(np.asarray(few.outcome == Outcome.few_moves))
    with pytest.raises(Exception, match="too few"):
        jax.block_until_ready(draw(2.0, sweeps=2, throw=True).draws)
    # A value at the end of its reach leaves one field, which is no failure.
    law = integral(jnp.ones(6), 6.0)
    corner = sample_bounded(keys[0], prior, law, 0.0, 1.0, sweeps=20)
    assert corner.tolist() == [1.0] * 6
