"""Gaussian processes against textbook formulas, ensembles against their definition."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import physcon as pc
from physcon.kernels import (
    covariance,
    matern12,
    matern32,
    matern52,
    squared_exponential,
)
from physcon.models.ensemble import (
    ensemble_loss,
    ensemble_members,
    ensemble_predict,
    ensemble_prior,
    make_ensemble,
)
from physcon.models.gp import (
    Hyperparameters,
    gp_fit,
    gp_log_evidence,
    gp_posterior,
    gp_predictor,
    gp_start,
)
from physcon.models.predictor import Observations


def _data(rng, n=12):
    points = jnp.asarray(rng.uniform(size=(n, 2)), jnp.result_type(float))
    return Observations(points, jnp.sin(4 * points[:, :1]) + points[:, 1:] ** 2)


def _params():
    return Hyperparameters(
        jnp.log(1.3), jnp.log(jnp.array([0.5, 0.8])), jnp.log(0.05), jnp.array([0.2])
    )


@pytest.mark.parametrize(
    ("kernel", "at_one"),
    [
        (matern12, np.exp(-1)),
        (matern32, (1 + 3**0.5) * np.exp(-(3**0.5))),
        (matern52, (1 + 5**0.5 + 5 / 3) * np.exp(-(5**0.5))),
        (squared_exponential, np.exp(-0.5)),
    ],
)
def test_kernels(kernel, at_one, rng, x64):
    np.testing.assert_allclose(kernel(jnp.array([0.0, 1.0])), [1.0, at_one], rtol=1e-14)
    x = _data(rng).points
    k = covariance(kernel, x, x, jnp.array(2.0), jnp.array([0.5, 1.0]))
    assert np.linalg.eigvalsh(k).min() > -1e-12
    np.testing.assert_allclose(jnp.diag(k), 4.0)
    slope = jax.grad(lambda l: jnp.sum(covariance(kernel, x, x, jnp.array(2.0), l)))(
        jnp.ones(2)
    )
    assert np.all(np.isfinite(slope))  # at distance zero too


def test_gp_equals_the_textbook(rng, x64):
    data, params = _data(rng), _params()
    points = jnp.asarray(rng.uniform(size=(6, 2)))
    k = [
        np.asarray(covariance(matern32, a, b, params.std, params.length))
        for a, b in (
            (data.points, data.points),
            (points, data.points),
            (points, points),
        )
    ]
    noisy = k[0] + np.eye(12) * float(params.noise_variance)
    missing = np.asarray(data.values)[:, 0] - 0.2
    mean = 0.2 + k[1] @ np.linalg.solve(noisy, missing)
    cov = k[2] - k[1] @ np.linalg.solve(noisy, k[1].T)
    predicted = gp_predictor()(params, data, points, jax.random.key(0))
    np.testing.assert_allclose(predicted.mean[:, 0], mean, rtol=1e-10)
    np.testing.assert_allclose(predicted.std[:, 0], np.sqrt(np.diag(cov)), rtol=1e-7)
    posterior = gp_posterior(params, data, points, shape=(2, 3))
    assert posterior.mean.shape == (2, 3)
    nugget = (1e-4 * 1.3) ** 2
    np.testing.assert_allclose(
        posterior.covariance(), cov + nugget * np.eye(6), atol=1e-12
    )
    evidence = multivariate_normal(np.full(12, 0.2), noisy).logpdf(
        np.asarray(data.values)[:, 0]
    )
    np.testing.assert_allclose(gp_log_evidence(params, data), evidence, rtol=1e-10)


def test_fit_maximises_the_evidence(rng):
    data = _data(rng, 20)
    batch = jax.tree.map(
        lambda a: jnp.stack([a, a[::-1]]), data
    )  # two tasks in one call
    both = jax.jit(jax.vmap(gp_fit))(batch)
    assert both.length.shape == (2, 2)
    np.testing.assert_allclose(both.std[1], both.std[0], rtol=0.02)
    fitted = jax.tree.map(lambda a: a[0], both)
    with jax.enable_x64(True):
        double, data = jax.tree.map(lambda a: a.astype(float), (fitted, data))
        evidence = jax.jit(jax.value_and_grad(gp_log_evidence))
        value, slope = evidence(double, data)
        assert value > evidence(gp_start(data), data)[0] + 5
        # Stationary in what the data decide; noise-free data drive the noise to its
        # floor.
        np.testing.assert_allclose(slope.log_length, 0, atol=0.02)
        np.testing.assert_allclose(slope.log_std, 0, atol=0.02)


def test_gp_posterior_conditions_on_a_mass(x64):
    """The true mass takes (b - G m)² / S off the squared distance to the truth, in Σ's
    metric.
    """
    x = jnp.array([[0.05], [0.2], [0.45]])
    data = Observations(x, jnp.sin(3 * x))
    grid = pc.Grid.uniform(0.0, 1.0, 24)
    points = grid.coordinates[0][:, None]
    params = Hyperparameters(
        jnp.log(0.7), jnp.log(jnp.array([0.4])), jnp.log(1e-3), jnp.zeros(1)
    )
    truth = jnp.sin(3 * points[:, 0])

    @jax.jit
    def run(data):
        prior = gp_posterior(params, data, points)
        law = pc.integral(grid, grid.integrate(truth))
        found = pc.condition(prior, law, throw=False)
        means = (prior.mean, found.posterior.mean)
        distances = [jnp.sum(prior.root.solve(truth - m) ** 2) for m in means]
        predicted = pc.conditioning.total(prior, grid)
        gained = (law.value[0] - predicted.mean[0]) ** 2 / predicted.variance()[0]
        return means, distances, gained, found.residual

    means, distances, gained, residual = run(data)
    assert abs(float(residual[0])) < 1e-14
    np.testing.assert_allclose(distances[1], distances[0] - gained, rtol=1e-8)
    error = [float(jnp.mean((m - truth) ** 2)) for m in means]
    assert error[1] < error[0]
    near = jnp.argmin(jnp.abs(points - x.T), axis=0)  # where the data are, little moves
    moved = jnp.abs(means[1] - means[0])
    assert jnp.max(moved[near]) < 0.2 * jnp.max(moved)


def test_ensemble_is_its_members(rng):
    data = _data(rng)
    points = jnp.asarray(rng.uniform(size=(7, 2)), jnp.float32)
    params = make_ensemble(jax.random.key(0), 4, width=8, depth=1)
    predict = jax.jit(lambda d: ensemble_predict(params, d, points, jax.random.key(0)))
    means, stds = jax.jit(lambda d: ensemble_members(params, d, points))(data)
    assert means.shape == (4, 7, 1)
    second = jax.tree.map(lambda x: x[1] if eqx.is_array(x) else x, params)
    np.testing.assert_allclose(
        second(data, points).mean, means[1], rtol=1e-5, atol=1e-6
    )
    mean, std = predict(data)
    np.testing.assert_allclose(mean, np.mean(means, 0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        std**2, np.mean(stds**2, 0) + np.var(means, 0), rtol=1e-4
    )
    variance = jax.jit(
        lambda d: ensemble_prior(params, d, points, shape=(7,)).variance()
    )(data)
    np.testing.assert_allclose(variance, std[:, 0] ** 2, rtol=1e-4)
    order = rng.permutation(12)
    shuffled = Observations(data.points[order], data.values[order])
    np.testing.assert_allclose(predict(shuffled).mean, mean, atol=1e-6)


def test_members_train_alone_and_learn(rng):
    import optax

    data = _data(rng, 16)
    params = make_ensemble(jax.random.key(1), 3, width=16, depth=1)
    arrays, static = eqx.partition(params, eqx.is_inexact_array)

    def loss(arrays):
        return ensemble_loss(eqx.combine(arrays, static), data, data, jax.random.key(0))

    slope = jax.jit(jax.grad(loss))
    start = slope(arrays)
    # Another first member changes nothing for the others.
    other = slope(jax.tree.map(lambda a: a.at[0].add(0.1), arrays))
    for a, b in zip(jax.tree.leaves(start), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a[1:], b[1:], rtol=1e-4, atol=1e-5)

    # At a constant rate the end would depend on rounding: spikes of the likelihood.
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, 600))

    @jax.jit
    def train(arrays):
        def step(carry, _):
            arrays, state = carry
            value, slope = jax.value_and_grad(loss)(arrays)
            update, state = optimizer.update(slope, state)
            return (optax.apply_updates(arrays, update), state), value

        (arrays, _), losses = jax.lax.scan(
            step, (arrays, optimizer.init(arrays)), length=600
        )
        trained = eqx.combine(arrays, static)
        return losses, ensemble_predict(
            trained, data, data.points, jax.random.key(0)
        ).mean

    losses, mean = train(arrays)
    assert losses[-1] < losses[0] - 3 * 1.0  # one nat per point and member, at least
    assert jnp.mean((mean - data.values) ** 2) < 0.1 * jnp.var(data.values)


def test_messages():
    with pytest.raises(ValueError, match="one has no spread"):
        make_ensemble(jax.random.key(0), 1)
    with pytest.raises(ValueError, match="2 or more samples"):
        pc.Gaussian.from_samples(jnp.ones((1, 3)))
    with pytest.raises(ValueError, match="2 or more members"):
        pc.Gaussian.from_mixture(jnp.ones((1, 3)), jnp.ones((1, 3)))
    with pytest.raises(RuntimeError, match="add a nugget"):
        pc.Gaussian.from_covariance(jnp.zeros(2), -jnp.eye(2))
    two = Observations(jnp.ones((3, 1)), jnp.ones((3, 2)))
    with pytest.raises(ValueError, match="one channel"):
        gp_posterior(gp_start(two), two, jnp.ones((2, 1)))
