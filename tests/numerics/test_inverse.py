"""Estimates and their covariances against closed forms; gradients of the studies'
objectives.
"""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optax
import optimistix as optx
import pytest

import physcon as pc
from physcon.inverse import (
    evidence,
    laplace_sample,
    least_squares,
    maximum_a_posteriori,
)

rng = np.random.default_rng(6)
A, B = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((7, 4), 7))
FACTOR = jnp.tril(jnp.asarray(rng.normal(size=(4, 4)), jnp.float32)) + 2 * jnp.eye(4)
MEAN = jnp.asarray(rng.normal(size=4), jnp.float32)
NOISE = jnp.full(7, 0.5)


def prior():
    """Correlated, over four parameters."""
    return pc.Gaussian.from_cholesky(MEAN, FACTOR)


def misfit(theta):
    """A linear model: `condition` gives its exact posterior."""
    return (B - A @ theta) / NOISE


@pytest.fixture(scope="module")
def exact():
    """Mean, covariance, and log density at a point."""

    @jax.jit
    def solve():
        g = pc.condition(prior(), pc.LinearConstraint(pc.Rows(A), B, NOISE)).posterior
        return g.mean, g.covariance(), g.log_prob(g.mean + 0.1)

    return solve()


@jax.jit
def _by_least_squares():
    found = least_squares(misfit, prior())
    u = found.parameters + 0.1
    return found.parameters, found.posterior.covariance(), found.posterior.log_prob(u)


def _by_minimiser(solver=None):
    def loss(theta):
        return 0.5 * jnp.sum(misfit(theta) ** 2)

    @jax.jit
    def solve():
        found = maximum_a_posteriori(loss, prior(), solver=solver, max_steps=2000)
        return found.parameters, found.posterior.covariance()

    return solve()


def test_a_linear_model_gives_the_posterior_of_condition(exact):
    mean, covariance, density = _by_least_squares()
    np.testing.assert_allclose(mean, exact[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(covariance, exact[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(density, exact[2], rtol=1e-4)


@pytest.mark.parametrize(
    "solver", [None, optx.OptaxMinimiser(optax.adam(0.1), rtol=1e-6, atol=1e-6)]
)
def test_a_scalar_likelihood_gives_the_same(exact, solver):
    """BFGS and an optax optimiser; the Hessian of a sum of squares is JᵀJ here."""
    mean, covariance = _by_minimiser(solver)
    np.testing.assert_allclose(mean, exact[0], rtol=3e-3, atol=3e-3)
    np.testing.assert_allclose(covariance, exact[1], rtol=1e-4, atol=1e-5)


def test_without_a_matrix(exact):
    """Levenberg-Marquardt and draws by conjugate gradients: the same mean and
    covariance.
    """
    inner = lx.Normal(lx.CG(rtol=1e-5, atol=1e-5))
    solver = optx.LevenbergMarquardt(rtol=1e-4, atol=1e-4, linear_solver=inner)

    @jax.jit
    def solve(key):
        found = least_squares(misfit, prior(), solver=solver, covariance=False)
        assert found.posterior is None
        return found.parameters, laplace_sample(
            key, misfit, prior(), found.latent, (20_000,)
        )

    mean, draws = solve(jax.random.key(1))
    np.testing.assert_allclose(mean, exact[0], rtol=1e-3, atol=1e-3)
    size = jnp.sqrt(jnp.outer(jnp.diag(exact[1]), jnp.diag(exact[1])))
    # Monte Carlo error of a correlation: at most √(2 / 20 000) = 0.01.
    np.testing.assert_array_less(jnp.abs(jnp.cov(draws.T) - exact[1]) / size, 0.05)
    np.testing.assert_allclose(jnp.mean(draws, 0), exact[0], atol=0.03)


def test_a_nonlinear_model_in_batches():
    """Model exp(z), noise 0.1: at the mode z = (data - e^z) e^z / 0.01, JᵀJ = e^2z /
    0.01.
    """

    @jax.jit
    @jax.vmap
    def fit(data):
        white = pc.Gaussian.diagonal(jnp.zeros(1), jnp.ones(1))
        found = least_squares(lambda z: (data - jnp.exp(z)) / 0.1, white)
        return found.parameters, found.posterior.variance(), found.decrement

    data = jnp.array([[0.5], [1.0], [4.0]])
    z, variance, decrement = fit(data)
    e = jnp.exp(z)
    slope = z - (data - e) * e / 0.01
    away = jnp.abs(slope) * jnp.sqrt(variance)
    np.testing.assert_allclose(away[:, 0], decrement, atol=1e-4)
    np.testing.assert_array_less(away, 0.02)
    np.testing.assert_allclose(variance, 1 / (1 + 100 * e**2), rtol=1e-4)


def test_evidence_of_laws_and_data_is_that_of_the_joint_gaussian():
    """Sensors and an exact law one after another, against one dense density."""
    e = np.asarray(B[:3] - A[:3] @ MEAN, float)
    g = np.asarray(A[:3] @ FACTOR, float)
    s = g @ g.T + np.diag([0.09, 0.36, 0.0])
    expected = -0.5 * (e @ np.linalg.solve(s, e) + np.linalg.slogdet(2 * np.pi * s)[1])

    @jax.jit
    def both_orders():
        data = pc.LinearConstraint(pc.Rows(A[:2]), B[:2], jnp.array([0.3, 0.6]))
        law = pc.LinearConstraint(pc.Rows(A[2:3]), B[2:3])
        found = [evidence(prior(), *order) for order in ((data, law), (law, data))]
        return [(x.log_evidence, law.residual(x.posterior.mean)) for x in found]

    for value, residual in both_orders():
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        np.testing.assert_allclose(residual, 0, atol=3e-6)
