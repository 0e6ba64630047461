"""Training objectives against quadrature, SciPy and dense Gaussian algebra."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from physcon.models import losses
from physcon.models.anp import ANP
from physcon.models.encoders import Latent
from physcon.models.losses import (
    latent_kl,
    mean_over_tasks,
    residual_penalty,
    soft_constraint_loss,
)
from physcon.models.predictor import Observations
from physcon.models.scores import conditioned_log_density, make_score


@pytest.fixture(scope="module")
def model():
    return ANP(size=8, heads=2, layers=1, key=jax.random.key(0))


def observations(key, n):
    points = jax.random.uniform(key, (n, 2))
    return Observations(points, jnp.sin(3 * points[:, 1:] - points[:, :1]))


@pytest.fixture(scope="module")
def task():
    return observations(jax.random.key(1), 8), observations(jax.random.key(2), 6)


def test_kl_is_the_integral(rng):
    q, p = (
        Latent(jnp.asarray(rng.normal(size=3)), jnp.asarray(rng.normal(size=3)))
        for _ in "qp"
    )
    node, weight = np.polynomial.hermite_e.hermegauss(40)
    expected = 0.0
    for i in range(3):
        (m, v), (m0, v0) = (
            (float(g.mean[i]), np.exp(float(g.log_variance[i]))) for g in (q, p)
        )
        u = m + np.sqrt(v) * node
        ratio = stats.norm.logpdf(u, m, v**0.5) - stats.norm.logpdf(u, m0, v0**0.5)
        expected += np.sum(weight * ratio) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(latent_kl(q, p), expected, rtol=1e-5)
    assert latent_kl(q, q) == 0


def test_elbo_is_log_density_plus_kl(model, task):
    key = jax.random.key(3)

    @jax.jit
    def terms(contexts, targets):
        kl = latent_kl(model.latent(targets), model.latent(contexts))
        sampled = losses.training_pass(model, contexts, targets, key)
        held = losses.training_pass(model, contexts, targets)
        loss = losses.negative_elbo(model, contexts, targets, key)
        return kl, sampled, held.z, model.latent(targets).mean, loss

    kl, sampled, held_z, latent_mean, loss = terms(*task)
    log_density = stats.norm.logpdf(
        *map(np.asarray, (task[1].values, *sampled.prediction))
    ).sum()
    np.testing.assert_allclose(loss, kl - log_density, rtol=1e-5)
    # Without a key: the mean of the latent; with one: a sample of it.
    np.testing.assert_allclose(held_z, latent_mean, atol=1e-6)
    assert np.abs(sampled.z - latent_mean).max() > 1e-2
    with_dropout = one_loss(model, task, key)
    assert np.abs(with_dropout - loss) > 1e-3


def test_residual_penalty_of_an_exact_solution_is_zero_and_of_another_is_known():
    points = jax.random.uniform(jax.random.key(4), (30, 2))

    def heat(u, t, x):
        return jax.grad(u, 0)(t, x) - jax.grad(jax.grad(u, 1), 1)(t, x)

    exact = residual_penalty(heat, lambda t, x: jnp.exp(-t) * jnp.sin(x), points)
    assert exact < 1e-12
    wrong = residual_penalty(heat, lambda t, x: t + x**2, points)  # residual 1 - 2 = -1
    np.testing.assert_allclose(wrong, 1.0, rtol=1e-6)


def test_soft_constraint_adds_the_weighted_residual_of_the_mean(model, task, x64):
    model, task = jax.tree.map(lambda x: x.astype(jnp.float64), (model, task))
    contexts, targets = task

    def advection(u, t, x):
        return jax.grad(u, 0)(t, x) + 2.0 * jax.grad(u, 1)(t, x)

    @jax.jit
    def added_and_differences(weight, h=1e-5):
        key = jax.random.key(3)
        plain = losses.negative_elbo(model, contexts, targets, key)
        loss = soft_constraint_loss(
            model, contexts, targets, key, residual=advection, weight=weight
        )
        z = losses.training_pass(model, contexts, targets, key).z
        u = jax.vmap(model.mean_function(contexts, z))
        t, x = targets.points.T
        u_t, u_x = u(t + h, x) - u(t - h, x), u(t, x + h) - u(t, x - h)
        return loss - plain, jnp.mean(((u_t + 2 * u_x) / (2 * h)) ** 2)

    added, mean_square = added_and_differences(10.0)
    np.testing.assert_allclose(added, 10 * mean_square, rtol=1e-6)


@pytest.mark.parametrize("noise_std", [1e-2, 0.5])
def test_conditioned_density_is_that_of_the_dense_posterior(rng, noise_std):
    k, n = 3, 5
    u, mean = rng.normal(size=(2, k, n))
    std, rows = rng.uniform(0.2, 1.5, size=(k, n)), rng.uniform(0.1, 0.3, size=(k, n))
    arrays = (jnp.asarray(x) for x in (u, mean, std, rows))
    got = conditioned_log_density(*arrays, noise_std=noise_std)
    for i in range(k):
        g, covariance = rows[i], np.diag(std[i] ** 2)
        gain = covariance @ g / (g @ covariance @ g + noise_std**2)
        posterior_mean = mean[i] + gain * (g @ u[i] - g @ mean[i])
        posterior = stats.multivariate_normal(
            posterior_mean,
            covariance - np.outer(gain, g @ covariance),  # pyright: ignore[reportArgumentType]
        )
        np.testing.assert_allclose(got[i], posterior.logpdf(u[i]), rtol=2e-5)


def test_scored_loss_is_kl_plus_score_of_the_conditioned_prediction(model, task):
    contexts, targets = task
    rows = jnp.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.4]])

    @jax.jit
    def terms(noise_std):
        out = losses.training_pass(model, contexts, targets)
        u, mean, std = (x.reshape(2, 3) for x in (targets.values, *out.prediction))
        density = conditioned_log_density(u, mean, std, rows, noise_std)
        nll, crps, plain_crps = (
            losses.scored_loss(
                model, contexts, targets, score=make_score(kind, r, noise_std=noise_std)
            )
            for kind, r in (("nll", rows), ("crps", rows), ("crps", None))
        )
        plain = losses.negative_elbo(model, contexts, targets)
        return (
            nll,
            out.kl - density.sum(),
            plain,
            crps,
            plain_crps,
            out.kl,
            (u, mean, std),
        )

    nll, expected, _, crps, _, kl, arrays = terms(0.1)
    np.testing.assert_allclose(nll, expected, rtol=1e-5)
    # The CRPS of the textbook's posterior marginals, by quadrature of (F(y) - 1{u <=
    # y})².
    y, total = np.linspace(-40, 40, 200_001), 0.0
    columns = (np.asarray(a, float) for a in (rows, *arrays))
    for g, u, mean, std in zip(*columns, strict=True):
        covariance = np.diag(np.asarray(std, float) ** 2)
        gain = covariance @ g / (g @ covariance @ g + 0.1**2)
        center = mean + gain * (g @ (u - mean))
        width = np.sqrt(np.diag(covariance - np.outer(gain, g @ covariance)))
        for i in range(3):
            square = (stats.norm.cdf(y, center[i], width[i]) - (u[i] <= y)) ** 2
            total += np.sum(square) * (y[1] - y[0])
    np.testing.assert_allclose(crps - kl, total, rtol=1e-3)
    # A very noisy row has no effect: the losses without it remain.
    nll, _, plain, crps, plain_crps, *_ = terms(1e4)
    np.testing.assert_allclose(nll, plain, rtol=1e-4)
    np.testing.assert_allclose(crps, plain_crps, rtol=1e-4)
    with pytest.raises(ValueError, match="the targets of shape"):
        losses.scored_loss(
            model, contexts, targets, score=make_score("nll", rows[:, :2])
        )


@eqx.filter_jit
def one_loss(model, task, key):
    return losses.negative_elbo(model, *task, key=key, dropout=True)


def test_batch_loss_is_the_mean_of_a_loop(model):
    keys = jax.random.split(jax.random.key(5), 3)
    batch = jax.vmap(lambda k: (observations(k, 8), observations(k, 6)))(keys)
    got = eqx.filter_jit(mean_over_tasks(one_loss))(model, batch, jax.random.key(6))
    loop = [
        one_loss(model, jax.tree.map(lambda x, i=i: x[i], batch), key)
        for i, key in enumerate(jax.random.split(jax.random.key(6), 3))
    ]
    np.testing.assert_allclose(got, np.mean(loop), rtol=1e-5)
