"""Constraints hold to rounding in float32 programs, judged in float64; densities
integrate to 1.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from helpers import exact_residual

EPS = float(np.finfo(np.float32).eps)


def nested(x, m):
    """Windows [0, 1], [0, 1/2], [0, 1/4] ..."""
    return np.stack([(x < 2.0**-k) / x.size for k in range(m)])


def moments(x, m):
    """Hilbert matrices: condition 5e5 for five rows, 2e13 for ten."""
    return np.stack([x**k for k in range(m)]) / x.size


def random(x, m):
    return np.random.default_rng(7).normal(size=(m, x.size))


@eqx.filter_jit
def update(mean, std, weights, value):
    prior = pc.Gaussian.diagonal(mean, std)
    out = pc.condition(prior, pc.LinearConstraint(pc.Rows(weights), value), throw=False)
    samples = out.posterior.sample(jax.random.key(1), (2,))
    return (
        out.posterior.mean,
        samples,
        out.posterior.variance(),
        out.residual,
        out.status,
    )


def case(n, m, kind, decades, unit=1.0, seed=0):
    rng = np.random.default_rng(seed)
    x = (np.arange(n) + 0.5) / n
    std = 10 ** rng.uniform(-decades / 2, 0, n) * unit
    weights = kind(x, m)
    truth = (np.sin(3 * x) + 0.1 * rng.normal(size=n)) * unit
    mean = truth + std * rng.normal(size=n)
    arrays = (mean, std, weights / unit, weights @ truth / unit)
    return tuple(jnp.asarray(a, jnp.float32) for a in arrays)


def check(n, m, kind, decades, unit=1.0):
    mean, std, weights, value = case(n, m, kind, decades, unit)
    posterior, samples, variance, residual, status = update(mean, std, weights, value)
    constraint = pc.LinearConstraint(pc.Rows(weights), value)
    assert status == 0
    assert np.all(exact_residual(constraint, posterior) <= 4 * EPS)
    assert np.all(exact_residual(constraint, samples) <= 4 * EPS)
    assert np.all(variance >= 0)
    assert np.all(variance <= np.asarray(std) ** 2 * (1 + 2 * EPS))
    if kind is random and n <= 1000:
        s, g = (np.asarray(x, float) for x in (std, weights))
        w = g * s
        kept = 1 - np.sum(w * np.linalg.solve(w @ w.T, w), axis=0)
        np.testing.assert_allclose(variance / s**2, kept, atol=1e-6)
    # The reported residual is the true one, not one that float32 sums have spoilt.
    missed = np.asarray(value, float) - np.asarray(weights, float) @ np.asarray(
        posterior, float
    )
    np.testing.assert_allclose(
        residual, missed, rtol=1e-5, atol=1e-6 * EPS * np.abs(value).max()
    )


@pytest.mark.parametrize("decades", [0, 12])
@pytest.mark.parametrize("m", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [10, 1000, 100_000])
def test_random_rows_hold_to_rounding(n, m, decades):
    check(n, m, random, decades)


@pytest.mark.parametrize("m", [2, 3, 5])
@pytest.mark.parametrize("kind", [nested, moments])
def test_nearly_dependent_rows_hold_to_rounding(kind, m):
    check(1000, m, kind, 12)


def test_ten_moments_hold_to_rounding():
    """Condition 2e13: values are good, gradients are not to be trusted."""
    check(1000, 10, moments, 0)


@pytest.mark.parametrize("unit", [1e-15, 1e15])
@pytest.mark.parametrize("m", [1, 3, 5])
def test_units_do_not_matter(m, unit):
    check(1000, m, moments, 6, unit)


def test_ten_million_points():
    """One row over 10⁷ points, variances over 12 decades; a plain float32 sum misses by
    1e-5.
    """
    n = 10_000_000
    rng = np.random.default_rng(3)
    mean = rng.uniform(0.5, 1.5, n).astype(np.float32)
    std = (10 ** rng.uniform(-6, 0, n)).astype(np.float32)
    weights = np.full(n, 1 / n, np.float32)

    @jax.jit
    def update(mean, std, weights):
        prior = pc.Gaussian.diagonal(mean, std)
        out = pc.condition(prior, pc.integral(weights, 1.1), throw=False)
        return out.posterior.mean, out.residual

    posterior, residual = update(mean, std, weights)
    posterior = np.asarray(posterior)
    total = np.einsum("i,i->", posterior, weights, dtype=float)
    size = np.einsum("i,i->", np.abs(posterior), weights, dtype=float)
    value = float(np.float32(1.1))
    assert abs(total - value) <= 4 * EPS * (size + value)
    np.testing.assert_allclose(residual[0], value - total, atol=1e-11)


def densities(posterior, offsets):
    """At points of the given offsets from the mean."""
    return jnp.exp(
        jax.vmap(posterior.log_prob)(np.asarray(posterior.mean)[None] + offsets)
    )


@pytest.mark.parametrize(
    ("n", "m", "noise"), [(2, 1, None), (3, 1, None), (3, 2, None), (2, 1, 0.4)]
)
def test_density_integrates_to_one(n, m, noise, x64):
    """Over the plane G u = b by the trapezoid rule on an orthonormal basis of it; -inf
    off it.
    """
    rng = np.random.default_rng(n + m)
    g = rng.normal(size=(m, n))
    sigma = None if noise is None else jnp.full(m, noise)
    constraint = pc.LinearConstraint(
        pc.Rows(jnp.asarray(g)), jnp.asarray(rng.normal(size=m)), sigma
    )
    prior = pc.Gaussian.diagonal(
        jnp.asarray(rng.normal(size=n)), jnp.asarray(rng.uniform(0.5, 2, n))
    )
    posterior = pc.condition(prior, constraint).posterior
    basis = np.eye(n) if noise else np.linalg.svd(g)[2][m:]
    axis = np.linspace(-14, 14, 141)
    points = np.stack(
        np.meshgrid(*[axis] * len(basis), indexing="ij"), axis=-1
    ).reshape(-1, len(basis))
    density = densities(posterior, points @ basis)
    np.testing.assert_allclose(
        np.sum(density) * (axis[1] - axis[0]) ** len(basis), 1, rtol=1e-10
    )
    if noise is None:
        assert posterior.log_prob(posterior.mean + 1e-2 * g[0]) == -np.inf


def test_density_where_some_points_are_certain(x64):
    """Three points, one of zero variance: a density on a line, -inf where the point
    moves.
    """
    prior = pc.Gaussian.diagonal(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 0.0, 2.0]))
    posterior = pc.condition(
        prior, pc.integral(jnp.array([1.0, 1.0, 1.0]), 7.0)
    ).posterior
    assert posterior.mean[1] == 2
    direction = jnp.array([1.0, 0.0, -1.0]) / jnp.sqrt(2)
    density = densities(posterior, np.outer(np.linspace(-20, 20, 2001), direction))
    np.testing.assert_allclose(jnp.sum(density) * 0.02, 1, rtol=1e-10)
    assert posterior.log_prob(posterior.mean + jnp.array([0.05, -0.1, 0.05])) == -np.inf


def test_samples_have_the_posterior_covariance():
    """20,000 draws, five standard errors."""
    rng = np.random.default_rng(0)
    prior = pc.Gaussian.diagonal(
        jnp.zeros(4), jnp.asarray(rng.uniform(0.5, 2, 4), jnp.float32)
    )
    posterior = pc.condition(
        prior, pc.integral(jnp.ones(4), 1.0, noise_std=0.5)
    ).posterior
    draws = np.asarray(posterior.sample(jax.random.key(5), (20_000,)), float)
    covariance = np.asarray(posterior.covariance())
    variance = np.diagonal(covariance)
    error = np.sqrt((covariance**2 + variance[:, None] * variance) / len(draws))
    assert np.all(np.abs(np.cov(draws.T) - covariance) < 5 * error)
    assert np.all(
        np.abs(draws.mean(0) - posterior.mean) < 5 * np.sqrt(variance / len(draws))
    )


@pytest.mark.parametrize("unit", [1e-23, 1e-22, 3e-20, 1.0])
def test_a_covariance_is_positive_semidefinite_in_any_unit(unit, rng):
    """Variances below the normal numbers of float32 are zero, not a few bits."""
    std = jnp.asarray(unit * 10 ** rng.uniform(-1, 1, 8), jnp.float32)
    rows = jnp.asarray(rng.normal(size=(3, 8)), jnp.float32)
    law = pc.LinearConstraint(pc.Rows(rows), unit * jnp.ones(3))
    prior = pc.Gaussian.diagonal(jnp.zeros(8), std)
    after = np.asarray(pc.condition(prior, law).posterior.covariance(), float)
    assert np.all(np.diag(after) <= np.asarray(std, float) ** 2 * (1 + 1e-6))
    size = np.sqrt(np.diag(after))
    size = np.where(size > 0, size, 1)
    scaled = after / size / size[:, None]
    assert np.linalg.eigvalsh(scaled)[0] > -1e-5
