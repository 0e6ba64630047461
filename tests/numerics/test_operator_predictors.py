"""Neural operators as Gaussians: heads, ensembles, latents, and what `condition` makes
of them.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import physcon as pc
from physcon.models.ensemble import ensemble_members, ensemble_prior
from physcon.models.operator import (
    OperatorRegressor,
    latent_loss,
    latent_prior,
    operator_loss,
    operator_prior,
)
from physcon.operators import FNO, BoundaryFNO
from physcon.operators.enforce import residuals
from physcon.training import Minibatches, fit

N = 24
GRID = pc.Grid.uniform(0.0, 1.0, N, location="nodes")
KEY = jax.random.key(5)


def fno(key, inputs=1):
    return FNO.init(key, inputs, 2, (5,), 6, 1, hidden=16)


@pytest.fixture(scope="module")
def u():
    return jnp.sin(7 * GRID.coordinates[0])[None]


def test_trained_head_learns_where_the_noise_is():
    """Answers 2 u + s(x) ε: the likelihood's optimum is mean 2 u and standard deviation
    s(x).
    """
    x = np.asarray(GRID.coordinates[0])
    rng = np.random.default_rng(0)
    u = rng.normal(size=(400, 1, 1)) * np.cos(np.pi * x)
    s = 0.1 + 0.4 * x
    data = {"u": u, "answer": 2 * u + s * rng.normal(size=(400, 1, N))}
    data = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), data)

    def loss(model, batch, key):
        return jnp.mean(
            jax.vmap(lambda u, a: operator_loss(model, u, a))(
                batch["u"], batch["answer"]
            )
        )

    steps = 400
    rate = optax.cosine_decay_schedule(2e-2, steps)
    model = fit(
        loss,
        OperatorRegressor(fno(KEY)),
        optax.adam(rate),
        Minibatches(data, 50),
        steps,
        KEY,
        progress=False,
    ).params
    mean, std = eqx.filter_jit(lambda m, u: jax.vmap(m)(u))(model, data["u"][:50])
    assert float(jnp.std(mean - 2 * data["u"][:50])) < 0.1
    assert np.abs(np.mean(std, axis=(0, 1)) / s - 1).max() < 0.25


@eqx.filter_jit
def conditioned(members, u, slope, mass):
    """An ensemble of corrected heads, its mass and boundary conditions given."""
    boundary = pc.Boundary((pc.Dirichlet(1.25), pc.Neumann(slope)))
    prior = ensemble_prior(members, u, boundary, GRID, shape=(N,))
    rows = pc.stack(pc.integral(GRID, mass), pc.boundary_values(GRID, boundary))
    means, _ = ensemble_members(members, u, boundary, GRID)
    return boundary, means, prior, pc.condition(prior, rows)


def test_conditioning_a_corrected_ensemble_keeps_both_laws_at_rounding(u):
    """BOON-FNO means and variances, then `stack(integral, boundary_values)`."""
    members = eqx.filter_vmap(lambda k: OperatorRegressor(BoundaryFNO(fno(k))))(
        jax.random.split(KEY, 3)
    )
    mass, eps = 0.75, np.finfo("float32").eps
    boundary, means, prior, out = conditioned(
        members, u, jnp.asarray(-0.5), jnp.asarray(mass)
    )
    spread = np.std(np.asarray(means), axis=0)[0]
    np.testing.assert_allclose(prior.std() >= 0.99 * spread, True)
    weights, mean = (
        np.asarray(a, np.float64) for a in (GRID.weights(), out.posterior.mean)
    )
    assert abs(weights @ np.asarray(prior.mean, np.float64) - mass) > 1e-2
    assert abs(weights @ mean - mass) <= 4 * eps * (weights @ np.abs(mean) + mass)
    for r in residuals(out.posterior.mean[None], boundary, GRID):
        assert (
            float(jnp.abs(r.value[0])) <= 4 * eps * 4 / float(GRID.spacings[0]) * 1.25
        )
    assert float(out.posterior.variance()[0]) < 1e-12


def test_latents_correlate_the_field(u):
    """The mixture's covariance is the spread over z, plus the head's own variance."""
    model = OperatorRegressor(fno(KEY, 3), latents=2)

    @eqx.filter_jit
    def everything(model, u, key):
        prior = latent_prior(model, u, key=key, samples=8)
        z = jax.random.normal(key, (8, 2))
        drawn = jax.vmap(lambda z: model(u, z=z))(z)
        return (
            prior.mean,
            prior.covariance(),
            drawn,
            latent_loss(model, u, u, key=key, samples=8),
        )

    mean, covariance, (means, stds), loss = everything(model, u, KEY)
    flat = np.asarray(means, np.float64).reshape(8, N)
    np.testing.assert_allclose(mean[0], flat.mean(0), atol=1e-5)
    expected = np.cov(flat.T, ddof=0) + np.diag(
        np.mean(np.asarray(stds) ** 2, axis=0)[0]
    )
    np.testing.assert_allclose(
        np.asarray(covariance).reshape(N, N), expected, atol=1e-5 * expected.max()
    )
    assert np.abs(expected[0, 1:]).max() > 1e-4
    log = -0.5 * (((u[None] - means) / stds) ** 2 + np.log(2 * np.pi * stds**2)).sum(
        axis=(1, 2)
    )
    np.testing.assert_allclose(
        loss, -(np.logaddexp.reduce(log) - np.log(8)) / N, rtol=1e-4
    )


def test_head_is_a_diagonal_prior_and_known_ends_do_not_enter_the_loss(u):
    boundary = pc.Boundary((pc.Dirichlet(1.0), pc.Outflow()))
    model = OperatorRegressor(BoundaryFNO(fno(KEY)))

    @eqx.filter_jit
    def everything(model, answer):
        loss = lambda m: operator_loss(m, u, answer, boundary, GRID)  # noqa: E731
        return operator_prior(model, u, boundary, GRID), *eqx.filter_value_and_grad(
            loss
        )(model)

    prior, loss, gradient = everything(model, u)
    assert float(prior.mean[0, 0]) == 1.0
    assert float(prior.std()[0, 0]) == 0.0
    assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.tree.leaves(gradient))
    mean, std = np.asarray(prior.mean[0, 1:]), np.asarray(prior.std()[0, 1:])
    inner = np.asarray(u)[0, 1:]
    expected = np.mean(
        0.5 * ((inner - mean) / std) ** 2 + np.log(std * np.sqrt(2 * np.pi))
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="use operator_prior"):
        latent_prior(model, u, boundary, GRID, key=KEY)
