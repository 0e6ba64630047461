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


def test_redundant_rows_that_miss_by_rounding_are_no_contradiction():
    """Row 1 is the sum of the others; the value of row 2 is rounding of row 1."""
    rows = jnp.array([[1.0, 1, 0], [1, 1, 1], [0, 0, 1]])
    prior = pc.Gaussian.diagonal(jnp.zeros(3), jnp.ones(3))

    def outcome(value):
        law = pc.LinearConstraint(Rows(rows), jnp.array(value))
        return pc.condition(prior, law, throw=False).outcome

    assert outcome([1.0, 1.0, 1e-8]) == Outcome.not_solved
    assert outcome([1.0, 1.0, 0.0]) == Outcome.redundant
    assert outcome([1.0, 1.0, 1e-3]) == Outcome.contradiction


@pytest.mark.parametrize("x64", [False, True])
def test_rows_that_only_a_nearly_certain_point_tells_apart(x64):
    """A field meets them, though no solver finds it: there is no contradiction."""
    with jax.enable_x64(x64):
        std = jnp.array([1.0, 1.0, 1e-9])
        prior = pc.Gaussian.diagonal(jnp.zeros(3), std)

        def outcome(last):
            rows = jnp.array([[1.0, 2.0, 1.0], [1.0, 2.0, last]])
            law = pc.LinearConstraint(Rows(rows), jnp.array([1.0, 1.5]))
            return pc.condition(prior, law, throw=False).outcome

        assert outcome(1.0) == Outcome.contradiction
        assert outcome(3.0) in (Outcome.not_solved, Outcome.good)


def test_a_balance_over_twelve_decades_of_standard_deviation():
    """Without flux all times equal one number, the mean by precision."""
    rng = np.random.default_rng(4)
    times, cells = 5, 32
    std = 10.0 ** rng.uniform(-6, 6, (times, cells))
    std = std.astype(np.float32)
    mean = rng.normal(size=(times, cells)).astype(np.float32)
    flux = rng.normal(size=(times - 1, cells + 1)).astype(np.float32)
    flux[:, [0, -1]] = 0
    grid = pc.Grid.uniform(0.0, 1.0, cells)
    law = pc.balance(grid, np.linspace(0.0, 1.0, times), (jnp.asarray(flux),))
    out = pc.condition(pc.Gaussian.diagonal(mean, std), law, throw=False)
    assert out.outcome == Outcome.good
    change = -np.diff(flux.astype(float), axis=1) * cells / (times - 1)
    since = np.concatenate([np.zeros((1, cells)), np.cumsum(change, axis=0)])
    weight = 1 / std.astype(float) ** 2
    first = np.sum(weight * (mean - since), axis=0) / np.sum(weight, axis=0)
    np.testing.assert_allclose(out.posterior.mean, first + since, rtol=2e-6, atol=2e-6)


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
