"""`bounded`: the exact projection onto rows and a box: optimality conditions, and
scipy.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from physcon import Gaussian, LinearConstraint, Rows, condition, integral
from physcon._status import Outcome
from physcon.conditioning import (
    bounded,
    condition_relative,
    constrained,
    monotone,
    reachable,
)

EPS = float(np.finfo(np.float32).eps)


def problem(rng, n, m, *, lower=0.0, upper=1.0, signed=False, spread=1.0):
    """Mean, std, rows and a value that a random field inside the box has."""
    mean = rng.normal(0.3, spread, n)
    std = np.exp(rng.normal(0, 1, n))
    rows = rng.normal(size=(m, n)) if signed else rng.uniform(0.5, 1.5, (m, n))
    value = rows @ rng.uniform(max(lower, -2), min(upper, 2), n)
    return tuple(jnp.asarray(x, jnp.float32) for x in (mean, std, rows, value))


def project(mean, std, rows, value, lower=0.0, upper=1.0, noise_std=None, throw=False):
    law = LinearConstraint(Rows(rows), value, noise_std)
    return bounded(Gaussian.diagonal(mean, std), law, lower, upper, throw=throw)


compiled = jax.jit(project)


def jitted(mean, std, rows, value, lower=0.0, upper=1.0, noise_std=None):
    """`project`, compiled once per shape."""
    ends = (
        jnp.broadcast_to(jnp.asarray(x, mean.dtype), mean.shape) for x in (lower, upper)
    )
    return compiled(mean, std, rows, value, *ends, noise_std)


def residual(rows, u, value):
    """|G u - b| in units of |G| |u| + |b|, in float64."""
    rows, u, value = (np.asarray(x, np.float64) for x in (rows, u, value))
    return np.abs(rows @ u - value) / (np.abs(rows) @ np.abs(u) + np.abs(value))


CASES = {
    "one row": dict(n=60, m=1),
    "one signed row": dict(n=60, m=1, signed=True),
    "far outside": dict(n=60, m=1, spread=100.0),
    "positivity": dict(n=60, m=1, upper=np.inf),
    "three rows": dict(n=60, m=3, signed=True),
    "ten rows": dict(n=60, m=10, signed=True),
    "ten rows, upper bound": dict(n=60, m=10, signed=True, lower=-np.inf),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_optimality_conditions(name, seed):
    """Feasible to rounding, and u = clip(μ + Σ Gᵀ λ): necessary and sufficient for the
    minimum.
    """
    case = CASES[name]
    lower, upper = case.get("lower", 0.0), case.get("upper", 1.0)
    mean, std, rows, value = problem(np.random.default_rng(seed), **case)
    got = jitted(mean, std, rows, value, lower, upper)
    u = np.asarray(got.mean, np.float64)
    assert int(got.status) == 0
    assert np.any(np.asarray(got.active) != 0)
    assert np.all((u >= lower) & (u <= upper))
    assert np.all(residual(rows, u, value) <= 4 * EPS)
    mean, std, rows, λ = (
        np.asarray(x, np.float64) for x in (mean, std, rows, got.multiplier)
    )
    shift = std**2 * (rows.T @ λ)
    scale = np.abs(mean) + std**2 * (np.abs(rows).T @ np.abs(λ))
    np.testing.assert_array_less(
        np.abs(u - np.clip(mean + shift, lower, upper)), 4 * EPS * scale
    )


@pytest.mark.parametrize("m", [1, 3])
def test_equals_slsqp(rng, m):
    mean, std, rows, value = problem(rng, 12, m, signed=True)
    μ, s, g, b = (np.asarray(x, np.float64) for x in (mean, std, rows, value))
    reference = scipy.optimize.minimize(
        lambda u: 0.5 * np.sum(((u - μ) / s) ** 2),
        np.full(12, 0.5),
        jac=lambda u: (u - μ) / s**2,
        bounds=[(0, 1)] * 12,
        constraints={"type": "eq", "fun": lambda u: g @ u - b, "jac": lambda u: g},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert reference.success
    np.testing.assert_allclose(
        jitted(mean, std, rows, value).mean, reference.x, atol=2e-5
    )


def test_noisy_rows_equal_bounded_least_squares(rng):
    """A noisy constraint is one more residual: min |(u - μ)/σ|² + |(G u - b)/noise|² in
    the box.
    """
    mean, std, rows, value = problem(rng, 12, 3, signed=True)
    noise = jnp.array([0.1, 0.5, 2.0])
    μ, s, g, b, e = (np.asarray(x, np.float64) for x in (mean, std, rows, value, noise))
    a = np.concatenate([np.diag(1 / s), g / e[:, None]])
    reference = scipy.optimize.lsq_linear(
        a, np.concatenate([μ / s, b / e]), (0, 1), tol=1e-14
    )
    got = jitted(mean, std, rows, value, noise_std=noise)
    assert int(got.status) == 0
    np.testing.assert_allclose(got.mean, reference.x, atol=2e-5)


def test_one_row_with_fields_on_two_axes(rng):
    mean, std, rows, value = problem(rng, 60, 1)
    flat = jitted(mean, std, rows, value).mean
    shape = (6, 10)
    got = jitted(
        mean.reshape(shape), std.reshape(shape), rows.reshape(1, *shape), value
    )
    np.testing.assert_array_equal(got.mean.reshape(-1), flat)


def test_inactive_bounds_leave_condition(rng):
    mean, std, rows, value = problem(rng, 60, 3, signed=True)
    law = LinearConstraint(Rows(rows), value)
    expected = jax.jit(condition)(Gaussian.diagonal(mean, std), law).posterior
    for bound in (1e6, jnp.inf):
        got = jitted(mean, std, rows, value, -bound, bound)
        np.testing.assert_array_equal(got.mean, expected.mean)
        np.testing.assert_array_equal(got.posterior.std(), expected.std())
        assert not np.any(got.active)


def test_idempotent_and_feasible_prior_unchanged(rng):
    mean, std, rows, value = problem(rng, 60, 3, signed=True)
    once = jitted(mean, std, rows, value).mean
    twice = jitted(once, std, rows, value).mean
    np.testing.assert_allclose(twice, once, atol=2 * EPS)


def test_unequal_bounds_and_open_points(rng):
    """Bounds as arrays, some of them open, some closed to one value."""
    mean, std, rows, value = problem(rng, 60, 1)
    lower = jnp.where(jnp.arange(60) % 3 == 0, -jnp.inf, 0.0).at[5].set(0.25)
    upper = jnp.where(jnp.arange(60) % 3 == 1, jnp.inf, 1.0).at[5].set(0.25)
    got = jitted(mean, std, rows, value, lower, upper)
    assert int(got.status) == 0
    assert float(got.mean[5]) == 0.25
    assert np.all((got.mean >= lower) & (got.mean <= upper))
    assert residual(rows, got.mean, value).max() <= 4 * EPS


def test_zero_variance_stays(rng):
    mean, std, rows, value = problem(rng, 60, 1)
    mean = mean.at[:3].set(jnp.array([0.5, 2.0, -1.0]))
    std = std.at[:3].set(0.0)
    got = jitted(mean, std, rows, value)
    assert got.mean[:3].tolist() == [0.5, 1.0, 0.0]
    assert residual(rows, got.mean, value).max() <= 4 * EPS


@pytest.mark.parametrize("seed", range(3))
def test_value_at_the_end_of_the_reach(seed):
    """The only feasible field is a corner of the box."""
    mean, std, rows, _ = problem(np.random.default_rng(seed), 60, 1, signed=True)
    rows = jnp.sign(rows) * jnp.ceil(16 * jnp.abs(rows)) / 16  # their sums are exact
    low, high = reachable(
        Gaussian.diagonal(mean, std),
        LinearConstraint(Rows(rows), jnp.zeros(1)),
        0.0,
        1.0,
    )
    for value, corner in ((low, rows[0] < 0), (high, rows[0] > 0)):
        got = jitted(mean, std, rows, value)
        assert int(got.status) == 0
        np.testing.assert_allclose(got.mean, corner.astype(jnp.float32), atol=1e-14)


def test_empty_window_pins_its_points(rng):
    """Window sums, one of them zero: with positivity its points vanish, others don't
    care.
    """
    n, windows = 40, 4
    rows = jnp.repeat(jnp.eye(windows), n // windows, axis=1)
    mean = jnp.asarray(rng.normal(0.2, 1, n), jnp.float32)
    value = jnp.array([0.0, 2.0, 5.0, 1.0])
    got = jitted(mean, jnp.ones(n), rows, value, 0.0, jnp.inf)
    assert int(got.status) == 0
    assert not np.any(got.mean[:10])
    alone = jitted(
        mean[10:20], jnp.ones(10), jnp.ones((1, 10)), value[1:2], 0.0, jnp.inf
    )
    np.testing.assert_allclose(got.mean[10:20], alone.mean, atol=2 * EPS)
    assert np.all(np.abs(residual(rows[1:], got.mean, value[1:])) <= 4 * EPS)


def test_redundant_rows_change_nothing(rng):
    """Windows and their total: the values agree to rounding only."""
    mean, std, _, _ = problem(rng, 60, 1)
    windows = jnp.repeat(jnp.eye(2), 30, axis=1)
    value = jnp.array([17.1, 3.3])
    total = jnp.concatenate([windows, jnp.ones((1, 60))])
    got = jitted(mean, std, total, jnp.append(value, value.sum()))
    np.testing.assert_allclose(
        got.mean, jitted(mean, std, windows, value).mean, atol=2e-6
    )
    assert int(got.status) == 0
    assert residual(total, got.mean, jnp.append(value, value.sum())).max() <= 4 * EPS


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_units_do_not_matter(rng, scale):
    mean, std, rows, value = problem(rng, 60, 3, signed=True)
    expected = jitted(mean, std, rows, value).mean
    scaled = jitted(scale * mean, scale * std, rows, scale * value, 0.0, scale)
    np.testing.assert_allclose(scaled.mean / scale, expected, rtol=1e-5, atol=1e-6)
    rescaled = jitted(mean, std, scale * rows, scale * value)
    np.testing.assert_allclose(rescaled.mean, expected, rtol=1e-5, atol=1e-6)


def test_float64_to_its_own_rounding(rng, x64):
    mean, std, rows, value = (
        np.asarray(x, np.float64) for x in problem(rng, 60, 3, signed=True)
    )
    got = jitted(*map(jnp.asarray, (mean, std, rows, value)))
    assert got.mean.dtype == jnp.float64
    miss = np.abs(rows @ np.asarray(got.mean) - value)
    size = np.abs(rows) @ np.abs(got.mean) + np.abs(value)
    assert np.all(miss <= 8 * np.finfo(np.float64).eps * size)


def test_variance_of_the_free_points_is_that_of_their_own_conditioning(rng):
    mean, std, rows, value = problem(rng, 60, 3, signed=True)
    got = jitted(mean, std, rows, value)
    free = np.asarray(got.active) == 0
    g, s = np.asarray(rows, np.float64)[:, free], np.asarray(std, np.float64)[free]
    gain = (g * s**2).T @ np.linalg.inv((g * s**2) @ g.T)
    dense = np.diag(s**2) - gain @ (g * s**2)
    spread = np.asarray(got.posterior.std())
    np.testing.assert_allclose(spread[free], np.sqrt(np.diag(dense)), rtol=1e-5)
    assert not np.any(spread[~free])


def test_batch_equals_loop(rng):
    cases = [problem(rng, 60, 3, signed=True) for _ in range(6)]
    batch = [jnp.stack(x) for x in zip(*cases, strict=True)]
    got = jax.jit(jax.vmap(project))(*batch)
    for i, case in enumerate(cases):
        one = jitted(*case)
        np.testing.assert_allclose(got.mean[i], one.mean, atol=2 * EPS)
        np.testing.assert_array_equal(got.active[i], one.active)


def test_million_points(rng):
    mean, std, rows, value = problem(rng, 1_000_000, 1)
    got = jitted(mean, std, rows, value)
    assert int(got.status) == 0
    assert residual(rows, got.mean, value).max() <= 4 * EPS


def differentiated(mean, std, rows, value, lower, upper):
    return project(mean, std, rows, value, lower, upper).mean


@pytest.mark.parametrize("m", [1, 3])
def test_derivatives_equal_differences(rng, x64, m):
    """jvp = vjp = central differences, away from kinks; in mean, std, rows, value and
    bounds.
    """
    primals = [x.astype(jnp.float64) for x in problem(rng, 30, m, signed=True)]
    primals += [jnp.zeros(30), jnp.ones(30)]
    tangents = [jnp.asarray(rng.normal(size=x.shape)) for x in primals]
    fn = jax.jit(differentiated)
    out, tangent = jax.jvp(fn, tuple(primals), tuple(tangents))
    h = 1e-6
    ahead = fn(*(x + h * t for x, t in zip(primals, tangents, strict=True)))
    behind = fn(*(x - h * t for x, t in zip(primals, tangents, strict=True)))
    np.testing.assert_allclose(
        tangent, (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-7
    )
    cotangent = jnp.asarray(rng.normal(size=out.shape))
    grads = jax.vjp(fn, *primals)[1](cotangent)
    pulled = sum(jnp.sum(g * t) for g, t in zip(grads, tangents, strict=True))
    np.testing.assert_allclose(pulled, jnp.sum(cotangent * tangent), rtol=1e-10)


def test_gradient_in_float32_under_vmap_and_at_a_corner(rng):
    mean, std, rows, value = problem(rng, 60, 1)

    def loss(mean, value):
        return jnp.sum(project(mean, std, rows, value).mean ** 2)

    gradient = jax.grad(loss, argnums=(0, 1))
    one = jax.jit(gradient)(mean, value)
    values = jnp.stack([value, jnp.zeros(1)])
    many = jax.jit(jax.vmap(gradient))(jnp.stack([mean, mean]), values)
    np.testing.assert_allclose(many[0][0], one[0], atol=1e-5)
    assert np.any(one[0])
    assert not np.any(many[0][1])  # a corner: no freedom, no sensitivity, no NaN
    assert not np.any(many[1][1])


def test_statuses_without_throw(rng):
    mean, std, rows, value = problem(rng, 60, 1)
    status = lambda *a: int(jitted(*a).status)  # noqa: E731
    assert status(mean, std, rows, value) == 0
    assert status(mean.at[0].set(jnp.nan), std, rows, value) == 1
    assert status(mean, std.at[0].set(jnp.inf), rows, value) == 1
    assert status(mean, std, rows, value, jnp.nan, 1.0) == 1
    assert status(mean, std, rows, value, 0.5, 0.4) == 2
    assert status(mean, std, rows, value + 100) == 3
    both = jnp.concatenate([rows, rows, rows])
    assert (
        int(jitted(mean, std, both, jnp.append(value, jnp.tile(value + 1, 2))).status)
        == 4
    )


def test_out_of_reach_gives_the_nearest_field(rng):
    mean, std, rows, value = problem(rng, 60, 1)
    got = jitted(mean, std, rows, value + 100)
    np.testing.assert_array_equal(got.mean, np.ones(60))
    assert float(got.residual[0]) == pytest.approx(
        float(value[0]) + 100 - float(rows.sum())
    )


def test_out_of_reach_is_refused_before_any_work():
    prior, law = (
        Gaussian.diagonal(jnp.zeros(4), jnp.ones(4)),
        integral(jnp.ones(4), 5.0),
    )
    with pytest.raises(ValueError, match=r"row 0 got 5, out of reach \[0, 4\] by 1"):
        bounded(prior, law, 0.0, 1.0)
    with pytest.raises(Exception, match="one out of reach"):
        jax.block_until_ready(jax.jit(lambda: bounded(prior, law, 0.0, 1.0).mean)())
    assert int(bounded(prior, integral(jnp.ones(4), 5.0, 0.1), 0.0, 1.0).status) == 0


@pytest.mark.parametrize("upper", [jnp.inf, 1.0])
def test_a_wall_value_of_zero_is_met(rng, upper):
    """u(0) = 0 and u(1) = 1: |G u| + |b| is no scale for what rounding may leave of
    zero.
    """
    rows = jnp.zeros((2, 12)).at[0, 0].set(1.0).at[1, -1].set(1.0)
    mean = jnp.asarray(np.linspace(0, 1, 12) + 0.1 * rng.normal(size=12), jnp.float32)
    got = jitted(mean, jnp.full(12, 0.1), rows, jnp.array([0.0, 1.0]), -jnp.inf, upper)
    assert int(got.status) == 0
    assert abs(float(got.mean[0])) < 1e-15
    assert float(got.mean[-1]) == 1.0
    np.testing.assert_array_equal(got.mean[1:-1], jnp.minimum(mean, upper)[1:-1])


@pytest.mark.parametrize("width", [1.0, 1e-2, 1e-6, 1e-7])
def test_several_rows_in_a_narrow_box_far_from_the_mean(width):
    """Hardly any point is free there; every feasible problem is solved to rounding."""
    rng = np.random.default_rng(42)
    cases = 60
    rows = np.abs(rng.normal(size=(cases, 3, 6)))
    mean = rng.normal(size=(cases, 6))
    value = np.einsum("kij,kj->ki", rows, rng.uniform(0, width, (cases, 6)))
    arrays = [jnp.asarray(x, jnp.float32) for x in (mean, rows, value)]
    box = jnp.zeros(6), jnp.full(6, width)
    got = jax.jit(jax.vmap(lambda m, g, b: project(m, jnp.full(6, 0.3), g, b, *box)))(
        *arrays
    )
    assert not np.any(got.status)
    mean, rows, value = (np.asarray(x, float) for x in arrays)
    for k in range(cases):
        u = np.asarray(got.mean[k], float)
        assert np.all((u >= 0) & (u <= np.float32(width)))
        assert residual(rows[k], u, value[k]).max() <= 4 * EPS
        λ = np.asarray(got.multiplier[k], float)
        y = mean[k] + 0.3**2 * (λ @ rows[k])
        scale = np.abs(mean[k]) + 0.3**2 * (np.abs(λ) @ rows[k])
        apart = np.abs(u - np.clip(y, 0, np.float32(width)))
        assert np.all(apart <= 4 * EPS * scale)


@pytest.mark.parametrize(("n", "m", "upper"), [(5, 3, 1.0), (60, 12, 1.0)])
def test_float64_optimality_conditions(n, m, upper, x64):
    eps = np.finfo(np.float64).eps
    for seed in range(6):
        rng = np.random.default_rng(seed)
        mean, std, rows, _ = (
            np.asarray(x, np.float64) for x in problem(rng, n, m, signed=True)
        )
        value = rows @ rng.uniform(0, upper, n)
        got = jitted(*map(jnp.asarray, (mean, std, rows, value)), 0.0, upper)
        assert int(got.status) == 0
        u, λ = np.asarray(got.mean), np.asarray(got.multiplier)
        size = np.abs(rows) @ np.abs(u) + np.abs(value)
        assert np.all(np.abs(rows @ u - value) <= 4 * eps * size)
        apart = np.abs(u - np.clip(mean + std**2 * (rows.T @ λ), 0.0, upper))
        scale = np.abs(mean) + std**2 * (np.abs(rows).T @ np.abs(λ))
        assert np.all(apart <= 100 * eps * scale)


def test_thirty_decades_of_variance(rng):
    """Solved, or said to be not solved: never wrong with a good outcome."""
    n, m, solved = 60, 3, 0
    for _ in range(8):
        rows, mean = rng.normal(size=(m, n)), rng.normal(size=n)
        std = 10 ** rng.uniform(-15, 0, n)
        value = rows @ rng.uniform(0, 1, n)
        mean, std, rows, value = (
            jnp.asarray(x, jnp.float32) for x in (mean, std, rows, value)
        )
        got = jitted(mean, std, rows, value)
        assert np.all((got.mean >= 0) & (got.mean <= 1))
        good = int(got.status) == 0
        solved += good
        assert not good or residual(rows, got.mean, value).max() <= 4 * EPS
    assert solved >= 6


def test_the_field_stays_inside_whatever_the_outcome(rng):
    """Out of reach, contradicting, and with NaN among the values."""
    mean, std, rows, value = problem(rng, 60, 3, signed=True)
    lower, upper = (
        jnp.asarray(rng.uniform(-1, 0.1, 60)),
        jnp.asarray(rng.uniform(0.2, 1, 60)),
    )
    far = value + 100
    two = jnp.concatenate([rows[:2], rows[:1] + rows[1:2]])
    at_odds = jnp.append(value[:2], value[0] + value[1] + 0.5)
    for g, b, outcome in (
        (rows, far, Outcome.unreachable),
        (two, at_odds, Outcome.contradiction),
        (rows, value.at[0].set(jnp.nan), Outcome.not_finite),
    ):
        got = jitted(mean, std, g, b, lower, upper)
        assert bool(got.outcome == outcome)
        inside = (got.mean >= lower) & (got.mean <= upper)
        assert np.all(inside | np.isnan(got.mean))


def test_no_part_of_a_failed_result_can_be_used(rng):
    """Under jit the error hangs on every array; without throw derivatives are NaN."""
    mean, std, rows, value = problem(rng, 60, 3, signed=True)

    def part(name, throw):
        def run(value):
            got = project(mean, std, rows, value, throw=throw)
            std_of = lambda r: r.posterior.std()  # noqa: E731
            return std_of(got) if name == "std" else getattr(got, name)

        return run

    for name in ("std", "multiplier"):
        with pytest.raises(Exception, match="out of reach"):
            jax.block_until_ready(jax.jit(part(name, True))(value + 100))
    slope = jax.jit(jax.grad(lambda v: jnp.sum(part("mean", False)(v))))(value + 100)
    assert np.all(np.isnan(slope))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_units(rng, scale):
    """Number densities and charges: the same field in every unit, with its outcome."""
    mean, std, rows, value = problem(rng, 60, 3, signed=True)
    expected = jitted(mean, std, rows, value)
    scaled = jitted(scale * mean, scale * std, rows, scale * value, 0.0, scale)
    assert int(scaled.status) == 0
    np.testing.assert_allclose(scaled.mean / scale, expected.mean, atol=2e-6)
    np.testing.assert_array_equal(scaled.active, expected.active)
    for found, want in zip(
        jax.tree.leaves(scaled.posterior.root.root.diagonal),
        jax.tree.leaves(expected.posterior.root.root.diagonal),
        strict=True,
    ):
        np.testing.assert_allclose(found / scale, want, rtol=1e-6)


def test_a_failure_reaches_every_part_and_every_derivative():
    """An unreachable total: no part can be used under jit, and no slope is zero."""
    out = integral(jnp.ones(3), -5.0)
    start = jnp.array([1.0, 2.0, 3.0])

    def prior(mean):
        return Gaussian.diagonal(mean, jnp.ones(3))

    solves = (
        lambda m: bounded(prior(m), out, lower=0.0, throw=False).mean,
        lambda m: constrained(prior(m), out, 0.0, throw=False).mean,
        lambda m: monotone(prior(m), out, 0.0, throw=False).mean,
        lambda m: condition_relative(m, out, throw=False).mean,
    )
    for solve in solves:
        slope = jax.jit(jax.grad(lambda m, f=solve: jnp.sum(f(m))))(start)
        assert np.isnan(slope).all()
    active = jax.jit(lambda m: bounded(prior(m), out, lower=0.0).active)
    with pytest.raises(RuntimeError, match="out of reach"):
        jax.block_until_ready(active(start))
