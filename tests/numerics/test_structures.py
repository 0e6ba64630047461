"""Every covariance structure equals dense algebra, and conditioning with it obeys the
laws.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon.conditioning import derived, stationary
from physcon.kernels import (
    covariance,
    matern12,
    matern32,
    matern52,
    squared_exponential,
)
from physcon.linear_map import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Difference,
    Kronecker,
    LinearMap,
    LowRank,
    Rows,
    Stencil,
    Sum,
    as_root,
)

SHAPE, SIZE = (3, 4), 12


def _normal(rng, *shape):
    return jnp.asarray(rng.normal(size=shape), jnp.result_type(float))


def _positive(rng, *shape):
    return jnp.asarray(np.exp(0.5 * rng.normal(size=shape)), jnp.result_type(float))


def _stationary(rng, periodic=False):
    grid = pc.Grid.uniform((0.0, 0.0), (1.0, 1.5), SHAPE)
    std = _positive(rng, *SHAPE)
    zero = jnp.zeros(SHAPE)
    return stationary(zero, matern32, grid, std, 0.2, padding=4, periodic=periodic).root


#: Roots over fields of shape SHAPE, and whether they own a density.
ROOTS = {
    "dense": (lambda rng: Dense(_normal(rng, SIZE, SIZE), SHAPE), True),
    "cholesky": (
        lambda rng: (
            pc.Gaussian.from_covariance(
                jnp.zeros(SHAPE), jnp.cov(_normal(rng, SIZE, 30)) + 0.1 * jnp.eye(SIZE)
            ).root
        ),
        True,
    ),
    "low rank": (lambda rng: LowRank(_normal(rng, 5, *SHAPE)), True),
    "low rank + diagonal": (
        lambda rng: Sum(
            LowRank(_normal(rng, 5, *SHAPE)), Diagonal(_positive(rng, *SHAPE))
        ),
        True,
    ),
    "kronecker": (
        lambda rng: Kronecker(
            Dense(_normal(rng, 3, 3), (3,)), Dense(_normal(rng, 4, 4), (4,))
        ),
        True,
    ),
    "stationary": (_stationary, False),
    "stationary on a torus": (lambda rng: _stationary(rng, True), True),
    "scaled sum": (
        lambda rng: Compose(
            Diagonal(_positive(rng, *SHAPE)),
            Sum(
                Dense(_normal(rng, SIZE, SIZE), SHAPE), LowRank(_normal(rng, 2, *SHAPE))
            ),
        ),
        False,
    ),
}
BUILD = {name: build for name, (build, _) in ROOTS.items()}


def matrix(linear_map: LinearMap) -> np.ndarray:
    """The map as a dense matrix, through `mv` alone."""
    n = int(np.prod(linear_map.in_shape))
    columns = jax.vmap(linear_map.mv)(jnp.eye(n).reshape(n, *linear_map.in_shape))
    return np.asarray(columns, float).reshape(n, -1).T


class Found(NamedTuple):
    """What one compiled call returns for one structure."""

    root: jax.Array
    rows: jax.Array
    variance: jax.Array
    result: pc.Conditioned
    posterior_variance: jax.Array
    posterior_covariance: jax.Array
    samples: jax.Array


@jax.jit
def find(prior: pc.Gaussian, law: pc.LinearConstraint) -> Found:
    result = pc.condition(prior, law, throw=False)
    posterior = result.posterior
    basis = jnp.eye(int(np.prod(prior.root.in_shape))).reshape(-1, *prior.root.in_shape)
    return Found(
        jax.vmap(prior.root.mv)(basis).reshape(basis.shape[0], -1).T,
        prior.root.rows().reshape(prior.mean.size, -1),
        prior.variance(),
        result,
        posterior.variance(),
        posterior.covariance(),
        posterior.sample(jax.random.key(3), (3,)),
    )


@pytest.fixture(scope="module", params=ROOTS)
def case(request):
    """(prior, law, found) in float64, for every structure."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(7)
        prior = pc.Gaussian(_normal(rng, *SHAPE), BUILD[request.param](rng))
        law = pc.LinearConstraint(Rows(_normal(rng, 2, *SHAPE)), _normal(rng, 2))
        yield prior, law, find(prior, law), request.param


def test_prior_equals_dense_algebra(case, x64):
    prior, _, found, name = case
    np.testing.assert_allclose(
        found.rows, found.root, rtol=0, atol=1e-13
    )  # rmv is mv transposed
    dense = np.asarray(found.root @ found.root.T)
    np.testing.assert_allclose(
        np.ravel(found.variance), np.diag(dense), rtol=0, atol=1e-12 * dense.max()
    )
    if not ROOTS[name][1]:
        with pytest.raises(NotImplementedError, match="draw samples"):
            prior.log_prob(prior.mean)
        return
    u = prior.sample(jax.random.key(0))
    e = np.ravel(u - prior.mean)
    eigenvalues = np.linalg.eigvalsh(dense)
    eigenvalues = eigenvalues[eigenvalues > 1e-10 * eigenvalues.max()]
    expected = -0.5 * (
        e @ np.linalg.pinv(dense, rcond=1e-10) @ e
        + np.sum(np.log(2 * np.pi * eigenvalues))
    )
    np.testing.assert_allclose(prior.log_prob(u), expected, rtol=1e-9)


def test_posterior_equals_dense_algebra(case):
    prior, law, found, _ = case
    dense = np.asarray(found.root @ found.root.T)
    g, mean = np.asarray(law.operator.weights).reshape(2, -1), np.ravel(prior.mean)
    gain = np.linalg.solve(g @ dense @ g.T, g @ dense).T
    size = dense.max()
    np.testing.assert_allclose(
        np.ravel(found.result.posterior.mean),
        mean + gain @ (law.value - g @ mean),
        rtol=0,
        atol=1e-11,
    )
    after = dense - gain @ g @ dense
    np.testing.assert_allclose(
        found.posterior_covariance, after, rtol=0, atol=1e-11 * size
    )
    np.testing.assert_allclose(
        np.ravel(found.posterior_variance), np.diag(after), rtol=0, atol=1e-11 * size
    )
    assert np.all(found.posterior_variance <= found.variance + 1e-12 * size)


def test_samples_obey_the_law(case):
    _, law, found, _ = case
    g = np.asarray(law.operator.weights)
    for sample in found.samples:
        np.testing.assert_allclose(
            np.tensordot(g, sample, 2), law.value, rtol=0, atol=1e-11
        )


@pytest.mark.parametrize("name", ["low rank + diagonal", "stationary"])
def test_float32_residual_is_at_rounding_level(name, rng):
    prior = pc.Gaussian(1 + _normal(rng, *SHAPE), BUILD[name](rng))
    law = pc.LinearConstraint(Rows(_normal(rng, 2, *SHAPE)), _normal(rng, 2))
    mean = np.asarray(find(prior, law).result.posterior.mean, float)
    g = np.asarray(law.operator.weights, float)
    missed = np.abs(np.tensordot(g, mean, 2) - np.asarray(law.value, float))
    size = np.tensordot(np.abs(g), np.abs(mean), 2) + np.abs(np.asarray(law.value))
    assert np.all(missed <= np.finfo(np.float32).eps * size)


@pytest.mark.parametrize("name", ["low rank + diagonal", "stationary"])
def test_gradient_in_the_root_equals_differences(name, rng, x64):
    root = BUILD[name](rng)
    law = pc.LinearConstraint(Rows(_normal(rng, 2, *SHAPE)), _normal(rng, 2))
    mean, weight = _normal(rng, *SHAPE), _normal(rng, *SHAPE)
    arrays, static = eqx.partition(root, eqx.is_inexact_array)
    direction = jax.tree.map(lambda a: _normal(rng, *a.shape), arrays)

    @jax.jit
    def score(step):
        moved = jax.tree.map(lambda a, d: a + step * d, arrays, direction)
        prior = pc.Gaussian(mean, eqx.combine(moved, static))
        found = pc.condition(prior, law, throw=False)
        fields = found.posterior.mean + found.posterior.variance()
        return jnp.sum(weight * fields) + found.log_evidence

    h = 1e-5
    slope = (score(h) - score(-h)) / (2 * h)
    np.testing.assert_allclose(jax.jit(jax.grad(score))(0.0), slope, rtol=1e-6)


def test_sample_covariance_of_a_posterior(rng):
    root = BUILD["low rank + diagonal"](rng)
    prior = pc.Gaussian(_normal(rng, *SHAPE), root)
    law = pc.LinearConstraint(Rows(_normal(rng, 2, *SHAPE)), _normal(rng, 2))
    n = 10_000

    @jax.jit
    def posterior_draws(prior, law):
        posterior = pc.condition(prior, law, throw=False).posterior
        draws = posterior.sample(jax.random.key(1), (n,))
        return posterior.mean, draws, posterior.covariance()

    mean, draws, expected = map(np.asarray, posterior_draws(prior, law))
    draws = draws.reshape(n, -1).astype(float)
    v = np.diag(expected)
    error = np.sqrt(
        (np.outer(v, v) + expected**2) / n
    )  # of a sample covariance (Wishart)
    assert np.all(np.abs(np.cov(draws.T) - expected) < 5 * error)
    assert np.all(np.abs(draws.mean(0) - np.ravel(mean)) < 5 * np.sqrt(v / n))


def test_ensemble_has_the_sample_covariance(rng, x64):
    members = _normal(rng, 6, *SHAPE)
    std = _positive(rng, *SHAPE)
    flat = np.asarray(members).reshape(6, -1)
    prior = pc.Gaussian.from_samples(members)
    np.testing.assert_allclose(prior.covariance(), np.cov(flat.T), atol=1e-14)
    both = pc.Gaussian.from_samples(members, std).covariance()
    np.testing.assert_allclose(
        both, np.cov(flat.T) + np.diag(np.ravel(std) ** 2), atol=1e-13
    )
    assert prior.log_prob(members[0]) > -np.inf  # a member lies in the span
    assert prior.log_prob(members[0] + 1e-3 * _normal(rng, *SHAPE)) == -np.inf


def test_constrained_ensemble_density_is_that_of_its_coordinates(rng, x64):
    """r - 1 coordinates on m rows leave an affine space; its density by an explicit
    basis.
    """
    prior = pc.Gaussian.from_samples(_normal(rng, 6, *SHAPE))
    law = pc.LinearConstraint(Rows(_normal(rng, 2, *SHAPE)), _normal(rng, 2))
    posterior = pc.condition(prior, law).posterior
    u = posterior.sample(jax.random.key(5))
    values, vectors = np.linalg.eigh(np.asarray(posterior.covariance()))
    values, vectors = values[-3:], vectors[:, -3:]
    z = vectors.T @ np.ravel(u - posterior.mean)
    expected = -0.5 * np.sum(z**2 / values + np.log(2 * np.pi * values))
    np.testing.assert_allclose(posterior.log_prob(u), expected, rtol=1e-9)


def test_mixture_moments(rng, x64):
    means, stds = _normal(rng, 5, *SHAPE), _positive(rng, 5, *SHAPE)
    prior = pc.Gaussian.from_mixture(means, stds)
    within, between = np.mean(stds**2, axis=0), np.cov(means.reshape(5, -1).T, ddof=0)
    np.testing.assert_allclose(
        prior.covariance(), between + np.diag(np.ravel(within)), atol=1e-14
    )


@pytest.mark.parametrize(
    ("kernel", "padding", "length"),
    [
        (matern12, 2, 0.3),
        (matern32, 3, 0.2),
        (matern52, 4, 0.2),
        (squared_exponential, 4, 0.2),
    ],
)
def test_circulant_embedding_has_the_kernel(kernel, padding, length, x64):
    grid = pc.Grid.uniform((0.0, 0.0), (1.0, 0.8), (7, 6))
    lengths = jnp.array([length, 0.7 * length])
    prior = stationary(
        jnp.zeros(grid.shape), kernel, grid, 1.5, lengths, padding=padding
    )
    points = jnp.stack([m.reshape(-1) for m in grid.mesh()], axis=-1)
    expected = covariance(kernel, points, points, jnp.array(1.5), lengths)
    np.testing.assert_allclose(prior.covariance(), expected, atol=3e-6 * 1.5**2)


def test_short_torus_is_refused():
    grid = pc.Grid.uniform(0.0, 1.0, 16)
    with pytest.raises(RuntimeError, match="increase padding"):
        stationary(jnp.zeros(16), squared_exponential, grid, 1.0, 0.6)


def test_stationary_length_has_a_gradient(x64):
    grid = pc.Grid.uniform(0.0, 1.0, 16)

    @jax.jit
    def corner(length):
        prior = stationary(
            jnp.zeros(16), matern32, grid, 1.0, length, padding=4, throw=False
        )
        return derived.covariance_block(prior, jnp.array([[0]]), jnp.array([[5]]))[0, 0]

    h = 1e-5
    slope = (corner(0.1 + h) - corner(0.1 - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(corner)(0.1), slope, rtol=1e-6)


@pytest.mark.parametrize(
    "local",
    [
        lambda rng: Stencil(_normal(rng, 3, 2, 6), ((0, 0), (1, -2), (-1, 3)), SHAPE),
        lambda rng: Stencil(_normal(rng, 2, 5, 2), ((-3, 1), (2, 4)), SHAPE),
        lambda rng: Difference(_normal(rng, *SHAPE), 0),
        lambda rng: Difference(_normal(rng, *SHAPE), 1, (True, False)),
        lambda rng: Difference(_normal(rng, *SHAPE), 1, (False, True)),
        lambda rng: Difference(_normal(rng, *SHAPE), 0, (False, False)),
        lambda rng: Difference(_normal(rng, *SHAPE), 1, periodic=True),
        lambda rng: Compose(Rows(_normal(rng, 2, *SHAPE)), BUILD["kronecker"](rng)),
    ],
)
def test_local_maps_and_their_transposes(local, rng, x64):
    a = local(rng)
    dense = matrix(a)
    assert dense.shape == (np.prod(a.out_shape), SIZE)
    np.testing.assert_allclose(np.reshape(a.rows(), dense.shape), dense, atol=1e-14)
    np.testing.assert_allclose(
        np.ravel(as_root(a).gram_diagonal()), np.sum(dense**2, 1), atol=1e-13
    )


def test_stencil_is_the_loop(rng, x64):
    c, u = _normal(rng, 2, 3, 4), _normal(rng, 3, 4)
    out = Stencil(c, ((0, 1), (-1, 0)), (3, 4)).mv(u)
    for i in range(3):
        for j in range(4):
            right = u[i, j + 1] if j < 3 else 0.0
            above = u[i - 1, j] if i > 0 else 0.0
            np.testing.assert_allclose(
                out[i, j], c[0, i, j] * right + c[1, i, j] * above
            )


def test_block_diagonal_is_independent(rng, x64):
    first, second = Dense(_normal(rng, 3, 3), (3,)), Diagonal(_positive(rng, 2, 2))
    joined = pc.conditioning.join_fields(
        pc.Gaussian(_normal(rng, 3), first), pc.Gaussian(_normal(rng, 2, 2), second)
    )
    assert isinstance(joined.root, BlockDiagonal)
    expected = np.zeros((7, 7))
    expected[:3, :3] = matrix(first) @ matrix(first).T
    expected[3:, 3:] = np.diag(np.ravel(second.diagonal) ** 2)
    np.testing.assert_allclose(joined.covariance(), expected, atol=1e-14)
    u = joined.sample(jax.random.key(0))
    e = u - joined.mean
    expected = -0.5 * (
        e @ np.linalg.solve(expected, e) + np.linalg.slogdet(2 * np.pi * expected)[1]
    )
    np.testing.assert_allclose(joined.log_prob(u), expected, rtol=1e-12)


def test_derived_quantities(rng, x64):
    prior = pc.Gaussian(_normal(rng, *SHAPE), BUILD["low rank + diagonal"](rng))
    dense, grid = (
        np.asarray(prior.covariance()),
        pc.Grid.uniform((0.0, 0.0), (1.0, 2.0), SHAPE),
    )
    w = np.ravel(grid.weights())
    mass = derived.total(prior, grid)
    np.testing.assert_allclose(mass.mean[0], grid.integrate(prior.mean), rtol=1e-14)
    np.testing.assert_allclose(mass.variance()[0], w @ dense @ w, rtol=1e-13)
    u = _normal(rng, *SHAPE)
    np.testing.assert_allclose(
        np.ravel(derived.covariance_apply(prior, u)), dense @ np.ravel(u), rtol=1e-12
    )
    points = jnp.array([[0, 1], [2, 3]])
    flat = [1, 11]
    np.testing.assert_allclose(
        derived.covariance_columns(prior, points).reshape(2, -1),
        dense[flat],
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        derived.covariance_block(prior, points, points),
        dense[np.ix_(flat, flat)],
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        derived.values_at(prior, points).std(),
        np.sqrt(np.diag(dense)[flat]),
        rtol=1e-12,
    )
    high, low = derived.quantile(prior, 0.975), derived.quantile(prior, 0.025)
    np.testing.assert_allclose(
        high - low, 2 * 1.959963984540054 * prior.std(), rtol=1e-12
    )
    # A conditioned total is certain, and the law's value.
    posterior = pc.condition(prior, pc.integral(grid, 3.0)).posterior
    known = derived.total(posterior, grid)
    np.testing.assert_allclose(known.mean, [3.0], rtol=1e-14)
    assert known.std()[0] < 1e-7 * mass.std()[0]


def test_position_of_a_shifted_front_is_normal():
    """u = 0.5 + 0.05 z - x falls to 0 at 0.5 + 0.05 z, z ~ N(0, 1); a known mass fixes
    it.
    """
    grid = pc.Grid.uniform(0.0, 1.0, 64)
    x, number, p = grid.coordinates[0], 4000, jnp.array([0.05, 0.5, 0.95])
    front = pc.Gaussian(0.5 - x, LowRank(jnp.full((1, 64), 0.05)))

    @jax.jit
    def quantiles(front):
        return derived.shock_position_quantile(front, x, p, jax.random.key(4), number)

    z = np.array([-1.6448536269514722, 0.0, 1.6448536269514722])
    density = np.exp(-0.5 * z**2) / (0.05 * np.sqrt(2 * np.pi))
    error = np.sqrt(p * (1 - p) / number) / density
    assert np.all(np.abs(quantiles(front) - (0.5 + 0.05 * z)) < 4 * error)
    known = pc.condition(
        front, pc.integral(grid, 0.02)
    ).posterior  # the front is at 0.52
    np.testing.assert_allclose(quantiles(known), 0.52, rtol=1e-5)
