"""Rows whose terms cancel or vanish in the posterior are met up to their rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon._status import Outcome
from physcon.linear_map import Rows


def _network() -> tuple[np.ndarray, np.ndarray]:
    """A ring with two dead ends, of which one has no demand; a reservoir feeds it."""
    edges = [[-1, 0], [0, 1], [1, 2], [2, 3], [3, 0], [2, 4], [1, 5]]
    demand = np.array([0.0, 31.0, 0.0, 17.0, 5.0, 0.0])
    return np.array(edges), demand


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_dead_end_without_demand_is_no_failure(x64, start):
    with jax.enable_x64(x64):
        edges, demand = _network()
        law = pc.incidence(edges, demand.size, jnp.asarray(-demand))
        std = jnp.asarray(np.linspace(0.5, 2.0, len(edges)))
        prior = pc.Gaussian.diagonal(jnp.full(len(edges), start), std)
        for solver in (pc.conditioning.SparseCholesky(), pc.conditioning.DenseGram()):
            result = pc.condition(prior, law, solver=solver)
            assert result.outcome == Outcome.good
            flow = np.asarray(result.posterior.mean, float)
            left = np.bincount(edges[1:, 0], flow[1:], 6)
            entered = np.bincount(edges[:, 1], flow, 6)
            assert np.abs(left - entered + demand).max() < (1e-12 if x64 else 1e-5)


@pytest.mark.parametrize("x64", [False, True])
def test_an_ensemble_may_be_held_at_zero(x64):
    rng = np.random.default_rng(0)
    members = rng.normal(size=(8, 30))
    rows = np.zeros((3, 30))
    rows[0, 0] = rows[1, 12] = 1.0
    rows[2, 20:25] = 0.2
    with jax.enable_x64(x64):
        law = pc.LinearConstraint(Rows(jnp.asarray(rows)), jnp.array([0.0, 1.0, 0.0]))
        prior = pc.Gaussian.from_samples(jnp.asarray(members))
        mean = pc.condition(prior, law).posterior.mean
        assert np.abs(rows @ np.asarray(mean, float) - [0, 1, 0]).max() < 1e-6


def test_a_contradiction_between_vanishing_rows_is_still_one():
    edges = [[0, 1], [1, 0], [1, 2]]
    supply = jnp.array([0.0, 0.0, 1e-3])
    law = pc.incidence(edges, 3, supply)
    prior = pc.Gaussian.diagonal(jnp.zeros(3), jnp.ones(3))
    result = pc.condition(prior, law, throw=False)
    assert result.outcome == Outcome.contradiction


def test_factors_empty_a_group_whose_total_is_zero():
    labels = jnp.array([0, 0, 1, 1])
    field = jnp.array([1.0, 3.0, 2.0, 2.0])

    def relative(value):
        return pc.conditioning.condition_relative(field, pc.totals(labels, value)).mean

    value = jnp.array([0.0, 8.0])
    assert relative(value).tolist() == [0.0, 0.0, 4.0, 4.0]
    by_value = np.asarray(jax.jacobian(relative)(value))
    assert np.abs(by_value - [[0.25, 0], [0.75, 0], [0, 0.5], [0, 0.5]]).max() < 1e-6


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: pc.from_matrix(1j * np.eye(3), 1.0), "a real matrix"),
        (lambda: pc.from_matrix(np.zeros((0, 3)), 1.0), "rows and columns"),
    ],
)
def test_odd_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
    assert pc.block_means(jnp.ones((4, 4)), np.int64(2), 1.0).value.shape == (2, 2)
