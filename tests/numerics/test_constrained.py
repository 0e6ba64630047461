"""Inequalities: optimality conditions, derivatives, and proofs that nothing fits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import physcon as pc
from physcon._status import Outcome
from physcon.conditioning._bounded_many import has_many_rows
from physcon.linear_map import Dense, Diagonal, LowRank, Sum

N, M, K = 30, 8, 6


def _sparse(rng, rows):
    g = rng.normal(size=(rows, N)) * (rng.uniform(size=(rows, N)) < 0.2)
    g[np.arange(rows), rng.permutation(N)[:rows]] = 1.0
    return g


def _problem(rng, prior="diagonal"):
    g, c = _sparse(rng, M), _sparse(rng, K)
    u = rng.uniform(0, 1, N)
    low, high = c @ u - rng.uniform(0, 0.3, K), c @ u + rng.uniform(0, 0.3, K)
    low[:2], high[1:3] = -np.inf, np.inf  # row 1 is open at both ends
    std = jnp.asarray(np.exp(0.5 * rng.normal(size=N)))
    root = Diagonal(std)
    if prior == "ensemble":
        root = Sum(LowRank(jnp.asarray(rng.normal(size=(3, N)))), root)
    if prior == "dense":
        root = Dense(jnp.asarray(rng.normal(size=(N, N))), (N,))
    mean = jnp.asarray(rng.normal(0.5, 2, N))
    return pc.Gaussian(mean, root), g, g @ u, c, low, high


def _csr(matrix):
    return pytest.importorskip("scipy.sparse").csr_array(matrix)


@pytest.mark.parametrize("prior_name", ["diagonal", "ensemble", "dense"])
def test_optimality_conditions(prior_name, rng, x64):
    """Σ⁻¹ (u - μ) is a combination of active rows and bounds with the right signs."""
    prior, g, b, c, low, high = _problem(rng, prior_name)
    law = pc.from_matrix(_csr(g), b)
    found = pc.constrained(
        prior, law, 0.0, 1.0, rows=_csr(c), row_lower=low, row_upper=high
    )
    assert found.outcome == Outcome.good
    u, active = np.asarray(found.mean), np.asarray(found.active)
    rows = np.asarray(found.row_active)
    assert (u >= 0).all()
    assert (u <= 1).all()
    assert 3 < (active != 0).sum() <= N - M
    assert (rows != 0).any()
    np.testing.assert_allclose(g @ u, b, rtol=0, atol=1e-13)
    assert (c @ u >= low - 1e-13).all()
    assert (c @ u <= high + 1e-13).all()
    np.testing.assert_allclose((c @ u)[rows > 0], high[rows > 0], atol=1e-13)
    np.testing.assert_allclose((c @ u)[rows < 0], low[rows < 0], atol=1e-13)
    covariance = np.asarray(prior.covariance())
    force = np.linalg.solve(covariance, u - np.asarray(prior.mean))
    normals = np.concatenate([g, c[rows != 0], np.eye(N)[active != 0]])
    weights, *_ = np.linalg.lstsq(normals.T, force, rcond=None)
    np.testing.assert_allclose(normals.T @ weights, force, atol=1e-9)
    row_weights = weights[M : M + (rows != 0).sum()]
    point_weights = weights[M + (rows != 0).sum() :]
    assert (row_weights * rows[rows != 0] < 1e-9).all()
    assert (point_weights * active[active != 0] < 1e-9).all()


def test_a_batch_of_dense_rows_without_bounds(rng, x64):
    """u - μ = Σ Gᵀ λ with the right signs, at noisy, repeated and open rows."""
    n, m, k, batch = 12, 5, 6, 3
    g, c = rng.normal(size=(m, n)), rng.normal(size=(k, n))
    g[3] = g[2] - g[1]  # implied by others
    inside = rng.normal(size=(batch, n))
    noise = jnp.asarray([0.2, 0, 0, 0, 0])
    low, high = inside @ c.T - 0.3, inside @ c.T + 0.1
    low[:, :2], high[:, 1:3] = -np.inf, np.inf  # row 1 is open at both ends
    low[:, 4] = high[:, 4]
    mean = inside + 3 * rng.normal(size=(batch, n))
    std = np.exp(0.5 * rng.normal(size=n))

    @jax.jit
    @jax.vmap
    def solve(mean, b, low, high):
        law = pc.LinearConstraint(pc.linear_map.Rows(jnp.asarray(g)), b, noise)
        found = pc.constrained(
            pc.Gaussian.diagonal(mean, jnp.asarray(std)),
            law,
            rows=c,
            row_lower=low,
            row_upper=high,
            throw=False,
        )
        return found.mean, found.multiplier, found.row_active, found.outcome._value

    found = solve(*map(jnp.asarray, (mean, inside @ g.T, low, high)))
    u, multiplier, active, outcome = map(np.asarray, found)
    assert (outcome == Outcome.good._value).all()
    whole = np.concatenate([g, c])
    np.testing.assert_allclose(u, mean + std**2 * (multiplier @ whole), atol=1e-9)
    missed = inside @ g.T - u @ g.T - np.asarray(noise) ** 2 * multiplier[:, :m]
    np.testing.assert_allclose(missed, 0, atol=1e-12)
    assert (u @ c.T > low - 1e-12).all()
    assert (u @ c.T < high + 1e-12).all()
    signs = -active[:, [0, 1, 2, 3, 5]]
    forces = multiplier[:, m:][:, [0, 1, 2, 3, 5]]
    assert (signs * forces >= 0).all()
    np.testing.assert_allclose(forces[signs == 0], 0, atol=1e-9)
    assert (signs != 0).sum() > 3


def test_derivatives_are_those_of_differences(rng, x64):
    prior, g, b, c, low, high = _problem(rng)
    operator = pc.from_matrix(_csr(c), 0.0).operator
    law = pc.from_matrix(_csr(g), b)
    weight = jnp.asarray(rng.normal(size=N))

    @jax.jit
    def value(mean, std, b, low):
        found = pc.constrained(
            pc.Gaussian.diagonal(mean, std),
            pc.LinearConstraint(law.operator, b),
            0.0,
            1.0,
            rows=operator,
            row_lower=low,
            row_upper=high,
            throw=False,
        )
        return jnp.sum(weight * found.mean)

    args = (prior.mean, prior.root.diagonal, jnp.asarray(b), jnp.asarray(low))
    gradient = jax.jit(jax.grad(value, argnums=(0, 1, 2, 3)))(*args)
    step = 1e-6
    for k, got in enumerate(gradient):
        assert np.isfinite(np.asarray(got)).all()
        direction = np.where(np.isfinite(args[k]), rng.normal(size=args[k].shape), 0)
        ends = []
        for sign in (1, -1):
            moved = list(args)
            moved[k] = args[k] + sign * step * direction
            ends.append(value(*moved))
        expected = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(
            np.sum(got * direction), expected, rtol=1e-5, atol=1e-7
        )


def test_a_contradiction_is_proved_and_named(rng, x64):
    """A row that no field in the box can have."""
    prior, g, b, *_ = _problem(rng)
    g[3] = np.abs(g[3])
    b[3] = g[3].sum() + 1
    law = pc.from_matrix(_csr(g), b)
    found = pc.constrained(prior, law, 0.0, 1.0, throw=False)
    assert found.outcome == Outcome.contradiction
    v = np.asarray(found.multiplier)
    weight = g.T @ v
    assert v @ b > np.maximum(weight, 0).sum()  # for all 0 <= u <= 1: v·G u is less
    assert np.isnan(jax.grad(lambda b: _mean(prior, law, b))(law.value)).all()
    with pytest.raises(RuntimeError, match=r"the proof combines row 3\b"):
        pc.constrained(prior, law, 0.0, 1.0)


def test_many_rows_within_bounds_equal_few(rng, x64):
    """A law at every point equals the same rows as a dense array."""
    shape = (4, 5)
    matrix = rng.uniform(0.5, 2, (1, 4, 5))
    law = pc.pointwise(matrix, jnp.asarray(rng.uniform(1, 3, (1, 5))))
    assert has_many_rows(law.operator)
    few = pc.LinearConstraint(
        pc.Rows(law.operator.rows().reshape(5, *shape)), law.value[0]
    )
    mean = jnp.asarray(rng.normal(0.3, 1, shape))
    std = jnp.asarray(rng.uniform(0.1, 1, shape))
    prior = pc.Gaussian.diagonal(mean, std)
    found = pc.bounded(prior, law, 0.0, 2.0)
    expected = pc.bounded(prior, few, 0.0, 2.0)
    assert found.outcome == Outcome.good
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-12)
    np.testing.assert_array_equal(found.active, expected.active)
    np.testing.assert_allclose(found.multiplier[0], expected.multiplier, rtol=1e-6)
    spread = found.posterior.std()
    np.testing.assert_allclose(spread, expected.posterior.std(), atol=1e-9)
    low, high = pc.reachable(prior, law, 0.0, 2.0)
    np.testing.assert_array_equal(low, np.zeros((1, 5)))
    np.testing.assert_allclose(high, 2 * matrix.sum(1))
    far = pc.LinearConstraint(law.operator, law.value.at[0, 3].set(-2.0))
    with pytest.raises(
        RuntimeError, match=r"row 3 got -2, out of reach \[0, .*\] by 2;"
    ):
        pc.bounded(prior, far, 0.0, 2.0)


def _mean(prior, law, b):
    law = pc.LinearConstraint(law.operator, b)
    return jnp.sum(pc.constrained(prior, law, 0.0, 1.0, throw=False).mean)


@jax.jit
def _bounded(mean, std, law, upper):
    prior = pc.Gaussian.diagonal(mean, std)
    return pc.bounded(prior, law, 0.0, upper, throw=False)


def test_groups_are_solved_at_once(rng):
    """u = clip(μ + λ w σ², l, h) with one λ per block, and the block means are met; in
    units of 1e-15, 1 and 1e15.
    """
    shape = (12, 10)
    weights = rng.uniform(0.5, 2, shape)
    where = np.ones(shape)
    where[:4, :4] = 0  # a block without points
    std = np.exp(rng.normal(size=shape)) * (rng.uniform(size=shape) > 0.1)
    mean = rng.normal(0.2, 1, shape)
    target = np.abs(rng.normal(0.5, 0.4, (3, 3)))
    for unit in (1e-15, 1.0, 1e15):
        law = pc.block_means(weights, 4, jnp.asarray(unit * target), where=where)
        args = [jnp.asarray(unit * x, jnp.float32) for x in (mean, std)]
        found = _bounded(*args, law, jnp.asarray(3 * unit, jnp.float32))
        assert found.outcome == Outcome.good
        u = np.asarray(found.mean, float)
        assert (u >= 0).all()
        assert (u <= np.float32(3 * unit)).all()
        missed = np.asarray(found.residual, float)
        size = np.asarray(law.operator.magnitude(found.mean)) + np.asarray(law.value)
        assert (np.abs(missed) <= 4 * 1.2e-7 * size).all()
        assert missed[0, 0] == 0
        pull = np.asarray(law.operator.rmv(found.multiplier), float)
        y = np.asarray(args[0], float) + pull * np.asarray(args[1], float) ** 2
        expected = np.clip(y, 0, 3 * unit)
        np.testing.assert_allclose(u, expected, rtol=0, atol=1e-5 * unit)
        assert (np.asarray(found.active) == -1).sum() > 10
    out = pc.block_means(weights, 4, jnp.asarray(target).at[1, 1].set(-1.0))
    with pytest.raises(RuntimeError, match="out of reach"):
        pc.bounded(pc.Gaussian.diagonal(mean, std), out, 0.0)


def test_relative_errors_scale_by_ratios(rng, x64):
    """Constant relative errors: one ratio per block. Otherwise log(u / μ) = λ w s."""
    field = jnp.asarray(np.exp(rng.normal(size=(6, 8))))
    target = jnp.asarray(np.exp(rng.normal(size=(3, 2))))
    law = pc.block_means(jnp.ones((6, 8)), (2, 4), target)
    found = pc.condition_relative(field, law)
    before = law.operator.mv(field)
    np.testing.assert_allclose(
        found.mean, field * law.operator.groups.spread(target / before), rtol=1e-13
    )
    spread = jnp.asarray(rng.uniform(0.1, 3, (6, 8)))

    def total(field, spread, target):
        law = pc.block_means(jnp.ones((6, 8)), (2, 4), target)
        return pc.condition_relative(field, law, spread, throw=False).mean

    u = total(field, spread, target)
    np.testing.assert_allclose(law.operator.mv(u), target, rtol=1e-13)
    exponent = np.log(u / field) / spread
    blocks = law.operator.groups.total(jnp.asarray(exponent)) / 8
    np.testing.assert_allclose(exponent, law.operator.groups.spread(blocks), rtol=1e-10)
    check_grads(total, (field, spread, target), 1, atol=1e-6, rtol=1e-6)
    bad = pc.block_means(jnp.ones((6, 8)), (2, 4), -target)
    outcome = pc.condition_relative(field, bad, throw=False).outcome
    assert outcome == Outcome.unreachable


def test_diagnosis_equals_textbook_algebra(rng, x64):
    """Scores and chi-squared by dense algebra, and a gross error of 8 sigma found."""
    ends = np.array([[-1, 0], [0, 1], [0, 2], [1, 2], [2, 3], [1, 3], [3, -1], [4, 5]])
    law = pc.incidence(ends, 6)
    flow = np.array([3.0, 1.5, 1.5, 0.5, 2.0, 1.0, 3.0, 0.0])
    std = rng.uniform(0.1, 0.3, 8)
    measured = flow + std * rng.normal(size=8) * 0.5
    measured[3] += 8 * std[3]
    prior = pc.Gaussian.diagonal(jnp.asarray(measured), jnp.asarray(std))
    found = pc.diagnose(prior, law)
    g = np.asarray(law.operator.rows())
    s = np.linalg.pinv(g @ np.diag(std**2) @ g.T, hermitian=True)
    r = -g @ measured
    np.testing.assert_allclose(found.chi_squared, r @ s @ r, rtol=1e-10)
    assert int(found.degrees) == 5  # nodes 4 and 5 have one flow between them
    change = np.diag(std**2) @ g.T @ s @ r
    spread = np.sqrt(np.diag(np.diag(std**2) @ g.T @ s @ g @ np.diag(std**2)))
    np.testing.assert_allclose(found.score, change / spread, rtol=1e-9)
    assert found.suspects.tolist()[0] == 3
    assert 1e-5 < float(found.p_value) < 1e-3  # chi-squared is 24
    clean = pc.Gaussian.diagonal(jnp.asarray(flow), jnp.asarray(std))
    assert pc.diagnose(clean, law).suspects.tolist() == [-1, -1, -1]


def test_inequalities_without_equalities():
    """The projection in the prior's metric on the one row that is active."""
    std = jnp.array([1.0, 2.0, 1.0])
    prior = pc.Gaussian.diagonal(jnp.array([3.0, 0.0, 1.0]), std)
    rows = jnp.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0]])
    found = pc.constrained(prior, rows=rows, row_upper=jnp.array([1.0, 10.0]))
    np.testing.assert_allclose(found.mean, [2.5, -2.0, 0.5], atol=1e-6)
    np.testing.assert_allclose(found.multiplier, [-0.5, 0.0], atol=1e-6)
    assert found.row_active.tolist() == [1, 0]
    assert found.residual is None
