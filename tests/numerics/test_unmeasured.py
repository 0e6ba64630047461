"""Infinite standard deviations, and what rows say of unmeasured points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon._status import Outcome

NODES = 12


def _plant(rng):
    """A connected network with loops, feeds and dead ends."""
    tree = [(int(rng.integers(0, i)), i) for i in range(1, NODES)]
    loops = [(1, 7), (3, 9), (5, 11), (2, 10)]
    ends = np.array([*tree, *loops, (-1, 0), (4, -1), (8, -1)])
    return ends, len(ends)


def _case(rng, absent, noisy):
    ends, n = _plant(rng)
    noise = jnp.where(jnp.arange(NODES) % 3 == 0, 0.2, 0.0) if noisy else None
    law = pc.incidence(ends, NODES, jnp.asarray(rng.normal(size=NODES)), noise)
    std = 10 ** rng.uniform(-1, 1, n)
    std[absent] = np.inf
    prior = pc.Gaussian.diagonal(jnp.asarray(rng.normal(size=n)), jnp.asarray(std))
    return prior, law


def _exact(prior, law):
    """The limit in exact arithmetic: the optimality conditions, and their inverse."""
    std = np.asarray(prior.root.diagonal)
    known = np.isfinite(std)
    g = np.asarray(law.operator.rows())
    noise = np.asarray(law.noise())
    precision = np.diag(np.where(known, 1 / np.where(known, std, 1) ** 2, 0))
    whole = np.block([[precision, g.T], [g, -np.diag(noise**2)]])
    inverse = np.linalg.inv(whole)
    right = np.concatenate([precision @ np.asarray(prior.mean), np.asarray(law.value)])
    # The density of the row values, apart from what the unmeasured points explain.
    seen, free = g[:, ~known], g[:, known]
    s = (free * std[known] ** 2) @ free.T + np.diag(noise**2)
    q = np.linalg.qr(seen, mode="complete")[0][:, seen.shape[1] :]
    missed = q.T @ (np.asarray(law.value) - free @ np.asarray(prior.mean)[known])
    s = q.T @ s @ q
    evidence = missed @ np.linalg.solve(s, missed) + np.linalg.slogdet(2 * np.pi * s)[1]
    evidence += np.linalg.slogdet(seen.T @ seen)[1]
    n = std.size
    return (inverse @ right)[:n], np.diag(inverse)[:n], -0.5 * evidence


def test_the_limit_is_exact(rng, x64):
    prior, law = _case(rng, [3, 11, 14], noisy=True)
    mean, variance, evidence = _exact(prior, law)
    dense = pc.LinearConstraint(pc.Rows(law.operator.rows()), law.value, law.noise_std)
    for given in (law, dense):
        found = pc.condition(prior, given)
        assert found.outcome == Outcome.good
        np.testing.assert_allclose(found.posterior.mean, mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            found.posterior.variance(), variance, rtol=1e-9, atol=1e-12
        )
        np.testing.assert_allclose(found.log_evidence, evidence, rtol=1e-11)
    draws = found.posterior.sample(jax.random.key(0), (3,))
    exact = np.asarray(law.noise()) == 0
    missed = np.asarray(jax.vmap(law.residual)(draws))[:, exact]
    np.testing.assert_allclose(missed, 0 * missed, atol=1e-12)


def test_derivatives_go_through_the_elimination(rng, x64):
    prior, law = _case(rng, [3, 11, 14], False)

    @jax.jit
    def total(value, mean):
        given = pc.LinearConstraint(law.operator, value)
        moved = pc.Gaussian(mean, prior.root)
        found = pc.condition(moved, given, throw=False)
        return jnp.sum(found.posterior.mean**2) + found.log_evidence

    value, mean = law.value, prior.mean
    slopes = jax.grad(total, argnums=(0, 1))(value, mean)
    step = 1e-5
    for k, (at, slope) in enumerate(zip((value, mean), slopes, strict=True)):
        direction = jnp.asarray(rng.normal(size=at.shape))
        ahead = [value, mean]
        behind = [value, mean]
        ahead[k] = at + step * direction
        behind[k] = at - step * direction
        change = (total(*ahead) - total(*behind)) / (2 * step)
        np.testing.assert_allclose(jnp.sum(slope * direction), change, rtol=1e-6)


def test_what_is_not_observable_is_named(rng):
    """Two of three edges of a loop without a measurement hide each other."""
    ends = np.array([(-1, 0), (0, 1), (1, 2), (0, 2), (2, -1), (0, -1)])
    std = jnp.array([1.0, jnp.inf, jnp.inf, jnp.inf, 1.0, jnp.inf])
    prior = pc.Gaussian.diagonal(jnp.array([3.0, 1, 1, 1, 2, 0]), std)
    law = pc.incidence(ends, 3)
    with pytest.raises(RuntimeError, match=r"for the point\(s\) 1, 2, 3 \(numbered"):
        pc.condition(prior, law)
    found = pc.condition(prior, law, throw=False)
    assert found.outcome == Outcome.unobservable
    diagnosis = pc.diagnose(prior, law)
    assert diagnosis.observable.tolist() == [True, False, False, False, True, True]
    assert not diagnosis.checked.any()  # the two measurements don't check each other
    measured = pc.Gaussian.diagonal(prior.mean, std.at[1].set(0.1))
    found = pc.condition(measured, law)
    np.testing.assert_allclose(found.posterior.mean, [3, 1, 1, 1, 2, 1], atol=1e-6)


def test_a_gross_error_next_to_unmeasured_points(rng):
    """The benefit of each measurement is that of adding it."""
    prior, law = _case(rng, [3, 11], False)
    prior = jax.tree.map(lambda x: x.astype(jnp.float32), prior)
    mean = pc.condition(prior, law).posterior.mean
    std = jnp.where(jnp.isinf(prior.root.diagonal), jnp.inf, 0.1)
    wrong = pc.Gaussian.diagonal(mean.at[15].add(5.0), std)
    found = pc.diagnose(wrong, law, with_benefit=True)
    assert found.suspects.tolist() == [15, -1, -1]
    assert found.outcome == Outcome.good
    assert found.checked[15]
    assert not found.checked[3]
    before = pc.condition(wrong, law).posterior.variance()
    twice = pc.Gaussian.diagonal(wrong.mean, std.at[6].set(0.1 / 2**0.5))
    after = pc.condition(twice, law).posterior.variance()
    unit = jnp.where(jnp.isinf(std), before, std**2)
    expected = jnp.sum((before - after) / unit)
    np.testing.assert_allclose(found.benefit[6], expected, rtol=1e-3)


def test_traced_infinities_are_refused_in_words(rng):
    prior, law = _case(rng, [3], False)
    prior, law = jax.tree.map(
        lambda x: x.astype(jnp.float32) if x.dtype == jnp.float64 else x, (prior, law)
    )
    found = jax.jit(lambda p: pc.condition(p, law, throw=False).outcome)(prior)
    assert found == Outcome.not_finite
    with pytest.raises(ValueError, match="let the compiled function close over it"):
        jax.jit(lambda law: pc.condition(prior, law, throw=False).posterior.mean)(law)


def _optimum(prior, law, rows, found, ends):
    """The minimum with the active set of `found`, by dense algebra; the multipliers."""
    std = np.asarray(prior.root.diagonal)
    known = np.isfinite(std)
    precision = np.where(known, 1 / np.where(known, std, 1) ** 2, 0)
    n = std.size
    g = np.asarray(law.operator.rows())
    active = np.flatnonzero(found.active)
    used = np.flatnonzero(found.row_active)
    held = np.concatenate([g, rows[used], np.eye(n)[active]])
    low, high, row_high = ends
    at = np.where(np.asarray(found.active)[active] > 0, high, low)
    target = np.concatenate([np.asarray(law.value), row_high[used], at])
    noise = np.zeros(len(held))
    noise[: len(g)] = np.asarray(law.noise()) ** 2
    whole = np.block([[np.diag(precision), -held.T], [held, np.diag(noise)]])
    right = np.concatenate([precision * np.asarray(prior.mean), target])
    solved = np.linalg.solve(whole, right)
    return solved[:n], solved[n + len(g) :]


def test_bounds_of_unmeasured_points_count(rng, x64):
    """The field is the minimum on its active set; no multiplier has a wrong sign."""
    prior, law = _case(rng, [3, 11, 14], noisy=True)
    inside = rng.uniform(-0.5, 0.5, prior.mean.size)
    value = jnp.asarray(np.asarray(law.operator.rows()) @ inside)
    law = pc.LinearConstraint(pc.Rows(law.operator.rows()), value, law.noise_std)
    rows = rng.normal(size=(2, inside.size))
    row_high = rows @ inside
    low, high = -0.6, 0.6

    def solve(mean, value):
        moved = pc.Gaussian(mean, prior.root)
        given = pc.LinearConstraint(law.operator, value, law.noise_std)
        return pc.constrained(
            moved, given, low, high, rows=rows, row_upper=row_high, throw=False
        )

    found = jax.jit(solve)(prior.mean, value)
    assert found.outcome == Outcome.good
    assert np.any(np.asarray(found.active)[[3, 11, 14]] != 0)
    assert np.any(found.row_active)
    ends = low, high, row_high
    mean, multiplier = _optimum(prior, law, rows, found, ends)
    np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-11)
    assert np.abs(found.mean).max() <= 0.6
    assert (rows @ np.asarray(found.mean) <= row_high + 1e-12).all()
    active, row_active = np.asarray(found.active), np.asarray(found.row_active)
    signs = np.concatenate([row_active[row_active != 0], active[active != 0]])
    assert (signs * multiplier < 0).all()
    # The multipliers of all rows: nothing pulls at a free point, measured or not.
    std = np.asarray(prior.root.diagonal)
    pull = np.concatenate([law.operator.rows(), rows]).T @ np.asarray(found.multiplier)
    pull = pull - np.where(np.isfinite(std), (mean - prior.mean) / std**2, 0)
    np.testing.assert_allclose(pull[active == 0], 0, atol=1e-6)
    variance = np.asarray(found.posterior.variance())
    np.testing.assert_allclose(variance[active != 0], 0, atol=1e-12)


def test_bounds_do_not_observe_a_point():
    """Two unmeasured points of which the rows see the sum only."""
    std = jnp.array([1.0, jnp.inf, jnp.inf])
    prior = pc.Gaussian.diagonal(jnp.array([3.0, 1.0, 1.0]), std)
    law = pc.integral(jnp.ones(3), 2.0)
    match = r"bounded: expected rows that determine .* for the point\(s\) 1, 2 "
    with pytest.raises(RuntimeError, match=match):
        pc.bounded(prior, law, lower=0.0)
    found = pc.bounded(prior, law, lower=0.0, throw=False)
    assert found.outcome == Outcome.unobservable
    measured = pc.Gaussian.diagonal(prior.mean, std.at[1].set(0.1))
    found = pc.bounded(measured, law, lower=0.0)
    # The measured ones give way until the third point reaches zero.
    np.testing.assert_allclose(found.mean, [1.0198, 0.9802, 0.0], atol=1e-4)
    assert found.active.tolist() == [0, 0, -1]
