"""A few rows are judged by their small system, or by the field where in doubt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon.conditioning.solvers import DenseGram
from physcon.conditioning.solvers.implicit import update

WEIGHTS = jnp.asarray(np.random.default_rng(0).uniform(0.5, 1, (2, 8)), jnp.float32)


@jax.jit
def conditioned(mean, std, value, weights):
    prior = pc.Gaussian.diagonal(mean, std)
    law = pc.LinearConstraint(pc.Rows(weights), value)
    slope = jax.grad(lambda m: jnp.sum(_condition(m, std, law)[0]))(mean)
    return *_condition(mean, std, law), update(DenseGram(), prior, law), slope


def _condition(mean, std, law):
    out = pc.condition(pc.Gaussian.diagonal(mean, std), law, throw=False)
    return out.posterior.mean, out.status


def missed(u, value, weights):
    """Of each row in roundings, in NumPy's float64."""
    u, b, g = (np.asarray(x, np.float64) for x in (u, value, weights))
    return np.abs(b - g @ u) / (2.0**-23 * (np.abs(g) @ np.abs(u) + np.abs(b)))


def test_the_bound_is_one():
    """Where the field is not read, the rows are met at least as well as promised."""
    rng = np.random.default_rng(1)
    for size in (1e-20, 1e-3, 1.0, 1e4, 1e20):
        mean = jnp.asarray(size * rng.normal(size=8), jnp.float32)
        std = jnp.asarray(size * np.exp(2 * rng.normal(size=8)), jnp.float32)
        # The last one is zero for a mean of one sign: no size to compare with.
        for value, mu in (
            ((1.0, 2.0), mean),
            ((0.0, 0.0), mean),
            ((0.0, 0.0), abs(mean)),
        ):
            value = jnp.asarray(size * np.array(value), jnp.float32)
            u, status, new, slope = conditioned(mu, std, value, WEIGHTS)
            assert int(status) == 0
            bound = np.maximum((1 + 1e-6) * new.roundings, 1)
            assert np.all(missed(u, value, WEIGHTS) <= bound)
            assert np.all(np.isfinite(slope))


def test_a_point_that_overflows_is_a_failure():
    """Nothing of it is seen in a small system of tiny weights."""
    weights = WEIGHTS.at[:, 0].set(1e-30)
    mean, std = jnp.zeros(8).at[0].set(3e38), jnp.full(8, 1e-3).at[0].set(1e38)
    u, status, _, slope = conditioned(mean, std, jnp.array([1e9, 1.2e9]), weights)
    assert not np.all(np.isfinite(u))
    assert int(status) != 0
    assert np.all(np.isnan(slope))


def test_a_mean_below_the_normal_numbers_is_a_failure():
    """It is rounded to zero, or to multiples of 1e-45."""
    mean, std = jnp.full(8, 2e-38), jnp.full(8, 1e-37)
    value = jnp.asarray(
        5e-39 * np.asarray(WEIGHTS, np.float64).sum(axis=1), jnp.float32
    )
    u, status, _, slope = conditioned(mean, std, value, WEIGHTS)
    assert np.max(missed(u, value, WEIGHTS)) > 16
    assert int(status) != 0
    assert np.all(np.isnan(slope))


@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e20])
@pytest.mark.parametrize("at_wall", [0.0, 1.0])
def test_a_wall_of_value_zero_is_met(unit, at_wall):
    """Its terms cancel: their float64 rounding is not measured in roundings of zero."""
    rng = np.random.default_rng(2)
    weights = jnp.full((2, 8), 1 / 8).at[1].set(jnp.eye(8)[3])
    mean = unit * jnp.asarray(rng.normal(size=8), jnp.float32).at[3].mul(at_wall)
    std = unit * jnp.asarray(np.exp(rng.normal(size=8)), jnp.float32)
    value = unit * jnp.array([1.0, 0.0])
    u, status, _, slope = conditioned(mean, std, value, weights)
    assert int(status) == 0
    assert abs(float(u[3])) < 1e-14 * unit
    assert np.all(np.isfinite(slope))


def test_walls_of_a_correlated_prior_and_of_one_in_float64_are_met():
    rng = np.random.default_rng(3)
    weights = np.full((2, 8), 1 / 8)
    weights[1] = np.eye(8)[3]
    root = np.eye(8) + 0.3 * np.tril(rng.normal(size=(8, 8)))
    for x64 in (False, True):
        with jax.enable_x64(x64):
            mean, g, factor = map(jnp.asarray, (rng.normal(size=8), weights, root))
            law = pc.LinearConstraint(pc.Rows(g), jnp.array([1.0, 0.0]))
            for prior in (
                pc.Gaussian.diagonal(mean, jnp.ones(8)),
                pc.Gaussian.from_cholesky(mean, factor),
            ):
                assert int(pc.condition(prior, law).status) == 0
            # A contradiction in a thousandth remains one.
            twice = pc.from_matrix(jnp.eye(8)[jnp.array([3, 3])], jnp.array([0, 1e-3]))
            assert int(pc.condition(prior, twice, throw=False).status) == 3


def test_one_doubtful_sample_of_a_batch_leaves_the_others_alone():
    """A batch in which one sample must be measured equals its samples one by one."""
    good = jnp.linspace(-1.0, 1.0, 8)
    means = jnp.stack([good, good.at[0].set(3e38), 2 * good])
    stds = jnp.full((3, 8), 0.5).at[1, 0].set(1e38)
    values = jnp.array([[1.0, 2.0], [1e9, 1.2e9], [0.0, 0.0]])
    along = (0, 0, 0, None)
    found = jax.vmap(conditioned, along)(means, stds, values, WEIGHTS)
    for k in range(3):
        alone = conditioned(means[k], stds[k], values[k], WEIGHTS)
        assert int(found[1][k]) == int(alone[1])
        np.testing.assert_array_equal(found[0][k], alone[0])
        np.testing.assert_allclose(found[3][k], alone[3], rtol=1e-5, atol=1e-5)
    assert found[1].tolist()[0] == found[1].tolist()[2] == 0
    assert found[1][1] != 0
    assert np.all(np.isnan(found[3][1]))


def test_nearly_parallel_rows_in_float64_are_met_to_its_rounding(rng):
    """Their multipliers are 1e6 times larger than what is left of them in the mean."""
    rows = rng.normal(size=(3, 60))
    rows[1] = rows[0] + 1e-6 * rng.normal(size=60)
    value = rng.normal(size=3)
    value[1] = value[0] + 1e-6
    std = np.exp(rng.normal(size=60))
    with jax.enable_x64(True):
        prior = pc.Gaussian.diagonal(jnp.asarray(rng.normal(size=60)), jnp.asarray(std))
        law = pc.from_matrix(jnp.asarray(rows), jnp.asarray(value))
        found = pc.condition(prior, law)
    u = np.asarray(found.posterior.mean, np.longdouble)
    missed = np.abs(rows.astype(np.longdouble) @ u - value)
    size = np.abs(rows) @ np.abs(u) + np.abs(value)
    assert np.all(missed <= 4 * np.finfo(np.float64).eps * size)
