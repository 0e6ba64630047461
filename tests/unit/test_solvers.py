"""Every route of `condition` as a solver asked for by name, and what outcomes guard."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon.conditioning import join_fields
from physcon.conditioning.solvers import Auto, Factor, Solver

GRID = pc.Grid.uniform(0.0, 1.0, 4)
TIMES = jnp.linspace(0.0, 1.0, 4)
ONES = jnp.ones(4)


def given_fluxes(std=None):
    rng = np.random.default_rng(0)
    std = rng.uniform(0.5, 2, (4, 4)) if std is None else std
    mean = jnp.asarray(rng.normal(size=(4, 4)), jnp.float32)
    flux = jnp.asarray(rng.normal(size=(3, 5)), jnp.float32)
    prior = pc.Gaussian.diagonal(mean, jnp.asarray(std, jnp.float32))
    return prior, pc.balance(GRID, TIMES, (flux,))


def closed_box(inflow, n=4):
    """A divergence-free field with all sides known: one row repeats the others."""
    rng = np.random.default_rng(1)
    grid = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (n, n))
    shapes = (n - 1, n), (n, n - 1)
    fields = [
        pc.Gaussian.diagonal(
            jnp.asarray(rng.normal(size=s), jnp.float32),
            jnp.asarray(rng.uniform(0.1, 10, s), jnp.float32),
        )
        for s in shapes
    ]
    walls = ((inflow, 0.0), (0.0, 0.0))
    return join_fields(*fields), pc.divergence_free(grid, boundary=walls)


def test_all_solvers_give_one_answer():
    prior, law = given_fluxes()

    def run(solver):
        out = pc.condition(prior, law, solver=solver)
        draw = out.posterior.root.mv(jnp.linspace(-1, 1, 16).reshape(4, 4))
        again = out.posterior.root.mv(out.posterior.root.rmv(draw))
        return out.posterior.mean, out.posterior.std(), again, out.log_evidence

    want = jax.jit(lambda: run(pc.Tridiagonal()))()
    for solver in (pc.DenseGram(), Auto(), None):
        mean, std, _, evidence = jax.jit(lambda s=solver: run(s))()
        np.testing.assert_allclose(mean, want[0], atol=1e-5)
        np.testing.assert_allclose(std, want[1], atol=1e-5)
        np.testing.assert_allclose(evidence, want[3], rtol=1e-5)
    mean, std, _, evidence = jax.jit(lambda: run(pc.ConjugateGradient()))()
    np.testing.assert_allclose(mean, want[0], atol=1e-5)
    np.testing.assert_allclose(std, want[1], atol=1e-5)
    assert evidence is None


class HalfFactor(Factor):
    """The smallest factor that a new solver can write."""

    inverse: jax.Array

    def solve(self, r):
        return self.inverse @ r


class Inverse(Solver):
    def factorise(self, prior, law):
        w = jax.vmap(prior.root.rmv)(law.operator.rows())
        return HalfFactor(jnp.linalg.inv(w @ w.T))


def test_a_new_solver_needs_one_method():
    """Mean, spread and gradients come from `factorise` and `solve` alone."""
    rows = jnp.asarray(np.random.default_rng(2).normal(size=(2, 4)), jnp.float32)

    def score(std, solver):
        law = pc.LinearConstraint(pc.Rows(rows), jnp.ones(2))
        prior = pc.Gaussian.diagonal(ONES, std)
        out = pc.condition(prior, law, solver=solver)
        return jnp.sum(jnp.sin(out.posterior.mean)) + jnp.sum(out.posterior.std())

    std = jnp.array([1.0, 2.0, 0.5, 1.0])
    both = [
        jax.jit(jax.value_and_grad(lambda s, v=solver: score(s, v)))(std)
        for solver in (Inverse(), pc.DenseGram())
    ]
    np.testing.assert_allclose(both[0][0], both[1][0], rtol=1e-5)
    np.testing.assert_allclose(both[0][1], both[1][1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n", [4, 16])
def test_a_closed_box_is_redundant_and_solved(n):
    """Conjugate gradients keep their best iterate on a singular system."""
    prior, law = closed_box(0.0, n)
    run = jax.jit(lambda p, c: pc.condition(p, c, throw=False))
    out = run(prior, law)
    assert int(out.status) in (0, 2)
    assert np.abs(out.residual).max() < 1e-5
    out = run(*closed_box(1.0, n))
    assert int(out.status) == 3
    # One unit too much flows in; beyond the dense fallback every cell misses the same.
    np.testing.assert_allclose(np.sum(out.residual), 1.0, rtol=1e-4)
    if n == 16:
        np.testing.assert_allclose(out.residual, 1 / n**2, rtol=1e-3)
    assert np.all(np.isfinite(out.posterior.mean))
    with pytest.raises(RuntimeError, match="contradiction in row"):
        pc.condition(*closed_box(1.0, n))


def test_known_fluxes_that_contradict_have_a_least_squares_answer():
    """Only level 1 is free: each of two rows misses half of the unit flux."""
    std = np.zeros((3, 4))
    std[1] = 1
    prior = pc.Gaussian.diagonal(jnp.ones((3, 4)), jnp.asarray(std, jnp.float32))
    times = jnp.linspace(0.0, 1.0, 3)

    def law(amount):
        flux = jnp.zeros((2, 5)).at[0, 2].set(amount)
        return pc.balance(GRID, times, (flux,))

    out = pc.condition(prior, law(1.0), throw=False)
    assert int(out.status) == 3
    want = 0.25 * np.array([[0, -1, 1, 0], [0, -1, 1, 0]])
    np.testing.assert_allclose(out.residual, want, atol=1e-6)
    assert int(pc.condition(prior, law(0.0)).status) == 2
    with pytest.raises(RuntimeError, match=r"row\(s\) 1 \(b - G u = -0.25\)"):
        pc.condition(prior, law(1.0))


def test_variances_over_twelve_decades_are_solved():
    rng = np.random.default_rng(5)

    def random(shape):
        std = 10 ** rng.uniform(-3, 3, shape)
        return pc.Gaussian.diagonal(
            jnp.asarray(rng.normal(size=shape), jnp.float32),
            jnp.asarray(std, jnp.float32),
        )

    run = jax.jit(lambda p, c: pc.condition(p, c, throw=False))
    law = pc.balance(pc.Grid.uniform(0.0, 1.0, 8), jnp.linspace(0.0, 1.0, 6))
    for _ in range(4):
        prior = join_fields(random((6, 8)), random((5, 9)))
        out = run(prior, law)
        assert int(out.status) == 0
        size = law.operator.magnitude(out.posterior.mean)
        assert np.all(np.abs(out.residual) <= 16 * np.finfo(np.float32).eps * size)


BAD = pc.stack(pc.integral(GRID, 1.0), pc.integral(GRID, 2.0))


@pytest.mark.parametrize(
    "part",
    [
        lambda out: out.posterior.mean,
        lambda out: out.posterior.std(),
        lambda out: out.posterior.sample(jax.random.key(0)),
        lambda out: out.log_evidence,
        lambda out: out.residual,
    ],
)
def test_no_part_of_a_failed_result_is_used_unseen(part):
    def run(mean, std, throw=True):
        prior = pc.Gaussian.diagonal(mean, std)
        return jnp.sum(part(pc.condition(prior, BAD, throw=throw)))

    with pytest.raises(Exception, match="contradiction in row"):
        jax.block_until_ready(jax.jit(run)(ONES, ONES))
    slope = jax.jit(jax.grad(lambda s: run(ONES, s, throw=False)))(ONES)
    assert np.all(np.isnan(slope))


def test_the_evidence_reports_the_most_severe_outcome():
    """Redundant rows followed by NaN were reported as redundant, that is as met."""
    prior = pc.Gaussian.diagonal(ONES, ONES)
    redundant = pc.stack(pc.integral(GRID, 1.0), pc.integral(GRID, 1.0))
    broken = pc.integral(GRID, jnp.nan, 1.0)
    out = pc.inverse.evidence(prior, redundant, broken, throw=False)
    assert out.outcome == pc.Outcome.not_finite
    assert int(out.status) == 1
    assert np.isnan(out.log_evidence)
