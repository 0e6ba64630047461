"""Many rows: every structured solver against dense algebra."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

import physcon as pc
from physcon._numerics.float64 import cast
from physcon._status import Outcome
from physcon.conditioning import Auto
from physcon.linear_map import Circulant, Dense, Diagonal, Kronecker, LowRank, Sum

SHAPE = (4, 6)
SIZE = 24


def _array(rng, *shape):
    return jnp.asarray(rng.normal(size=shape), jnp.result_type(float))


def _std(rng, decades=1.0):
    return jnp.asarray(10 ** rng.uniform(-decades, 0, SHAPE), jnp.result_type(float))


def _noise(rng, *shape):
    """Noise in half of the rows; the others are exact."""
    sigma = np.where(rng.permutation(np.arange(np.prod(shape))) % 2, 0.3, 0.0)
    return jnp.asarray(sigma.reshape(shape), jnp.result_type(float))


def _blocks(rng):
    weights = jnp.asarray(rng.uniform(0.5, 2, SHAPE), jnp.result_type(float))
    where = np.ones(SHAPE)
    where[0, 1] = 0.25
    return pc.block_means(
        weights, (3, 4), _array(rng, 2, 2), _noise(rng, 2, 2), where=where
    )


def _labels(rng):
    labels = rng.permutation(np.arange(SIZE) % 5 - 1).reshape(SHAPE)
    return pc.totals(jnp.asarray(labels), _array(rng, 4), weights=_array(rng, *SHAPE))


def _points(rng):
    matrix = jnp.abs(_array(rng, 2, 4, 6))
    return pc.pointwise(matrix, _array(rng, 2, 6), _noise(rng, 2, 6))


def _sparse(rng, exact=True):
    """Every point in two rows of ten."""
    g = np.zeros((10, SIZE))
    for k in range(SIZE):
        g[rng.choice(10, 2, replace=False), k] = rng.normal(size=2)
    row, column = np.nonzero(g)
    entries = jnp.asarray(g[row, column], jnp.result_type(float))
    matrix = BCOO((entries, jnp.stack([row, column], axis=1)), shape=g.shape)
    noise = None if exact else _noise(rng, 10)
    return pc.from_matrix(matrix, _array(rng, 10), noise, shape=SHAPE)


def _few(rng):
    rows = pc.Rows(_array(rng, 2, *SHAPE))
    return pc.LinearConstraint(rows, _array(rng, 2), _noise(rng, 2))


LAWS = {
    "blocks": (_blocks, pc.DiagonalGram),
    "labels": (_labels, pc.DiagonalGram),
    "pointwise": (_points, pc.BlockGram),
    "sparse": (_sparse, pc.SparseCholesky),
    "bordered": (lambda rng: pc.stack(_few(rng), _blocks(rng)), pc.Bordered),
    "mixed": (
        lambda rng: pc.stack(_labels(rng), _few(rng), _points(rng)),
        pc.Bordered,
    ),
}
PRIORS = {
    "diagonal": lambda rng: Diagonal(_std(rng)),
    "ensemble": lambda rng: Sum(LowRank(_array(rng, 3, *SHAPE)), Diagonal(_std(rng))),
    "Kronecker": lambda rng: Kronecker(
        Dense(_array(rng, 4, 4), (4,)), Dense(_array(rng, 6, 6), (6,))
    ),
    "circulant": lambda rng: Circulant(
        1 / (1.0 + jnp.fft.fftfreq(4)[:, None] ** 2 + jnp.fft.rfftfreq(6)[None]),
        SHAPE,
        SHAPE,
    ),
}
CASES = [(law, prior) for prior in PRIORS for law in LAWS]
SOLVERS = {
    "ensemble": pc.Woodbury,
    "Kronecker": pc.ColumnGram,
    "circulant": pc.DenseGram,
}


def _case(rng, law_name, prior_name):
    build, solver = LAWS[law_name]
    law = build(rng)
    shape = law.operator.in_shape
    prior = pc.Gaussian(_array(rng, *shape), PRIORS[prior_name](rng))
    return prior, law, SOLVERS.get(prior_name, solver)


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


def arrays(prior, law):
    """Mean, root, rows, value and noise as NumPy arrays, all linear or bilinear in the
    arrays of the prior and the law.
    """
    root, operator = prior.root, law.operator
    n = int(np.prod(root.in_shape))
    a = jax.vmap(root.mv)(jnp.eye(n).reshape(n, *root.in_shape)).reshape(n, -1)
    basis = jnp.eye(SIZE).reshape(SIZE, *operator.in_shape)
    g = jax.vmap(operator.mv)(basis).reshape(SIZE, -1).T
    rest = (x.reshape(-1) for x in (prior.mean, law.value, law.noise()))
    mean, value, noise = rest
    return [np.asarray(x, float) for x in (mean, a, g, value, noise)]


def dense(mean, a, g, value, noise):
    """Mean, covariance and evidence by Rasmussen and Williams (2006), eq. A.6.

    The arrays may be complex.
    """
    covariance = a.T @ a
    s = g @ covariance @ g.T + np.diag(noise**2)
    gain = np.linalg.solve(s, g @ covariance).T
    missing = value - g @ mean
    distance = missing @ np.linalg.solve(s, missing)
    evidence = -0.5 * (distance + np.log(np.linalg.det(2 * np.pi * s)))
    return mean + gain @ missing, covariance - gain @ g @ covariance, evidence


def log_density(u, mean, a, g, value, noise):
    """Of the posterior, by Bayes' rule, on the plane of the exact rows."""
    exact = noise == 0
    off = u - mean
    covariance = a.T @ a
    prior = off @ np.linalg.solve(covariance, off)
    prior = prior + np.log(np.linalg.det(2 * np.pi * covariance))
    missed = (value - g @ u)[~exact] / noise[~exact]
    seen = missed @ missed + 2 * np.sum(np.log((2 * np.pi) ** 0.5 * noise[~exact]))
    area = np.log(np.linalg.det(g[exact] @ g[exact].T))
    return -0.5 * (prior + seen + area) - dense(mean, a, g, value, noise)[2]


def slope(f, at, direction):
    """The derivative of f(prior, law) along a direction, by a complex step.

    The difference of the arrays is exact: they are at most quadratic.
    """
    ends = []
    for sign in (1, -1):
        moved = jax.tree.map(lambda x, d, s=sign: x + s * d, at, direction)
        ends.append(arrays(*moved))
    step = 1e-30
    changed = [
        x + 0.5j * step * (p - q) for x, p, q in zip(arrays(*at), *ends, strict=True)
    ]
    return np.imag(f(*changed)) / step


def check_slopes(rng, gradient, f, at, tolerance):
    """Every array of the gradient, along a direction of its own."""
    leaves, tree = jax.tree.flatten(at)
    slopes = jax.tree.leaves(gradient, is_leaf=lambda x: x is None)
    checked = 0
    for k, x in enumerate(leaves):
        if slopes[k] is None or not jnp.issubdtype(x.dtype, jnp.inexact):
            continue
        own = _array(rng, *x.shape)
        moved = [jnp.zeros_like(y) for y in leaves]
        moved[k] = own
        expected = slope(f, at, jax.tree.unflatten(tree, moved))
        size = float(jnp.linalg.norm(slopes[k]) * jnp.linalg.norm(own))
        got = float(jnp.sum(slopes[k] * own))
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * size)
        checked += 1
    assert checked >= 2


def close(got, expected, tolerance):
    scale = max(float(jnp.max(jnp.abs(expected))), 1e-300)
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(("law_name", "prior_name"), CASES)
def test_equals_dense_algebra(law_name, prior_name, rng, x64):
    prior, law, expected_solver = _case(rng, law_name, prior_name)
    weights = _array(rng, 2, *law.operator.in_shape)
    solver = Auto().choose(prior, law)
    if prior_name == "Kronecker":  # chosen where dense rows take more than 8 MiB
        solver = pc.ColumnGram()
    assert type(solver) is expected_solver
    result, variance, root, gradient = find(prior, law, weights, solver)
    given = arrays(prior, law)
    mean, covariance, evidence = dense(*given)
    assert result.outcome == Outcome.good
    close(result.posterior.mean.reshape(-1), mean, 1e-12)
    close(variance.reshape(-1), np.diag(covariance), 1e-12)
    close(root.T @ root, covariance, 1e-12)
    close(result.log_evidence, evidence, 1e-12)
    w = np.asarray(weights).reshape(2, -1)

    def objective(*given):
        mean, covariance, evidence = dense(*given)
        return w[0] @ mean + 0.3 * evidence + w[1] @ np.diag(covariance)

    check_slopes(rng, gradient, objective, (prior, law), 1e-10)


@pytest.mark.parametrize(
    "case", [("blocks", "diagonal"), ("sparse", "ensemble"), ("blocks", "Kronecker")]
)
def test_log_density_is_that_on_the_plane_of_the_exact_rows(case, rng, x64):
    """Value and gradient."""
    prior, law, solver = _case(rng, *case)
    solver = Auto().choose(prior, law) if solver is pc.Woodbury else solver()

    @eqx.filter_jit
    def drawn(prior, law, solver):
        posterior = pc.condition(prior, law, solver=solver, throw=False).posterior
        return posterior.sample(jax.random.key(3))

    @eqx.filter_jit
    def density(prior, law, u, solver):
        def value(prior):
            found = pc.condition(prior, law, solver=solver, throw=False).posterior
            return found.log_prob(u)

        return eqx.filter_value_and_grad(value)(prior)

    u = drawn(prior, law, solver)
    got, gradient = density(prior, law, u, solver)
    given = arrays(prior, law)
    flat = np.asarray(u).ravel()
    np.testing.assert_allclose(got, log_density(flat, *given), rtol=1e-10)
    mean, covariance, _ = dense(*given)
    g, exact = given[2], given[4] == 0
    m = int(exact.sum())
    basis = np.linalg.qr(g[exact].T, mode="complete")[0][:, m:].T
    inside = 2 * np.pi * basis @ covariance @ basis.T
    off = basis @ (flat - mean)
    distance = 2 * np.pi * off @ np.linalg.solve(inside, off)
    expected = -0.5 * (distance + np.linalg.slogdet(inside)[1])
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    assert density(prior, law, u + 1.0, solver)[0] == -jnp.inf
    whole = (gradient, jax.tree.map(lambda x: None, law))
    check_slopes(rng, whole, partial(log_density, flat), (prior, law), 1e-8)


def test_a_row_that_repeats_others_changes_nothing(rng, x64):
    """Mean, variance, evidence and gradients are those without the row."""
    prior, law, solver = _case(rng, "sparse", "diagonal")
    g = np.asarray(law.operator.rows()).reshape(-1, SIZE)
    combined = np.vstack([g, g[2] - 2 * g[5]])
    row, column = np.nonzero(combined)
    index = jnp.stack([jnp.asarray(row), jnp.asarray(column)], axis=1)
    matrix = BCOO((jnp.asarray(combined[row, column]), index), shape=(11, SIZE))
    value = jnp.append(law.value, law.value[2] - 2 * law.value[5])
    more = pc.from_matrix(matrix, value, shape=SHAPE)
    weights = _array(rng, 2, *SHAPE)
    result, variance, _, gradient = find(prior, more, weights, solver())
    expected, spread, _, slope = find(prior, law, weights, solver())
    assert result.outcome == Outcome.redundant
    close(result.posterior.mean, expected.posterior.mean, 1e-12)
    close(variance, spread, 1e-12)
    close(gradient[0].mean, slope[0].mean, 1e-10)
    close(gradient[0].root.diagonal, slope[0].root.diagonal, 1e-10)
    # The evidence is that of some ten independent rows, of another volume.
    volume = result.log_evidence - expected.log_evidence
    factors = np.abs(np.array([1.0, 2.0]))
    assert np.isclose(np.exp(abs(float(volume))), factors, rtol=1e-9).any()


def test_second_derivatives_of_the_sparse_evidence(rng, x64):
    """Forward over reverse, against differences of the gradient."""
    prior, law, solver = _case(rng, "sparse", "diagonal")

    def evidence(log_std):
        moved = pc.Gaussian(prior.mean, Diagonal(jnp.exp(log_std)))
        return pc.condition(moved, law, solver=solver(), throw=False).log_evidence

    slope = jax.jit(jax.grad(evidence))
    at, direction = jnp.log(prior.root.diagonal), _array(rng, *SHAPE)
    _, curvature = jax.jit(lambda x, v: jax.jvp(jax.grad(evidence), (x,), (v,)))(
        at, direction
    )
    step = 1e-5
    change = slope(at + step * direction) - slope(at - step * direction)
    close(curvature, change / (2 * step), 1e-7)


@eqx.filter_jit
def _values(prior, law):
    result = pc.condition(prior, law, throw=False)
    return result, result.posterior.std()


@pytest.mark.parametrize("case", CASES)
def test_float32_is_right_to_rounding(case, rng):
    prior, law, _ = _case(rng, *case)
    result, std = _values(prior, law)
    u = np.asarray(result.posterior.mean, float).ravel()
    g = np.asarray(law.operator.rows(), float).reshape(-1, SIZE)
    b = np.asarray(law.value, float).ravel()
    eps = float(np.finfo(np.float32).eps)
    missed = np.abs(b - g @ u) / (np.abs(g) @ np.abs(u) + np.abs(b))
    exact_rows = np.asarray(law.noise()).ravel() == 0
    assert np.all(missed[exact_rows] <= 4 * eps)
    with jax.enable_x64(True):
        double = cast((prior, law), jnp.float64)
        exact, exact_std = _values(*double)
        close(u, exact.posterior.mean.ravel(), 4e-7)
        close(np.asarray(std, float), exact_std, 1e-5)
        close(float(result.log_evidence), exact.log_evidence, 4e-6)
    assert result.posterior.mean.dtype == std.dtype == jnp.float32


def _network(rng, nodes=40):
    """A tree and some chords; node 0 to 24 and 25 to 39 are two closed components."""
    edges = [(i, i + 1) for i in range(nodes - 1) if i != 24]
    for _ in range(12):
        edges.append(tuple(rng.choice(25, 2, replace=False)))
    ends = np.array(edges)
    g = np.zeros((nodes, len(ends)))
    np.add.at(g, (ends[:, 0], np.arange(len(ends))), 1)
    np.add.at(g, (ends[:, 1], np.arange(len(ends))), -1)
    return ends, g


def test_closed_components_of_a_network_are_redundant(rng):
    """Supplies that add up are met by every row to rounding; the answer is that of the
    pseudo-inverse. Others contradict each other.
    """
    ends, g = _network(rng)
    flow = rng.normal(size=len(ends))
    std = 10 ** rng.uniform(-2, 2, len(ends))
    supply = jnp.asarray(g @ flow, jnp.float32)
    prior = pc.Gaussian.diagonal(
        jnp.asarray(rng.normal(size=len(ends)), jnp.float32),
        jnp.asarray(std, jnp.float32),
    )
    result, spread = _values(prior, pc.incidence(ends, 40, supply))
    assert result.outcome == Outcome.redundant
    u = np.asarray(result.posterior.mean, float)
    b = np.asarray(supply, float)
    eps = float(np.finfo(np.float32).eps)
    assert (np.abs(b - g @ u) <= 4 * eps * (np.abs(g) @ np.abs(u) + np.abs(b))).all()
    v = np.asarray(prior.std(), float) ** 2
    gain = (v[:, None] * g.T) @ np.linalg.pinv((g * v) @ g.T, hermitian=True)
    mean = np.asarray(prior.mean, float)
    close(u, mean + gain @ (b - g @ mean), 1e-6)
    left = 1 - np.diag(gain @ g)
    np.testing.assert_allclose(np.asarray(spread, float) ** 2 / v, left, atol=1e-6)
    bad = pc.incidence(ends, 40, supply.at[7].add(0.5))
    assert _values(prior, bad)[0].outcome == Outcome.contradiction
    with pytest.raises(RuntimeError, match=r"contradiction in row\(s\)"):
        pc.condition(prior, bad)


def test_batches_and_other_patterns_of_one_program(rng):
    """vmap over values equals a loop; the indices are leaves, so that a network of the
    same sizes does not compile again.
    """
    ends, _ = _network(rng)
    flows = _array(rng, 3, len(ends))
    compiled = []

    @jax.jit
    def mean_of(flow, law):
        compiled.append(1)
        prior = pc.Gaussian.diagonal(flow, jnp.ones(len(ends)))
        return pc.condition(prior, law, throw=False).posterior.mean

    law = pc.incidence(ends, 40)
    each = jnp.stack([mean_of(flow, law) for flow in flows])
    close(jax.vmap(lambda f: mean_of(f, law))(flows), each, 1e-6)
    # vmap traces once more, with the shapes of one sample; the mirrored network not.
    mirrored = pc.incidence(39 - ends[:, ::-1], 40)
    count = len(compiled)
    turned = mean_of(flows[0], mirrored)
    same = jax.tree.map(jnp.shape, mirrored) == jax.tree.map(jnp.shape, law)
    assert same
    assert len(compiled) == count
    g = np.asarray(mirrored.operator.rows())
    assert np.abs(g @ np.asarray(turned)).max() < 1e-5


def test_a_sparse_law_is_exported_for_accelerators(rng):
    ends, _ = _network(rng)
    prior = pc.Gaussian.diagonal(_array(rng, len(ends)), jnp.ones(len(ends)))

    def run(prior, law):
        result = pc.condition(prior, law, throw=False)
        return result.posterior.mean, result.posterior.std(), result.log_evidence

    law = pc.incidence(ends, 40)
    exported = jax.export.export(jax.jit(run), platforms=("cpu", "cuda", "tpu"))
    assert exported(prior, law).platforms == ("cpu", "cuda", "tpu")


@pytest.mark.parametrize("double", [False, True])
def test_dead_ends_have_no_flow(double):
    """Rows whose terms are all zero leave rounding errors, not a failure."""
    with jax.enable_x64(double):
        mean = jnp.asarray([1.234567, 0.3337, -2.1111])
        prior = pc.Gaussian.diagonal(mean, jnp.asarray([0.37, 1.13, 0.771]))
        rows = pc.Rows(jnp.asarray([[0.0, 3.3, 0.0], [1.0, 1.0, 0.0]]))
        for law in (
            pc.incidence([[0, 1], [1, 2], [-1, 0]], 3),
            pc.LinearConstraint(rows, jnp.zeros(2)),
            pc.totals(jnp.array([0, 1, 1]), jnp.zeros(2), weights=jnp.full(3, 0.3)),
        ):
            found = pc.condition(prior, law)
            assert found.outcome == Outcome.good
            np.testing.assert_allclose(found.posterior.mean[0], 0, atol=1e-15)
