"""`monotone`: isotonic regression with bounds and an integral, against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from physcon import Gaussian, LinearConstraint, Rows
from physcon.conditioning import isotonic_blocks, monotone

EPS = float(np.finfo(np.float32).eps)
N = 40


def problem(seed):
    rng = np.random.default_rng(seed)
    mean = rng.normal(np.linspace(0, 1, N), 0.4)
    std = np.exp(rng.normal(0, 1, N))
    row = rng.uniform(0.5, 1.5, (1, N))
    value = row @ np.sort(rng.uniform(0.1, 0.9, N))
    return tuple(jnp.asarray(x, jnp.float32) for x in (mean, std, row, value))


def solve(
    mean, std, row, value, lower=0.0, upper=1.0, noise_std=None, decreasing=False
):
    law = LinearConstraint(Rows(row), value, noise_std)
    prior = Gaussian.diagonal(mean, std)
    return monotone(prior, law, lower, upper, decreasing=decreasing, throw=False)


solved = jax.jit(solve)


@pytest.mark.parametrize("seed", range(3))
def test_blocks_equal_scipy(seed):
    rng = np.random.default_rng(seed)
    y, w = rng.normal(np.linspace(0, 1, 300), 0.5), np.exp(rng.normal(size=300))
    blocks = np.asarray(jax.jit(isotonic_blocks)(jnp.asarray(y), jnp.asarray(w)))
    fit = (np.bincount(blocks, w * y) / np.bincount(blocks, w))[blocks]
    reference = scipy.optimize.isotonic_regression(y, weights=w).x
    np.testing.assert_allclose(fit, reference, atol=1e-5)


def test_worst_case_of_pooling():
    """A ramp that ends in a deep fall is one block."""
    y = jnp.arange(50.0).at[-1].set(-1e4)
    assert not np.any(isotonic_blocks(y, jnp.ones(50)))


@pytest.mark.parametrize("seed", range(3))
def test_order_bounds_and_mass_hold(seed):
    mean, std, row, value = problem(seed)
    got = solved(mean, std, row, value)
    u, g = np.asarray(got.mean, np.float64), np.asarray(row[0], np.float64)
    assert int(got.status) == 0
    assert np.all(np.diff(u) >= 0)
    assert u.min() >= 0
    assert u.max() <= 1
    assert abs(g @ u - float(value[0])) <= 4 * EPS * (g @ np.abs(u) + float(value[0]))


@pytest.mark.parametrize("seed", [0, 1])
def test_equals_slsqp(seed):
    mean, std, row, value = problem(seed)
    μ, s, g, b = (np.asarray(x, np.float64) for x in (mean, std, row, value))
    got = np.asarray(solved(mean, std, row, value).mean, np.float64)
    order = np.diff(np.eye(N), axis=0)
    reference = scipy.optimize.minimize(
        lambda u: 0.5 * np.sum(((u - μ) / s) ** 2),
        np.linspace(0.1, 0.9, N),
        jac=lambda u: (u - μ) / s**2,
        bounds=[(0, 1)] * N,
        constraints=[
            {"type": "eq", "fun": lambda u: g @ u - b, "jac": lambda u: g},
            {"type": "ineq", "fun": lambda u: order @ u, "jac": lambda u: order},
        ],
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    np.testing.assert_allclose(got, reference.x, atol=1e-4)
    cost = np.sum(((got - μ) / s) ** 2)
    assert cost <= np.sum(((reference.x - μ) / s) ** 2) * (1 + 1e-6)


def test_decreasing_is_the_mirror_image():
    mean, std, row, value = problem(0)
    up = solved(mean, std, row, value)
    down = jax.jit(lambda *a: solve(*a, decreasing=True))(
        mean[::-1], std[::-1], row[:, ::-1], value
    )
    np.testing.assert_allclose(down.mean[::-1], up.mean, atol=2 * EPS)


def test_already_monotone_prior_is_only_conditioned():
    mean = jnp.linspace(0.2, 0.8, N)
    got = solved(mean, jnp.full(N, 0.1), jnp.ones((1, N)), jnp.array([N * 0.55]))
    np.testing.assert_allclose(got.mean, mean + 0.05, atol=1e-6)
    assert np.array_equal(got.block, np.arange(N))


def test_posterior_variance_is_that_of_block_averages():
    """One block, of variance 1 / Σ σ⁻²; a row along the data's precision leaves it one
    block.
    """
    std = jnp.linspace(1.0, 2.0, N)
    row, mean = (std**-2)[None], -jnp.linspace(0, 1, N)
    value = 0.5 * jnp.sum(row)[None]
    got = solved(mean, std, row, value)
    np.testing.assert_allclose(got.mean, 0.5, rtol=1e-6)
    np.testing.assert_allclose(got.posterior.variance(), 0, atol=1e-7)
    got = jax.jit(solve)(mean, std, row, value, -9.0, 9.0, jnp.array([1e6]))
    expected = 1 / np.sum(np.asarray(std, np.float64) ** -2)
    np.testing.assert_allclose(got.posterior.variance(), expected, rtol=1e-5)


def test_corners_of_the_reach_and_beyond():
    mean, std, row, _ = problem(0)
    row = jnp.ones_like(row)
    for value, level in ((0.0, 0.0), (float(N), 1.0)):
        got = solved(mean, std, row, jnp.array([value]))
        assert int(got.status) == 0
        np.testing.assert_array_equal(got.mean, np.full(N, level))
    assert int(solved(mean, std, row, jnp.array([N + 1.0])).status) == 3
    assert int(solved(mean.at[0].set(jnp.nan), std, row, jnp.ones(1)).status) == 1
    assert int(solved(mean, std.at[0].set(0), row, jnp.ones(1)).status) == 1
    assert int(solved(mean, std, row, jnp.ones(1), 1.0, 0.5).status) == 2


def test_derivatives_equal_differences(rng, x64):
    primals = tuple(x.astype(jnp.float64) for x in problem(1))
    tangents = tuple(jnp.asarray(rng.normal(size=x.shape)) for x in primals)
    fn = jax.jit(lambda *a: solve(*a).mean)
    out, tangent = jax.jvp(fn, primals, tangents)
    h = 1e-7
    ahead = fn(*(x + h * t for x, t in zip(primals, tangents, strict=True)))
    behind = fn(*(x - h * t for x, t in zip(primals, tangents, strict=True)))
    np.testing.assert_allclose(
        tangent, (ahead - behind) / (2 * h), rtol=1e-5, atol=1e-6
    )
    cotangent = jnp.asarray(rng.normal(size=out.shape))
    grads = jax.vjp(fn, *primals)[1](cotangent)
    pulled = sum(jnp.sum(g * t) for g, t in zip(grads, tangents, strict=True))
    np.testing.assert_allclose(pulled, jnp.sum(cotangent * tangent), rtol=1e-10)


def test_batch_equals_loop():
    cases = [problem(seed) for seed in range(5)]
    batch = [jnp.stack(x) for x in zip(*cases, strict=True)]
    got = jax.jit(jax.vmap(solve))(*batch)
    for i, case in enumerate(cases):
        np.testing.assert_allclose(got.mean[i], solved(*case).mean, atol=2 * EPS)
