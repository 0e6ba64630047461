"""Many rows: every structured solver against dense algebra."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon._status import Outcome
from physcon.conditioning import builders
from physcon.conditioning.solvers import Auto, BlockGram, Bordered, DiagonalGram
from physcon.conditioning.solvers import SparseCholesky, Woodbury
from physcon.linear_map import BlockDiagonal, Diagonal, LowRank, Sum

SHAPE = (4, 6)
SIZE = 24


def _array(rng, *shape):
    return jnp.asarray(rng.normal(size=shape), jnp.result_type(float))


def _std(rng, decades=1.0):
    return jnp.asarray(10 ** rng.uniform(-decades, 0, SHAPE), jnp.result_type(float))


def _blocks(rng, noise=None):
    weights = jnp.asarray(rng.uniform(0.5, 2, SHAPE), jnp.result_type(float))
    where = np.ones(SHAPE)
    where[0, 1] = 0.25
    return builders.block_means(
        weights, (3, 4), _array(rng, 2, 2), noise_std=noise, where=where
    )


def _labels(rng):
    labels = rng.permutation(np.arange(SIZE) % 5 - 1).reshape(SHAPE)
    return builders.totals(
        jnp.asarray(labels), _array(rng, 4), weights=_array(rng, *SHAPE)
    )


def _points(rng, noise=None):
    matrix = jnp.abs(_array(rng, 2, 4, 6))
    return builders.pointwise(matrix, _array(rng, 2, 6), noise)


def _matrix(rng):
    """Differences along a ring with chords: every point in two rows, or three."""
    g = np.zeros((10, SIZE))
    for k in range(SIZE):
        g[rng.choice(10, 2, replace=False), k] = rng.normal(size=2)
    return g


def _sparse(rng, noise=None):
    scipy = pytest.importorskip("scipy.sparse")
    g = scipy.csr_array(_matrix(rng))
    return builders.from_matrix(g, _array(rng, 10), noise, shape=SHAPE)


def _few(rng):
    rows = pc.Rows(_array(rng, 2, *SHAPE))
    return pc.LinearConstraint(rows, _array(rng, 2), jnp.array([0.0, 0.3]))


LAWS = {
    "blocks": _blocks,
    "noisy blocks": lambda rng: _blocks(rng, 0.3),
    "labels": _labels,
    "pointwise": _points,
    "noisy pointwise": lambda rng: _points(rng, 0.2),
    "sparse": _sparse,
    "noisy sparse": lambda rng: _sparse(rng, 0.5),
    "blocks bordered": lambda rng: pc.stack(_few(rng), _blocks(rng)),
    "sparse bordered": lambda rng: pc.stack(_sparse(rng, 0.1), _few(rng)),
    "mixed": lambda rng: pc.stack(_labels(rng), _few(rng), _points(rng, 0.1)),
}
PRIORS = {
    "diagonal": lambda rng: Diagonal(_std(rng)),
    "ensemble": lambda rng: Sum(LowRank(_array(rng, 3, *SHAPE)), Diagonal(_std(rng))),
}


def _solver(law, prior):
    name = {
        "blocks": DiagonalGram,
        "noisy blocks": DiagonalGram,
        "labels": DiagonalGram,
        "pointwise": BlockGram,
        "noisy pointwise": BlockGram,
        "sparse": SparseCholesky,
        "noisy sparse": SparseCholesky,
    }.get(law, Bordered)
    return Woodbury if prior == "ensemble" else name


class Found(NamedTuple):
    mean: jax.Array
    variance: jax.Array
    root: jax.Array
    log_evidence: jax.Array
    gradient: jax.Array


@eqx.filter_jit
def find(prior, law, weights, solver):
    """All that one conditioning gives, and the gradient of a mixture of it."""

    def objective(args):
        prior, law = args
        result = pc.condition(prior, law, solver=solver, throw=False)
        posterior = result.posterior
        value = jnp.sum(weights[0] * posterior.mean) + 0.3 * result.log_evidence
        return value + jnp.sum(weights[1] * posterior.variance()), result

    (_, result), gradient = eqx.filter_value_and_grad(objective, has_aux=True)(
        (prior, law)
    )
    root = result.posterior.root
    n = int(np.prod(root.in_shape))
    basis = jnp.eye(n).reshape(n, *root.in_shape)
    rows = jax.vmap(root.mv)(basis).reshape(n, -1)
    return result, result.posterior.variance(), rows, gradient


def dense(prior_mean, covariance, g, b, noise):
    """Rasmussen and Williams (2006), eq. A.6, in JAX: differentiable."""
    s = g @ covariance @ g.T + jnp.diag(noise**2)
    gain = jnp.linalg.solve(s, g @ covariance).T
    missing = b - g @ prior_mean
    distance = missing @ jnp.linalg.solve(s, missing)
    log_det = jnp.linalg.slogdet(2 * jnp.pi * s)[1]
    mean = prior_mean + gain @ missing
    return mean, covariance - gain @ g @ covariance, -0.5 * (distance + log_det)


def by_dense_algebra(prior, law, weights):
    def objective(args):
        prior, law = args
        root, operator = prior.root, law.operator
        n = int(np.prod(root.in_shape))
        a = jax.vmap(root.mv)(jnp.eye(n).reshape(n, *root.in_shape)).reshape(n, -1)
        basis = jnp.eye(SIZE).reshape(SIZE, *operator.in_shape)
        g = jax.vmap(operator.mv)(basis).reshape(SIZE, -1).T
        noise = law.noise().reshape(-1)
        found = dense(prior.mean.reshape(-1), a.T @ a, g, law.value.reshape(-1), noise)
        mean, covariance, evidence = found
        value = jnp.sum(weights[0].reshape(-1) * mean) + 0.3 * evidence
        return value + jnp.sum(weights[1].reshape(-1) * jnp.diag(covariance)), found

    (_, found), gradient = eqx.filter_value_and_grad(objective, has_aux=True)(
        (prior, law)
    )
    return *found, gradient


def close(got, expected, tolerance):
    scale = max(float(jnp.max(jnp.abs(expected))), 1e-300)
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("prior_name", PRIORS)
@pytest.mark.parametrize("law_name", LAWS)
def test_equals_dense_algebra(law_name, prior_name, rng, x64):
    law = LAWS[law_name](rng)
    shape = law.operator.in_shape
    prior = pc.Gaussian(_array(rng, *shape), PRIORS[prior_name](rng))
    weights = _array(rng, 2, *shape)
    solver = Auto().choose(prior, law)
    assert type(solver) is _solver(law_name, prior_name)
    result, variance, root, gradient = find(prior, law, weights, solver)
    mean, covariance, evidence, expected = by_dense_algebra(prior, law, weights)
    assert result.outcome == Outcome.good
    close(result.posterior.mean.reshape(-1), mean, 1e-12)
    close(variance.reshape(-1), jnp.diag(covariance), 1e-12)
    close(root.T @ root, covariance, 1e-12)
    close(result.log_evidence, evidence, 1e-12)
    got = jax.tree.leaves(eqx.filter(gradient, eqx.is_inexact_array))
    want = jax.tree.leaves(eqx.filter(expected, eqx.is_inexact_array))
    assert len(got) == len(want) >= 3
    for a, b in zip(got, want, strict=True):
        close(a, b, 1e-10)
