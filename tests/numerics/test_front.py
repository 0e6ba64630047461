"""Profiles with a front: mass, draws on the law, and the posterior of a latent."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import Grid
from physcon.conditioning import Gaussian, integral
from physcon.models import moments
from physcon.models.front import FrontProfile, at_mass, conditioned
from physcon.models.front_family import Domain, FrontFamily
from physcon.models.front_model import FrontModel, LatentPosterior
from physcon.problems import (
    Heat,
    Observations,
    Stefan,
    sample_tasks,
    training_problems,
)
from physcon.studies.probconserv.family import first_latents
from physcon.studies.probconserv.remedies import remedied
from physcon.studies.probconserv.settings import (
    EvaluationSettings,
    NetworkSettings,
    StudyConfig,
    TaskSettings,
    TrainingSettings,
)
from physcon.studies.probconserv.study import run
from physcon.studies.session import Session

DOMAIN = Domain(-1.0, 1.0, 2.0)


def profile(position=0.6, own=0.2):
    return FrontProfile(
        position=jnp.asarray(position),
        spread=jnp.asarray(0.02),
        jump=jnp.asarray(0.5),
        rises=jnp.array([0.1, 0.3, 0.2]),
        widths=jnp.array([0.05, 0.2, 0.3]),
        error=jnp.array([0.02, 0.02, 0.05, 0.01]),
        own=jnp.asarray(own),
    )


@pytest.mark.parametrize("position", [0.37, 1.3])
def test_the_mass_is_the_integral_over_the_domain(position):
    one = profile(position)
    x = (jnp.arange(20_000) + 0.5) / 20_000
    value = one.value(position - x) + 0.7 * one.common(position - x)
    there = np.where(x < position, value, 0).mean()
    mass = one.mass(jnp.asarray(position), jnp.asarray(0.7))
    assert float(mass) == pytest.approx(float(there), abs=5e-5)


def test_draws_move_onto_the_mass_in_proportion_to_the_variances():
    one = profile()
    start = jnp.asarray(0.63), jnp.asarray(-0.4)
    moved = at_mass(one, *start, jnp.asarray(0.55))
    assert float(one.mass(moved.position, moved.w)) == pytest.approx(0.55, abs=1e-6)
    assert 0 < float(moved.share) < 1
    # A front that is certain leaves the correction to the profile, and vice versa.
    still = dataclasses.replace(one, spread=jnp.asarray(1e-6))
    moved = at_mass(still, *start, jnp.asarray(0.55))
    assert float(moved.position) == pytest.approx(0.63, abs=1e-4)
    assert float(still.mass(moved.position, moved.w)) == pytest.approx(0.55, abs=1e-6)
    # As in a smooth family, where almost nothing depends on the position.
    smooth = dataclasses.replace(still, jump=jnp.asarray(0.0))
    smooth = dataclasses.replace(smooth, rises=jnp.array([0.5, 0.0, -0.5]))
    moved = at_mass(smooth, jnp.asarray(1.0), start[1], jnp.asarray(0.1))
    assert float(smooth.mass(moved.position, moved.w)) == pytest.approx(0.1, abs=1e-6)
    # A front beyond the domain, where the mass does not change, comes back.
    far = at_mass(one, jnp.asarray(1.4), jnp.asarray(0.1), jnp.asarray(0.55))
    assert float(one.mass(far.position, far.w)) == pytest.approx(0.55, abs=1e-6)
    certain = dataclasses.replace(one, error=1e-6 * jnp.ones(4))
    moved = at_mass(certain, *start, jnp.asarray(0.55))
    assert float(moved.w) == pytest.approx(-0.4, abs=1e-2)
    assert float(moved.share) < 1e-6


def test_the_move_has_the_derivative_of_the_implicit_function():
    one = profile()

    def position(mass):
        return conditioned(one, mass, 1e-4).position

    slope = jax.grad(position)(jnp.asarray(0.5))
    pair = (position(jnp.asarray(0.51)) - position(jnp.asarray(0.49))) / 0.02
    assert float(slope) == pytest.approx(float(pair), rel=2e-2)


@pytest.mark.parametrize("own", [0.0, 0.3])
def test_the_mass_leaves_the_errors_of_single_points(own):
    """Against the posterior of all nodes given their sum, where no front is in sight.

    All errors that are common to the points are determined; a likelihood that takes the
    rest for known punishes it without limit, and training through the law fails.
    """
    one = dataclasses.replace(profile(1.0, own), spread=jnp.asarray(1e-6))
    found = conditioned(one, one.mass(one.position, jnp.asarray(0.4)), 1e-6)
    distance = 1.0 - (jnp.arange(2000) + 0.5) / 2000
    e = np.asarray(one.std(distance), float)
    covariance = (1 - own) * np.outer(e, e) + own * np.diag(e**2)
    seen = covariance.mean(0)
    left = covariance.diagonal() - seen**2 / seen.mean()
    std = np.asarray(found.std(distance))
    # The density has 1e-4 more.
    np.testing.assert_allclose(std, np.sqrt(np.maximum(left, 0)), atol=2e-4, rtol=5e-3)
    shift = found.value(distance) - one.value(distance)
    np.testing.assert_allclose(shift, 0.4 * one.common(distance), rtol=1e-3)
    if own:
        alone = float(jnp.sqrt(found.own) * found.std(distance)[0])
        assert alone == pytest.approx(own**0.5 * e[0], abs=2e-4)


def test_draws_spread_like_the_density_of_single_points():
    smooth = FrontFamily(
        DOMAIN, 4, 1, 5, falling=False, own_errors=True, key=jax.random.key(3)
    )
    model = FrontModel(smooth, times=2)
    sure = LatentPosterior(jnp.array([0.1, 0.1]), jnp.array([0.5, 0.5]))
    points = jnp.array([[0.7, -0.5], [0.7, 0.3]])
    draws = eqx.filter_jit(model.draws)
    found = moments(draws(sure, points, jax.random.key(0), 500))
    at = smooth.profile(jnp.asarray(0.1), jnp.asarray(0.35))
    expected = at.std(1 - (points[:, 1] + 1) / 2)
    np.testing.assert_allclose(found.std, expected, rtol=5e-3)


def test_smooth_profiles_have_equal_pieces():
    # Narrow ones hid the error of the mass in a spike between the observations.
    smooth = FrontFamily(
        DOMAIN, size=4, layers=1, pieces=5, falling=False, key=jax.random.key(3)
    )
    found = smooth.profile(jnp.asarray(20.0), jnp.asarray(0.3))
    np.testing.assert_allclose(found.widths, 0.2, rtol=1e-6)
    ends = found.value(jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(ends, [0, jnp.sum(found.rises)], atol=1e-6)


class Steps(FrontFamily):
    """Steps of height one at 0.5 + 0.1 z + 0.1 t."""

    def profile(self, z, t):
        small = jnp.full(4, 1e-3)
        zero = jnp.zeros(3)
        at = 0.5 + 0.1 * z + 0.1 * t
        front = (at, jnp.asarray(1e-3), jnp.ones(()))
        return FrontProfile(*front, zero, zero + 0.1, small, jnp.zeros(()))


def steps():
    family = Steps(DOMAIN, size=4, layers=1, pieces=3, key=jax.random.key(0))
    return FrontModel(family, times=2, temper=1.0)


def contexts(z):
    t, x = np.meshgrid([0.4, 1.6], np.linspace(-0.9, 0.9, 10), indexing="ij")
    front = -1 + 2 * (0.5 + 0.1 * z + 0.1 * t / 2)
    points = np.stack([t.ravel(), x.ravel()], axis=1)
    values = (x < front).astype(np.float32).ravel()[:, None]
    return Observations(jnp.asarray(points, jnp.float32), jnp.asarray(values))


def test_observations_put_the_front_between_a_pair_of_points():
    model = steps()
    seen = eqx.filter_jit(model.observe)(contexts(0.3))
    low, high = (float(z) for z in seen.quantile(jnp.array([0.01, 0.99])))
    # At t = 0.4 the front 0.55 lies between the points 0.55 and 0.65, at t = 1.6, where
    # it is 0.61, between the same: z from 0.3 to 0.7 and from -0.3 to 0.7.
    assert 0.2 < low < 0.35
    assert 0.6 < high < 0.8


def test_the_known_mass_puts_every_draw_on_the_same_front():
    model = steps()
    x = jnp.linspace(-1, 1, 2001)
    mass = jnp.asarray(2 * 0.6)
    key = jax.random.key(1)
    drawn = eqx.filter_jit(model.draws_at_mass)
    found = drawn(contexts(0.3), jnp.asarray(0.8), x, mass, key, 8)
    masses = np.trapezoid(found.mean, x, axis=1)
    np.testing.assert_allclose(masses, 1.2, atol=1e-3)
    prediction = moments(found)
    truth = (x < 0.2).astype(jnp.float32)
    away = jnp.abs(x - 0.2) > 0.02
    np.testing.assert_allclose(prediction.mean[away], truth[away], atol=5e-3)


def test_every_remedy_obeys_the_law():
    problem = Stefan(0.6)
    grid = Grid.uniform(0.0, 1.0, 21, location="nodes")
    t = jnp.asarray(0.05)
    shifts = jnp.linspace(-0.1, 0.1, 5)

    def draws(t, x):
        front = problem.front(t) + shifts
        mean = 0.8 * jax.nn.sigmoid((front[:, None] - x[None]) / 0.05) - 0.03
        return jax.vmap(Gaussian.diagonal)(mean, jnp.full_like(mean, 0.02))

    @jax.jit
    def found():
        law = integral(grid, problem.mass(t), rule="trapezoid")
        plain = draws(t, grid.coordinates[0])
        each = {}
        for method in ("covariance", "monotone", "balance"):
            one = remedied(method, plain, draws, problem, t, grid, law)
            each[method] = moments(one)
        return each

    each = found()
    for mean, std in each.values():
        mass = float(grid.integrate(mean))
        assert mass == pytest.approx(float(problem.mass(t)), abs=2e-6)
        assert bool(jnp.all((std >= 0) & jnp.isfinite(std)))
    assert bool(jnp.any(each["covariance"].mean < 0))
    assert bool(jnp.all(each["monotone"].mean >= 0))
    assert bool(jnp.all(jnp.diff(each["monotone"].mean) <= 0))


def test_the_first_latents_follow_the_parameter():
    for family in (Stefan, Heat):
        problems = training_problems(jax.random.key(0), family, 40)
        tasks = sample_tasks(jax.random.key(1), problems)
        latents = np.asarray(first_latents(tasks))
        order = np.argsort(np.asarray(problems.parameter))
        assert abs(latents.mean()) < 1e-5
        assert latents.std() == pytest.approx(1, abs=1e-4)
        assert abs(np.corrcoef(latents[order], np.arange(40))[0, 1]) > 0.85


def test_a_study_learns_fronts_and_puts_them_on_the_mass():
    config = StudyConfig(
        problem="advection",
        model="front",
        tasks=TaskSettings(train=64, per_parameter=1, context=(6, 6), target=(6, 6)),
        network=NetworkSettings(size=16, layers=2, pieces=3),
        training=TrainingSettings(
            steps=300, batch=16, learning_rate=1e-2, clip=1.0, schedule="cosine"
        ),
        evaluation=EvaluationSettings(
            nx=401, latent_samples=16, methods=("unconstrained", "front")
        ),
    )
    rows = run(config, Session(progress=False))
    scores = {(row.parameter, row.method): row.mean for row in rows}
    for a in (1.0, 3.0):
        plain = scores[a, "unconstrained"]["mean_squared_error"]
        found = scores[a, "front"]
        # The step is 1 and its mass is known: the front is right to some cells.
        assert found["mean_squared_error"] < 0.2 * plain
        assert abs(found["conservation_error"]) < 2e-3
