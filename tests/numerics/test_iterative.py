"""Conjugate gradients for a user's own operator, and their preconditioners."""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon._status import Outcome
from physcon.conditioning import (
    BlockJacobi,
    ConjugateGradient,
    Jacobi,
    Multigrid,
    Preconditioner,
)
from physcon.linear_map import LinearMap

SIDE = 24


class Own(LinearMap):
    """A matrix-free map: only its products are known."""

    hidden: LinearMap

    @property
    def in_shape(self):
        return self.hidden.in_shape

    @property
    def out_shape(self):
        return self.hidden.out_shape

    def mv(self, x):
        return self.hidden.mv(x)

    def rmv(self, y):
        return self.hidden.rmv(y)


def _mesh(rng, side=SIDE):
    """Balances of a square mesh, with errors over two decades."""
    index = np.arange(side * side).reshape(side, side)
    first = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel(), [0]])
    second = np.concatenate([index[:, 1:].ravel(), index[1:].ravel(), [-1]])
    ends = np.stack([first, second], axis=1)
    supply = rng.normal(size=side * side)
    supply = jnp.asarray(supply - supply.mean(), jnp.float32)
    law = pc.incidence(ends, side * side, supply)
    std = jnp.asarray(10 ** rng.uniform(-1, 1, len(ends)), jnp.float32)
    return pc.Gaussian.diagonal(jnp.zeros(len(ends)), std), law


@eqx.filter_jit
def _solved(prior, law, solver):
    return pc.condition(prior, law, solver=solver, throw=False)


def test_every_preconditioner_gives_the_answer_of_the_sparse_factor(rng):
    pytest.importorskip("pyamg")
    prior, law = _mesh(rng)
    exact = np.asarray(pc.condition(prior, law).posterior.mean)
    own = pc.LinearConstraint(Own(law.operator), law.value)
    multigrid = Multigrid.of(prior, law)
    cases = {
        "default": (own, None),
        "Jacobi": (law, Jacobi()),
        "sparse blocks": (law, BlockJacobi(7)),
        "blocks of an unknown map": (own, BlockJacobi(7)),
        "multigrid": (own, multigrid),
    }
    steps = {}
    for name, (given, preconditioner) in cases.items():
        solver = ConjugateGradient(preconditioner=preconditioner)
        found = _solved(prior, given, solver)
        assert found.outcome == Outcome.good, name
        size = np.abs(exact).max()
        np.testing.assert_allclose(found.posterior.mean, exact, atol=3e-6 * size)
        steps[name] = int(found.steps)
    # Known rows are measured each in its own unit, which moves the end a little.
    blocks = steps["blocks of an unknown map"]
    assert steps["sparse blocks"] == pytest.approx(blocks, rel=0.05)
    assert steps["sparse blocks"] < steps["Jacobi"] < steps["default"] < 800
    assert steps["multigrid"] < 0.3 * steps["Jacobi"]
    # The hierarchy of one set of variances serves another one.
    other = pc.Gaussian.diagonal(prior.mean, 3 * prior.std()[::-1])
    found = _solved(other, own, ConjugateGradient(preconditioner=multigrid))
    assert found.outcome == Outcome.good
    exact = np.asarray(pc.condition(other, law).posterior.mean)
    np.testing.assert_allclose(
        found.posterior.mean, exact, atol=3e-6 * np.abs(exact).max()
    )
    # Closed, one balance follows from the others: the best iterate is returned.
    closed = pc.Gaussian.diagonal(prior.mean, prior.std().at[-1].set(0))
    found = _solved(closed, law, ConjugateGradient(preconditioner=Jacobi()))
    assert found.outcome in (Outcome.good, Outcome.redundant)
    exact = np.asarray(pc.condition(closed, law).posterior.mean)
    np.testing.assert_allclose(
        found.posterior.mean, exact, atol=1e-5 * np.abs(exact).max()
    )


def test_std_of_an_own_map(rng):
    """Variances by one solve for each point; refused where these are too many."""
    prior, law = _mesh(rng, 5)
    own = pc.LinearConstraint(Own(law.operator), law.value)
    expected = pc.condition(prior, law).posterior.std()
    posterior = _solved(prior, own, ConjugateGradient()).posterior
    np.testing.assert_allclose(posterior.std(), expected, rtol=1e-4, atol=1e-5)
    prior, law = _mesh(rng, 120)
    own = pc.LinearConstraint(Own(law.operator), law.value)
    with pytest.raises(ValueError, match=r"posterior\.sample\(key, \(200,\)\)"):
        jax.eval_shape(
            lambda p: pc.condition(
                p, own, solver=ConjugateGradient(), throw=False
            ).posterior.std(),
            prior,
        )


def test_auto_never_forms_huge_dense_rows(rng):
    """A correlated prior with many structured rows is solved by iteration."""
    n = 130
    root = pc.linear_map.Circulant(jnp.ones(n * n // 2 + 1), (n * n,), (n * n,))
    prior = pc.Gaussian(jnp.zeros(n * n), root)
    law = pc.totals(jnp.arange(n * n) // 2, jnp.ones(n * n // 2))
    assert isinstance(pc.Auto().choose(prior, law), ConjugateGradient)
    huge = pc.totals(jnp.arange(2**17) // 2, jnp.ones(2**16))
    prior = pc.Gaussian.diagonal(jnp.zeros(2**17), jnp.ones(2**17))
    with pytest.raises(ValueError, match=r"at most 16 GiB .* got 65536 rows"):
        jax.eval_shape(
            lambda: pc.condition(prior, huge, solver=pc.DenseGram()).posterior.mean
        )


def test_multigrid_says_what_it_needs(rng, monkeypatch):
    pytest.importorskip("pyamg")
    prior, law = _mesh(rng, 4)
    own = pc.LinearConstraint(Own(law.operator), law.value)
    with pytest.raises(ValueError, match=r"Multigrid\.from_matrix"):
        Multigrid.of(prior, own)
    multigrid = Multigrid.of(prior, law)
    assert isinstance(multigrid, Preconditioner)
    prior, law = _mesh(rng, 5)
    with pytest.raises(ValueError, match="16 rows of the hierarchy, got 25 rows"):
        multigrid.prepare(prior.root, law)
    monkeypatch.setitem(sys.modules, "pyamg", None)
    with pytest.raises(ImportError, match="run pip install pyamg, or pass"):
        Multigrid.of(prior, law)
