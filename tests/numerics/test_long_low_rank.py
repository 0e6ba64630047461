"""Low-rank priors on long fields, whose factor is multiplied in blocks of float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from helpers import exact_residual
from physcon._numerics.blocked import LONG
from physcon.linear_map import Diagonal, LowRank, Rows, Sum

EPS = float(np.finfo(np.float32).eps)
M, R, N = 4, 8, LONG + 77  # one incomplete block
X = (np.arange(N) + 0.5) / N


def modes(kind):
    return np.stack([kind(k * X) for k in range(1, R + 1)])


def random(rng, m):
    return rng.normal(size=(m, N)) / N**0.5


def moments(rng, m):
    """Condition 1e4 for four rows, with all numbers positive."""
    return np.stack([X**k for k in range(m)]) / N


def nearly_equal(rng, m):
    """Rows that differ by 1e-5: the blocks' rounding is seen, all is done again in
    float64.
    """
    return (np.ones((m, N)) + 1e-5 * np.cos(np.arange(m)[:, None] * np.pi * X)) / N


def repeated(rng, m):
    return random(rng, m // 2).repeat(2, axis=0)


def steps(rng, m):
    """1 on one m-th of the field each: rounding errors that are the same in every
    block.
    """
    return np.kron(np.eye(m), np.ones(N // m + 1))[:, :N] * 0.1


CASES = {
    "random": (random, lambda rng: rng.normal(size=(R, N))),
    "moments of exponentials": (moments, lambda rng: modes(np.exp)),
    "nearly equal rows": (nearly_equal, lambda rng: modes(np.cos)),
    "repeated rows": (repeated, lambda rng: rng.normal(size=(R, N))),
    "constant blocks": (steps, lambda rng: 0.3 + steps(rng, R)),
}


@jax.jit
def update(mean, vectors, weights, value):
    prior = pc.Gaussian(mean, LowRank(vectors))
    out = pc.condition(prior, pc.LinearConstraint(Rows(weights), value), throw=False)
    samples = out.posterior.sample(jax.random.key(1), (2,))
    return (
        out.posterior.mean,
        samples,
        out.posterior.variance(),
        out.log_evidence,
        out.status,
    )


@pytest.mark.parametrize("name", CASES)
def test_rows_hold_to_rounding_and_dense_algebra_agrees(name, rng):
    weights, vectors = (
        build(rng, *a) for build, a in zip(CASES[name], ((M,), ()), strict=True)
    )
    z, mean = rng.normal(size=R), np.sin(3 * X)
    arrays = (mean, vectors, weights, weights @ (mean + z @ vectors))
    arrays = tuple(jnp.asarray(a, jnp.float32) for a in arrays)
    posterior, samples, variance, log_evidence, status = update(*arrays)
    law = pc.LinearConstraint(Rows(arrays[2]), arrays[3])
    assert status == (2 if name == "repeated rows" else 0)
    assert np.all(exact_residual(law, posterior) <= 4 * EPS)
    assert np.all(exact_residual(law, samples) <= 4 * EPS)

    # NumPy's float64 in the latent space: z given W z = b - G μ.
    mean, vectors, weights, value = (np.asarray(a, float) for a in arrays)
    w, missing = weights @ vectors.T, value - weights @ mean
    inverse = np.linalg.pinv(w, rcond=1e-9)
    kept = np.linalg.svd(np.eye(R) - inverse @ w)[2][
        : R - np.linalg.matrix_rank(w, 1e-9)
    ]
    scale = np.abs(vectors).sum(axis=0)
    shift = inverse @ missing
    np.testing.assert_array_less(
        np.abs(posterior - mean - shift @ vectors) / scale, 1e-5
    )
    expected = np.sum((kept @ vectors) ** 2, axis=0)
    np.testing.assert_array_less(np.abs(variance - expected) / scale**2, 1e-5)
    if name == "random":
        s = w @ w.T
        expected = -0.5 * (
            missing @ np.linalg.solve(s, missing) + np.linalg.slogdet(2 * np.pi * s)[1]
        )
        np.testing.assert_allclose(log_evidence, expected, rtol=1e-5)


def test_variances_of_a_long_sum_and_their_gradient(rng):
    """An ensemble with errors of its own, before rows are known."""
    vectors = jnp.asarray(rng.normal(size=(R, N)), jnp.float32)
    std = jnp.asarray(rng.uniform(size=N), jnp.float32)

    @jax.jit
    def variances(vectors, std):
        root = Sum(LowRank(vectors), Diagonal(std))
        prior = pc.Gaussian(jnp.zeros(N), root)
        return prior.variance(), prior.std()

    (variance, found), pull = jax.vjp(variances, vectors, std)
    v, s = np.asarray(vectors, float), np.asarray(std, float)
    expected = np.sum(v**2, axis=0) + s**2
    np.testing.assert_allclose(variance, expected, rtol=1.01 * EPS / 2)
    np.testing.assert_allclose(found, np.sqrt(expected), rtol=1.01 * EPS / 2)
    slopes = pull((jnp.ones(N), jnp.zeros(N)))
    np.testing.assert_allclose(slopes[0], 2 * v, rtol=4 * EPS)
    np.testing.assert_allclose(slopes[1], 2 * s, rtol=4 * EPS)


def test_gradient_is_that_of_the_latent_formula(rng):
    """Σ c·μ' and a posterior variance, against JAX through the textbook's algebra in
    float64.
    """
    arrays = [rng.normal(size=s) for s in ((N,), (R, N), (2, N), (2,))]
    cotangent = rng.normal(size=N) / N
    arrays[2] /= N**0.5
    single = tuple(jnp.asarray(a, jnp.float32) for a in arrays)

    def found(mean, vectors, weights, value):
        prior = pc.Gaussian(mean, LowRank(vectors))
        law = pc.LinearConstraint(Rows(weights), value)
        posterior = pc.condition(prior, law, throw=False).posterior
        return posterior.mean @ c + posterior.root.rmv(d) @ posterior.root.rmv(d)

    def textbook(mean, vectors, weights, value):
        w = weights @ vectors.T
        gain = w.T @ jnp.linalg.inv(w @ w.T)
        left = (jnp.eye(R) - gain @ w) @ (vectors @ d)
        return (mean + (gain @ (value - weights @ mean)) @ vectors) @ c + left @ left

    c, d = jnp.asarray(cotangent, jnp.float32), jnp.zeros(N).at[:3].set(1.0)
    got = jax.jit(jax.grad(found, argnums=(0, 1, 2, 3)))(*single)
    with jax.enable_x64(True):
        c, d = jnp.asarray(cotangent), jnp.zeros(N).at[:3].set(1.0)
        expected = jax.jit(jax.grad(textbook, argnums=(0, 1, 2, 3)))(
            *map(jnp.asarray, arrays)
        )
    for a, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-3, atol=1e-4 * float(np.abs(e).max()))


def test_batches_are_loops(rng):
    means = jnp.asarray(rng.normal(size=(2, N)), jnp.float32)
    rest = (
        rng.normal(size=(R, N)),
        rng.normal(size=(M, N)) / N**0.5,
        rng.normal(size=M),
    )
    rest = tuple(jnp.asarray(a, jnp.float32) for a in rest)
    batched = jax.jit(jax.vmap(lambda mean: update(mean, *rest)[0]))(means)
    for mean, row in zip(means, batched, strict=True):
        np.testing.assert_allclose(row, update(mean, *rest)[0], rtol=1e-6, atol=1e-6)
