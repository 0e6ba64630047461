"""The update of an ensemble by observations: the Kalman filter, laws, and a model."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import Outcome
from physcon.assimilation import ensemble_update, gaspari_cohn, localisation
from physcon.conditioning import from_matrix

N = 5
MEMBERS = N + 1


def exact_ensemble(rng, mean, covariance):
    """Members whose sample mean and covariance are those given."""
    basis = rng.normal(size=(MEMBERS, MEMBERS))
    basis[:, 0] = 1
    white = np.linalg.qr(basis)[0][:, 1:].T  # orthonormal, each with the sum zero
    root = np.linalg.cholesky(covariance)
    return mean + ((MEMBERS - 1) ** 0.5 * root @ white).T


@pytest.fixture
def problem(rng):
    """Forecast mean and covariance, observations, and an ensemble that has both."""
    mean = rng.normal(size=N)
    factor = rng.normal(size=(N, N))
    covariance = factor @ factor.T + 0.1 * np.eye(N)
    rows = rng.normal(size=(3, N))
    noise = np.array([0.5, 1.0, 0.2])
    data = from_matrix(rows, rng.normal(size=3), noise)
    return mean, covariance, data, jnp.asarray(exact_ensemble(rng, mean, covariance))


def kalman(mean, covariance, data):
    """The textbook update."""
    g = np.asarray(data.operator.rows(), float)
    s = g @ covariance @ g.T + np.diag(np.asarray(data.noise_std) ** 2)
    gain = covariance @ g.T @ np.linalg.inv(s)
    return (
        mean + gain @ (np.asarray(data.value) - g @ mean),
        covariance - gain @ g @ covariance,
        np.sqrt(np.diag(s)),
    )


def moments(members):
    members = np.asarray(members, float)
    return members.mean(axis=0), np.cov(members.T)


def test_square_root_form_is_the_kalman_filter_of_its_own_covariance(x64, problem):
    mean, covariance, data, members = problem
    analysis = ensemble_update(members, data)
    expected = kalman(mean, covariance, data)
    found = moments(analysis.members)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(analysis.innovation_std, expected[2], rtol=1e-13)
    # The order of the observations does not matter, nor does an infinite radius.
    rows = data.operator.rows()[::-1]
    turned = from_matrix(rows, data.value[::-1], data.noise_std[::-1])
    everywhere = gaspari_cohn(jnp.ones((3, N)), jnp.inf)
    again = ensemble_update(members, turned, localisation=everywhere)
    for a, b in zip(moments(again.members), found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
    # It is what `condition` gives for the ensemble's covariance.
    posterior = pc.condition(pc.Gaussian.from_samples(members), data).posterior
    np.testing.assert_allclose(found[0], posterior.mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[1], posterior.covariance(), rtol=0, atol=1e-12)


def test_perturbed_observations_tend_to_the_kalman_filter(problem):
    """With many members the sampling error of mean and covariance falls as k^(-1/2)."""
    mean, covariance, data, _ = problem
    count = 40_000
    draws = np.random.default_rng(1).normal(size=(count, N))
    members = jnp.asarray(mean + draws @ np.linalg.cholesky(covariance).T)
    found = moments(ensemble_update(members, data, key=jax.random.key(0)).members)
    expected = kalman(mean, covariance, data)
    size = np.sqrt(np.trace(covariance))
    assert np.abs(found[0] - expected[0]).max() < 4 * size / count**0.5
    assert np.abs(found[1] - expected[1]).max() < 6 * size**2 / count**0.5
    # Without perturbations the spread would be too small by far.
    assert np.abs(expected[1] - covariance).max() > 20 * size**2 / count**0.5


def test_an_observation_without_error_is_met_and_one_without_information_ignored(
    x64, problem
):
    _, _, data, members = problem
    rows = data.operator.rows()
    value = data.value.at[1].set(jnp.nan)
    one = from_matrix(rows, value, jnp.array([0.0, jnp.inf, 0.2]))
    rest = from_matrix(rows[::2], data.value[::2], jnp.array([0, 0.2]))
    analysis = ensemble_update(members, one)
    found = analysis.members
    alone = ensemble_update(members, rest).members
    np.testing.assert_allclose(found, alone, rtol=1e-13)
    assert analysis.innovation[1] == 0
    seen = found @ rows[0]
    np.testing.assert_allclose(seen, np.full(MEMBERS, data.value[0]), atol=1e-12)
    # The same one again changes nothing; with another value it is refused.
    order = jnp.array([0, 0, 2])
    twice = from_matrix(rows[order], value[order], jnp.array([0, 0, 0.2]))
    again = ensemble_update(members, twice).members
    np.testing.assert_allclose(again, alone, rtol=1e-12)
    apart = eqx.tree_at(lambda law: law.value, twice, twice.value.at[1].add(1e-3))
    with pytest.raises(RuntimeError, match="contradict"):
        ensemble_update(members, apart)


def test_localisation_leaves_distant_points_alone_and_laws_are_restored():
    """In float32: the total of every member holds to four roundings, bounds exactly."""
    grid = pc.Grid.uniform(0.0, 1.0, 40)
    weights = grid.volumes()
    keys = jax.random.split(jax.random.key(3), 2)
    members = jnp.abs(jax.random.normal(keys[0], (8, 40)))
    members = members / (members @ weights)[:, None]
    places = jnp.array([0.2, 0.6])
    data = pc.sensors(grid, places, jnp.array([3.0, 0.0]), 0.1)
    taper = localisation(grid, places, 0.15)
    law = pc.integral(grid, 1.0)

    def missed(u):
        total = np.asarray(u, float) @ np.asarray(weights, float)
        size = np.abs(np.asarray(u, float)) @ np.asarray(weights, float)
        return np.abs(total - 1) / (np.finfo(np.float32).eps * (size + 1))

    alone = ensemble_update(members, data, localisation=taper, inflation=1.1)
    far = np.asarray(taper).max(axis=0) == 0
    mean = members.mean(axis=0, keepdims=True)
    inflated = mean + 1.1 * (members - mean)
    np.testing.assert_allclose(alone.members[:, far], inflated[:, far], rtol=2e-6)
    assert missed(alone.members).max() > 1e4
    options = {"localisation": taper, "inflation": 1.1}
    free = ensemble_update(members, data, law=law, **options).members
    assert missed(free).max() <= 4
    assert free.min() < 0
    both = {**options, "key": keys[1], "law": law, "lower": 0.0}
    positive = ensemble_update(members, data, **both).members
    assert missed(positive).max() <= 4
    assert positive.min() == 0
    capped = ensemble_update(members, data, **options, lower=0.0, upper=1.5).members
    np.testing.assert_array_equal(capped, np.clip(alone.members, 0, 1.5))


def test_results_do_not_depend_on_the_units():
    rng = np.random.default_rng(5)
    members = rng.normal(size=(4, N)).astype(np.float32)
    rows = rng.normal(size=(2, N)).astype(np.float32)
    value, noise = np.array([1, -1], np.float32), np.array([0.5, 0.1], np.float32)
    weights = jnp.ones(N)

    @jax.jit
    def of(members, value, noise, total):
        data = from_matrix(jnp.asarray(rows), value, noise)
        law = pc.integral(weights, total)
        found = ensemble_update(members, data, law=law, throw=False)
        return found.members, found.outcome

    plain, _ = of(members, value, noise, jnp.float32(2))
    for power in (-100, 100):
        unit = np.float32(2.0**power)
        scaled, outcome = of(unit * members, unit * value, unit * noise, 2 * unit)
        assert outcome == Outcome.good
        np.testing.assert_array_equal(scaled / unit, plain)


def test_values_of_the_taper():
    """Eq. 4.10 of Gaspari and Cohn (1999) with c = 1, in exact fractions."""
    expected = [1, 263 / 384, 5 / 24, 19 / 1152, 0, 0, 0]
    z = jnp.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 1e30])
    grid = pc.Grid.uniform(0.0, 1.0, (6, 6), "nodes")
    places = np.stack([x.ravel() for x in grid.mesh()], axis=1)

    @jax.jit
    def found(z):
        near_end = gaspari_cohn(jnp.linspace(1.9, 2.0, 50), 2.0)
        slopes = jax.grad(lambda z: jnp.sum(gaspari_cohn(z, 2.0)))(z)
        return gaspari_cohn(z, 2.0), slopes, near_end, localisation(grid, places, 0.7)

    values, slopes, near_end, weights = map(np.asarray, found(z))
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert np.all(np.isfinite(slopes))
    assert near_end.min() >= 0
    assert np.all(np.diff(near_end) <= 0)
    # A correlation in the plane: no negative eigenvalue beyond rounding.
    weights = weights.reshape(36, 36).astype(float)
    assert np.linalg.eigvalsh(weights).min() > -1e-6


def test_distances_on_a_circle_and_far_from_zero():
    at = np.array([4.5e6 + 0.05])
    grid = pc.Grid.uniform(4.5e6, 4.5e6 + 1.0, 10)
    found = localisation(grid, at, 0.4, periodic=True)[0]
    steps = np.array([0, 1, 2, 3, 4, 5, 4, 3, 2, 1]) / 10
    np.testing.assert_allclose(found, gaspari_cohn(steps, 0.4), atol=2e-6)
    straight = localisation(grid, at, 0.4)[0]
    np.testing.assert_allclose(
        straight, gaspari_cohn(np.arange(10) / 10, 0.4), atol=1e-6
    )


@pytest.mark.parametrize("unit", [2.0**-100, 2.0**100])
def test_weights_do_not_depend_on_the_unit_of_length(unit):
    grid = pc.Grid.uniform(0.0, 4.0, (4, 3))
    scaled = pc.Grid.uniform(0.0, 4.0 * unit, (4, 3))
    at = np.array([[0.5, 1.0], [3.0, 2.5]])
    weights = localisation(grid, at, 3.0)
    assert np.count_nonzero(weights) > 12
    np.testing.assert_array_equal(localisation(scaled, unit * at, 3.0 * unit), weights)


def test_a_radius_of_zero_is_refused():
    with pytest.raises(ValueError, match="expected a radius > 0, got 0"):
        gaspari_cohn(jnp.zeros(2), 0.0)


@pytest.mark.parametrize("perturbed", [False, True])
def test_gradients_against_differences(x64, problem, perturbed):
    """By every array; of the square-root filter through a law and a bound."""
    _, _, data, members = problem
    rows = data.operator.rows()
    at_end = {"law": pc.integral(jnp.ones(N), 1.0), "lower": -1.0}
    options = {"key": jax.random.key(1)} if perturbed else at_end
    taper = jnp.linspace(0.2, 1.0, 3 * N).reshape(3, N)
    inputs = (members, data.value, data.noise_std, jnp.asarray(1.1), taper)

    def loss(inputs):
        members, value, noise, inflation, taper = inputs
        found = ensemble_update(
            members,
            from_matrix(rows, value, noise),
            localisation=taper,
            inflation=inflation,
            throw=False,
            **options,
        )
        return jnp.sum(jnp.sin(found.members))

    rng = np.random.default_rng(2)
    way = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), inputs)

    @jax.jit
    def both(h):
        at = jax.vmap(lambda s: loss(jax.tree.map(lambda x, d: x + s * d, inputs, way)))
        low, high = at(jnp.array([-h, h]))
        gradient = jax.grad(loss)(inputs)
        along = jax.tree.map(lambda g, d: jnp.sum(g * d), gradient, way)
        return sum(jax.tree.leaves(along)), (high - low) / (2 * h)

    np.testing.assert_allclose(*both(1e-6), rtol=1e-6)


def test_failures_are_named(problem):
    *_, data, members = problem
    members = members.astype(jnp.float32)
    law = pc.integral(jnp.ones(N), 100.0)
    with pytest.raises(RuntimeError, match="within the bounds"):
        ensemble_update(members, data, law=law, upper=1.0)
    found = ensemble_update(members, data, law=law, upper=1.0, throw=False)
    assert found.outcome == Outcome.unreachable
    with pytest.raises(RuntimeError, match="NaN"):
        ensemble_update(members.at[0, 0].set(jnp.nan), data)
    with pytest.raises(ValueError, match="2 or more members"):
        ensemble_update(members[:1], data)
    with pytest.raises(ValueError, match="localisation of shape"):
        ensemble_update(members, data, localisation=jnp.ones(N))
    with pytest.raises(RuntimeError, match="lower bound lies above"):
        ensemble_update(members, data, lower=1.0, upper=0.0)


def lorenz_96(x):
    """The tendency of the model of Lorenz (1996) with a forcing of 8."""
    return (jnp.roll(x, -1) - jnp.roll(x, 2)) * jnp.roll(x, 1) - x + 8


def advanced(x, dt=0.05):
    """One Runge-Kutta step of fourth order."""
    a = lorenz_96(x)
    b = lorenz_96(x + 0.5 * dt * a)
    c = lorenz_96(x + 0.5 * dt * b)
    d = lorenz_96(x + dt * c)
    return x + dt / 6 * (a + 2 * b + 2 * c + d)


def test_lorenz_96_twin_experiment():
    """40 variables, all observed with variance 1 every 0.05: published filters reach a
    root mean square error of about 0.2 (Ott et al., Tellus A 56 (2004) 415, fig. 4;
    Hunt et al., Physica D 230 (2007) 112). The spread should agree with it.
    """
    n, count, steps, first = 40, 16, 400, 100
    grid = pc.Grid.uniform(0.0, float(n), n)
    taper = localisation(grid, grid.coordinates[0], 14.0, periodic=True)
    identity = jnp.eye(n)

    @jax.jit
    def run(key):
        keys = jax.random.split(key, 3)
        start = 8 + jax.random.normal(keys[0], (n,))
        truth = jax.lax.fori_loop(0, 200, lambda _, x: advanced(x), start)
        members = truth[None] + jax.random.normal(keys[1], (count, n))

        def cycle(state, key):
            truth, members = state
            truth = advanced(truth)
            members = jax.vmap(advanced)(members)
            seen = truth + jax.random.normal(key, (n,))
            data = pc.LinearConstraint(pc.Rows(identity), seen, jnp.ones(n))
            members = ensemble_update(
                members, data, localisation=taper, inflation=1.03, throw=False
            ).members
            error = jnp.sqrt(jnp.mean((jnp.mean(members, axis=0) - truth) ** 2))
            spread = jnp.sqrt(jnp.mean(members.var(axis=0, ddof=1)))
            return (truth, members), (error, spread)

        times = jax.random.split(keys[2], steps)
        return jax.lax.scan(cycle, (truth, members), times)[1]

    error, spread = (float(x[first:].mean()) for x in run(jax.random.key(0)))
    assert 0.12 < error < 0.25
    assert 0.7 < spread / error < 1.3
