"""The published network with its published weights, run by its authors' code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.io import load_torch_anp
from physcon.models.anp import ANP
from physcon.models.losses import (
    negative_elbo,
    residual_penalty,
    training_pass,
)
from physcon.models.predictor import Observations
from physcon.models.scores import gaussian_log_density


@pytest.fixture(params=["anp", "pinp"])
def name(request):
    return request.param


@pytest.fixture
def arrays(reference):
    return reference("probconserv/parity_pme.npz")


def published(reference, name, dtype=jnp.float32) -> ANP:
    file = reference(f"probconserv/pme_{name}.npz").fid.name
    return jax.tree.map(lambda x: x.astype(dtype), load_torch_anp(file))


@jax.jit
def at_latent_mean(model, contexts, points):
    """Latent, deterministic representation, and prediction for z = latent mean, per
    task.
    """

    def one(contexts):
        latent = model.latent(contexts)
        memory = model.deterministic_encoder.encode(*contexts)
        r = model.deterministic_encoder.attend(memory, points)
        return latent, r, model(contexts, points, latent.mean)

    return jax.vmap(one)(contexts)


def evaluate(arrays, model, dtype):
    contexts = Observations(*(jnp.asarray(arrays[f"context_{c}"], dtype) for c in "xy"))
    grid = np.stack(np.meshgrid(arrays["t"], arrays["x"], indexing="ij"), axis=-1)
    return at_latent_mean(model, contexts, jnp.asarray(grid.reshape(-1, 2), dtype))


def assert_close(got, expected, tolerance):
    """max |got - expected| <= tolerance * max |expected|."""
    expected = np.asarray(expected, np.float64)
    error = np.abs(np.asarray(got, np.float64).reshape(expected.shape) - expected).max()
    assert error <= tolerance * np.abs(expected).max()


def test_network_output_in_float32(reference, arrays, name):
    latent, r, prediction = evaluate(arrays, published(reference, name), jnp.float32)
    assert_close(prediction.mean, arrays[f"{name}/loc_f64net"], 1e-5)
    assert_close(prediction.std, arrays[f"{name}/scale_f64net"], 1e-5)
    assert_close(latent.mean, arrays[f"{name}/latent_mu"], 1e-5)
    assert_close(latent.log_variance, arrays[f"{name}/latent_logvar"], 1e-5)
    at = int(arrays["t_index_of_cov"])
    assert_close(
        r.reshape(4, 41, 101, -1)[:, at], arrays[f"{name}/det_r_at_tcov"], 1e-5
    )


def test_network_output_in_float64(x64, reference, arrays):
    _, _, prediction = evaluate(
        arrays, published(reference, "anp", jnp.float64), jnp.float64
    )
    assert_close(prediction.mean, arrays["anp/loc_f64net"], 1e-13)
    assert_close(prediction.std, arrays["anp/scale_f64net"], 1e-13)


def tasks(arrays):
    contexts = Observations(*(jnp.asarray(arrays[f"context_{c}"]) for c in "xy"))
    targets = Observations(*(jnp.asarray(arrays[f"train_targets_{c}"]) for c in "xy"))
    return contexts, targets, jnp.asarray(arrays["params"][:, 0])


@jax.jit
def objective_terms(model, contexts, targets):
    def one(contexts, targets):
        out = training_pass(model, contexts, targets)
        mean, std = out.prediction
        log_density = gaussian_log_density(targets.values, mean, std**2).sum()
        return log_density, out.kl, negative_elbo(model, contexts, targets)

    return jax.vmap(one)(contexts, targets)


def test_training_objective(reference, arrays, name):
    contexts, targets, _ = tasks(arrays)
    log_density, kl, loss = objective_terms(
        published(reference, name), contexts, targets
    )
    np.testing.assert_allclose(
        log_density, arrays[f"{name}/train_logprob_sum"], rtol=1e-5
    )
    np.testing.assert_allclose(loss, arrays[f"{name}/train_loss"], rtol=1e-5)
    # The stored KL is a float32 sum of 128 terms of size one that cancel to 1e-3 or
    # less.
    np.testing.assert_allclose(kl, arrays[f"{name}/train_kl"], atol=128 * 2**-23)


def porous_medium(degree):
    """u_t - (k(u) u_x)_x with k(u) = max(u, 0)^degree."""

    def residual(u, t, x):
        def flux(x):
            return jax.nn.relu(u(t, x)) ** degree * jax.grad(u, 1)(t, x)

        return jax.grad(u, 0)(t, x) - jax.grad(flux)(x)

    return residual


def published_penalty(model, contexts, targets, degree, through_latent):
    """The authors' formula: derivatives of sums over all targets.

    They let the targets' coordinates enter the latent encoder too, so that ∂/∂x of the
    mean at one target contains the change of z, and with it of the mean at all others
    (`through_latent`).
    """

    def mean(points):
        seen = points if through_latent else targets.points
        z = model.latent(Observations(seen, targets.values)).mean
        return model(contexts, points, z).mean[:, 0]

    def flux(points):
        gradient = jax.grad(lambda p: mean(p).sum())(points)
        return jax.nn.relu(mean(points)) ** degree * gradient[:, 1]

    u_t = jax.grad(lambda p: mean(p).sum())(targets.points)[:, 0]
    flux_x = jax.grad(lambda p: flux(p).sum())(targets.points)[:, 1]
    return jnp.mean((u_t - flux_x) ** 2)


@jax.jit
def penalties(model, contexts, targets, degree):
    """Ours, the published one, and the published one with z held."""

    def one(contexts, targets, degree):
        u = model.mean_function(contexts, model.latent(targets).mean)
        ours = residual_penalty(porous_medium(degree), u, targets.points)
        theirs = (
            published_penalty(model, contexts, targets, degree, p)
            for p in (True, False)
        )
        return ours, *theirs

    return jax.vmap(one)(contexts, targets, degree)


def test_residual_penalty(reference, arrays, name):
    ours, with_latent, without = penalties(published(reference, name), *tasks(arrays))
    expected = arrays[f"{name}/pinns_penalty"]
    np.testing.assert_allclose(
        with_latent, expected, rtol=2e-5
    )  # second derivatives in float32
    np.testing.assert_allclose(ours, without, rtol=2e-5)
    np.testing.assert_allclose(
        ours, expected, rtol=2e-3
    )  # what the derivative through z adds
