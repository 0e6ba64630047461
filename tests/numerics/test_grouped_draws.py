"""Draws within bounds for many disjoint rows, judged against rejection sampling."""

import jax
import jax.numpy as jnp
import numpy as np

import physcon as pc
from physcon._status import Outcome

COUNT = 4000


def _by_rejection(rng, mean, std, weight, total, lower):
    """Draws of one group of three points: two are free, the third meets the row."""
    # The law of the first two given the row, without bounds.
    spread = std**2 * weight
    s = np.sum(weight * spread)
    centre = mean + spread * (total - weight @ mean) / s
    covariance = np.diag(std**2) - np.outer(spread, spread) / s
    factor = np.linalg.cholesky(covariance[:2, :2])
    z = rng.normal(size=(400_000, 2)) @ factor.T + centre[:2]
    third = (total - z @ weight[:2]) / weight[2]
    u = np.column_stack([z, third])
    return u[(u >= lower).all(axis=1)]


def test_many_groups_have_the_law_of_rejection_sampling(rng):
    """Twelve copies of one group, shuffled among points without a row."""
    mean = np.array([0.2, -0.3, 0.5])
    std = np.array([1.0, 0.5, 2.0])
    weight = np.array([1.0, 2.0, 0.5])
    exact = _by_rejection(rng, mean, std, weight, 1.5, 0.0)
    place = rng.permutation(40)
    labels = np.full(40, -1)
    labels[place[:36]] = np.arange(36) // 3
    part = np.zeros(40, int)
    part[place[:36]] = np.arange(36) % 3
    law = pc.totals(
        jnp.asarray(labels), jnp.full(12, 1.5), weights=jnp.asarray(weight[part])
    )
    prior = pc.Gaussian.diagonal(
        jnp.asarray(mean[part], jnp.float32), jnp.asarray(std[part], jnp.float32)
    )
    found = pc.sample_bounded(
        jax.random.key(1), prior, law, 0.0, shape=(400,), sweeps=60, with_outcome=True
    )
    assert found.outcome == Outcome.good
    draws = np.asarray(found.draws, float)
    assert draws.min() >= 0
    missed = np.asarray(jax.vmap(law.residual)(found.draws))
    assert np.abs(missed).max() <= 1e-6
    groups = draws[:, place[:36]].reshape(-1, 3)  # 4800 independent draws
    for k in range(3):
        error = exact[:, k].std() / len(groups) ** 0.5
        assert abs(groups[:, k].mean() - exact[:, k].mean()) < 4 * error
        np.testing.assert_allclose(groups[:, k].std(), exact[:, k].std(), rtol=0.06)
        quantiles = np.quantile(exact[:, k], [0.1, 0.5, 0.9])
        share = (groups[:, k, None] <= quantiles).mean(axis=0)
        np.testing.assert_allclose(share, [0.1, 0.5, 0.9], atol=0.03)
    correlation = np.corrcoef(exact.T)
    np.testing.assert_allclose(np.corrcoef(groups.T), correlation, atol=0.05)
    # Points of no row are truncated normal variates of their own.
    alone = draws[:, labels < 0]
    low = np.asarray(prior.mean)[labels < 0]
    expected, _ = pc.conditioning.truncated_moments(
        jnp.asarray(low), prior.std()[labels < 0], jnp.zeros(4), jnp.full(4, jnp.inf)
    )
    spread = alone.std(axis=0) / 400**0.5
    assert (np.abs(alone.mean(axis=0) - np.asarray(expected)) < 4.5 * spread).all()


def test_groups_without_freedom_stay_where_they_are():
    """A group at an end of its reach, one with a single point, and a free one."""
    labels = jnp.array([0, 0, 1, 2, 2, 2])
    law = pc.totals(labels, jnp.array([0.0, 2.0, 3.0]))
    prior = pc.Gaussian.diagonal(jnp.ones(6), jnp.ones(6))
    found = pc.sample_bounded(
        jax.random.key(0), prior, law, 0.0, shape=(50,), sweeps=40, with_outcome=True
    )
    assert found.outcome == Outcome.good
    np.testing.assert_allclose(found.draws[:, :2], 0, atol=1e-7)
    np.testing.assert_allclose(found.draws[:, 2], 2, rtol=1e-6)
    assert float(found.draws[:, 3:].std()) > 0.3
    assert (found.moves[:3] == 0).all()


def test_a_direction_that_passes_through_all_rows_moves():
    """Windows of four points, every second point: a wave of ±1 is seen by none."""
    n = 24
    place = np.arange(n)
    rows = np.array([(i <= place) & (place < i + 4) for i in range(0, n - 3, 2)])
    wave = (-1.0) ** (place // 2)
    assert np.abs(rows @ wave).max() == 0
    mean = np.linspace(0.2, 0.8, n)
    std = np.linspace(0.4, 0.1, n)
    gain = (std**2)[:, None] * rows.T
    gain = gain @ np.linalg.inv(rows @ gain)
    centre = mean + gain @ np.full(len(rows), 0.1)
    covariance = np.diag(std**2) - gain @ (rows * std**2)
    law = pc.from_matrix(
        jnp.asarray(rows, jnp.float32), jnp.asarray(rows @ mean + 0.1, jnp.float32)
    )
    prior = pc.Gaussian.diagonal(
        jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32)
    )
    draws = pc.sample_bounded(jax.random.key(0), prior, law, shape=(400,), sweeps=20)
    along = np.asarray(draws, float) @ wave
    expected = np.sqrt(wave @ covariance @ wave)
    assert abs(along.mean() - wave @ centre) < 4 * expected / 20
    np.testing.assert_allclose(along.std(), expected, rtol=0.15)
