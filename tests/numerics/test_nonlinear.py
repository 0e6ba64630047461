"""`condition_nonlinear` and `log_density`: nearest points, the delta method, laws on a
circle.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from physcon import Gaussian, LinearConstraint, Rows, condition
from physcon._status import Outcome
from physcon.conditioning import NonlinearConstraint, condition_nonlinear, log_density

EPS = float(np.finfo(np.float32).eps)


def squared_radius(u):
    return jnp.sum(u**2)[None]


def on_circle(mean, squared, std=None):
    """Nearest point of the circle |u|² = squared."""
    prior = Gaussian.diagonal(mean, jnp.ones_like(mean) if std is None else std)
    return condition_nonlinear(
        prior, NonlinearConstraint(squared_radius, squared), throw=False
    )


circle = jax.jit(on_circle)


@pytest.mark.parametrize("distance", [0.05, 0.5, 1.5, 5.0, 50.0])
def test_nearest_point_of_a_circle(distance):
    """u = μ / |μ| from inside and outside; the curvature is |1 - |μ|| (see below)."""
    direction = jnp.array([0.6, 0.8])
    got = circle(distance * direction, jnp.ones(1))
    assert int(got.status) == 0
    np.testing.assert_allclose(got.mean, direction, atol=EPS)
    # K = I - 2 λ I along the tangent, where (1 - 2 λ) u = μ.
    assert float(got.curvature) == pytest.approx(abs(1 - distance), rel=1e-4, abs=1e-5)


def test_derivatives_of_the_nearest_point():
    """du/dμ = r / |μ| (I - n nᵀ), du/dr² = n / (2 r); both modes."""
    mean, squared = jnp.array([0.3, 0.4]), jnp.array([4.0])
    n = np.array([0.6, 0.8])
    for mode in (jax.jacfwd, jax.jacrev):
        d_mean, d_squared = jax.jit(mode(lambda m, s: on_circle(m, s).mean, (0, 1)))(
            mean, squared
        )
        np.testing.assert_allclose(
            d_mean, 2 / 0.5 * (np.eye(2) - np.outer(n, n)), atol=2e-6
        )
        np.testing.assert_allclose(d_squared[:, 0], n / 4, atol=1e-6)


def test_delta_method_lives_on_the_tangent():
    n = np.array([0.6, 0.8])
    got = circle(jnp.array([0.3, 0.4]), jnp.ones(1))
    np.testing.assert_allclose(
        got.posterior.covariance(), np.eye(2) - np.outer(n, n), atol=4 * EPS
    )


def test_linear_law_is_condition(rng):
    rows = jnp.asarray(rng.normal(size=(2, 20)), jnp.float32)
    mean = jnp.asarray(rng.normal(size=20), jnp.float32)
    std = jnp.asarray(np.exp(rng.normal(size=20)), jnp.float32)
    prior, value = Gaussian.diagonal(mean, std), jnp.array([1.0, -2.0])
    law = NonlinearConstraint(jax.tree_util.Partial(jnp.matmul, rows), value)
    got = jax.jit(lambda prior, law: condition_nonlinear(prior, law))(prior, law)
    expected = condition(prior, LinearConstraint(Rows(rows), value)).posterior
    np.testing.assert_allclose(got.mean, expected.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        got.posterior.std(), expected.std(), rtol=1e-5, atol=1e-6
    )
    assert float(got.curvature) < 1e-6


class EnergyAndMass(eqx.Module):
    """Total energy Σ w (u²/2 + c u⁴/4) and mass Σ w u."""

    stiffness: jax.Array

    def __call__(self, u):
        w = 1 / u.size
        energy = jnp.sum(0.5 * u**2 + 0.25 * self.stiffness * u**4)
        return w * jnp.stack([energy, jnp.sum(u)])


@pytest.fixture(scope="module")
def wave():
    rng = np.random.default_rng(1)
    x = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    mean = jnp.asarray(np.sin(x) + 0.3 + 0.1 * rng.normal(size=30), jnp.float32)
    std = jnp.asarray(0.1 + 0.1 * np.cos(x) ** 2, jnp.float32)
    return mean, std, jnp.array(0.5), jnp.array([0.45, 0.25])


def conserve(mean, std, stiffness, value):
    law = NonlinearConstraint(EnergyAndMass(stiffness), value)
    return condition_nonlinear(Gaussian.diagonal(mean, std), law, throw=False)


def test_energy_and_mass_equal_slsqp(wave):
    got = jax.jit(conserve)(*wave)
    assert int(got.status) == 0
    μ, s, c, b = (np.asarray(x, np.float64) for x in wave)
    w = 1 / μ.size
    reference = scipy.optimize.minimize(
        lambda u: 0.5 * np.sum(((u - μ) / s) ** 2),
        μ,
        jac=lambda u: (u - μ) / s**2,
        constraints={
            "type": "eq",
            "fun": lambda u: [
                np.sum(u**2 / 2 + c * u**4 / 4) * w - b[0],
                np.sum(u) * w - b[1],
            ],
            "jac": lambda u: np.stack([(u + c * u**3) * w, np.full_like(u, w)]),
        },
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 300},
    )
    assert reference.success
    np.testing.assert_allclose(got.mean, reference.x, atol=1e-5)
    u = np.asarray(got.mean, np.float64)
    size = w * np.sum(np.abs(u) * np.abs(u + c * u**3)) + b[0]
    assert abs(w * np.sum(u**2 / 2 + c * u**4 / 4) - b[0]) <= 4 * EPS * size
    assert np.all(np.abs(got.residual) <= 4 * EPS * size)


def test_derivatives_equal_differences(wave, x64):
    """In mean, std, a parameter of the law, and its value."""
    primals = tuple(x.astype(jnp.float64) for x in wave)
    rng = np.random.default_rng(2)
    tangents = tuple(
        jnp.asarray(0.1 * rng.normal(size=x.shape)) * jnp.abs(x) for x in primals
    )
    fn = jax.jit(lambda *a: conserve(*a).mean)
    out, tangent = jax.jvp(fn, primals, tangents)
    h = 1e-5
    ahead = fn(*(x + h * t for x, t in zip(primals, tangents, strict=True)))
    behind = fn(*(x - h * t for x, t in zip(primals, tangents, strict=True)))
    np.testing.assert_allclose(
        tangent, (ahead - behind) / (2 * h), rtol=1e-5, atol=1e-7
    )
    cotangent = jnp.asarray(rng.normal(size=out.shape))
    grads = jax.vjp(fn, *primals)[1](cotangent)
    pulled = sum(jnp.sum(g * t) for g, t in zip(grads, tangents, strict=True))
    np.testing.assert_allclose(pulled, jnp.sum(cotangent * tangent), rtol=1e-9)


def test_batch_equals_loop():
    means = jnp.array([[0.3, 0.4], [3.0, 1.0], [-1.0, 0.2]])
    got = jax.jit(jax.vmap(lambda m: on_circle(m, jnp.ones(1)).mean))(means)
    for one, mean in zip(got, means, strict=True):
        np.testing.assert_allclose(one, mean / jnp.linalg.norm(mean), atol=2 * EPS)


def test_statuses():
    assert int(circle(jnp.array([1.0, 0.5]), -jnp.ones(1)).status) in (
        1,
        2,
    )  # no such circle
    assert int(circle(jnp.zeros(2), jnp.ones(1)).status) == 1  # no direction to go
    assert int(circle(jnp.array([jnp.nan, 1.0]), jnp.ones(1)).status) == 1


def test_surface_integral_of_the_density_is_the_evidence():
    """|u|² of a Gaussian has a noncentral chi-squared density, here of 2 degrees of
    freedom.
    """
    mean, radius = jnp.array([1.0, 0.5]), 1.7
    prior = Gaussian.diagonal(mean, jnp.ones(2))
    law = NonlinearConstraint(squared_radius, jnp.array([radius**2]))
    angle = jnp.linspace(0, 2 * jnp.pi, 400, endpoint=False)
    points = radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    density = jnp.exp(jax.vmap(lambda u: log_density(prior, law, u))(points))
    evidence = float(jnp.mean(density)) * 2 * np.pi * radius
    expected = scipy.stats.ncx2.pdf(radius**2, 2, 1.25)
    assert evidence == pytest.approx(expected, rel=1e-5)
    plain = jnp.exp(jax.vmap(prior.log_prob)(points))
    without = float(jnp.mean(plain)) * 2 * np.pi * radius
    assert without / expected == pytest.approx(
        2 * radius, rel=1e-4
    )  # |J| = 2 r: wrong by it


def test_law_on_a_circle_against_simulation(rng):
    """h = (|u|² - 1) exp(u_x) = 0 is the unit circle, with |J| = 2 exp(u_x).

    Prior draws with |h| < 0.005 near it have the law with the co-area factor, not the
    one without.
    """
    law = NonlinearConstraint(
        lambda u: (squared_radius(u) - 1) * jnp.exp(u[0]), jnp.zeros(1)
    )
    mean = jnp.array([0.5, 0.0])
    prior = Gaussian.diagonal(mean, jnp.ones(2))
    draws = np.asarray(mean) + rng.normal(size=(2_000_000, 2))
    off = np.sum(draws**2, axis=1) - 1
    kept = draws[(np.abs(off * np.exp(draws[:, 0])) < 0.005) & (np.abs(off) < 0.5)]
    simulated, error = kept[:, 0].mean(), kept[:, 0].std() / len(kept) ** 0.5
    angle = jnp.linspace(0, 2 * jnp.pi, 400, endpoint=False)
    points = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    density = jnp.exp(jax.jit(jax.vmap(lambda u: log_density(prior, law, u)))(points))
    plain = jnp.exp(jax.vmap(prior.log_prob)(points))
    expected = float(jnp.sum(density * points[:, 0]) / jnp.sum(density))
    without = float(jnp.sum(plain * points[:, 0]) / jnp.sum(plain))
    assert abs(simulated - expected) < 4 * error
    assert abs(simulated - without) > 20 * error


def test_a_law_that_closes_over_transformed_arrays():
    """c |u|² = 1 has the nearest point n / √c: a batch and derivatives in c."""
    n = np.array([0.6, 0.8])

    def nearest(c):
        law = NonlinearConstraint(lambda u: c * squared_radius(u), jnp.ones(1))
        prior = Gaussian.diagonal(jnp.array([0.3, 0.4]), jnp.ones(2))
        return condition_nonlinear(prior, law, throw=False).mean

    c = np.array([1.0, 4.0])
    found, slopes = jax.jit(jax.vmap(lambda c: (nearest(c), jax.jacrev(nearest)(c))))(
        jnp.asarray(c, jnp.float32)
    )
    np.testing.assert_allclose(found, n / np.sqrt(c)[:, None], atol=2 * EPS)
    np.testing.assert_allclose(slopes, -n / (2 * c**1.5)[:, None], rtol=1e-5)


def test_the_outcome_tests_the_returned_field():
    """Energy zero: the only solution has no gradient, so rounding is not reached."""
    got = circle(jnp.array([0.3, 0.4]), jnp.zeros(1))
    assert bool(got.outcome == Outcome.not_solved)
    prior = Gaussian.diagonal(jnp.array([0.3, 0.4]), jnp.ones(2))
    law = NonlinearConstraint(squared_radius, jnp.zeros(1))
    with pytest.raises(Exception, match="no convergence"):
        jax.block_until_ready(condition_nonlinear(prior, law).posterior.std())


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_derivatives_in_units_whose_squares_leave_float32(unit):
    """Mean, spread and their first derivatives, and a second one, in both modes."""

    def scaled(mean, unit):
        prior = Gaussian.diagonal(unit * mean, unit * jnp.array([1.0, 2.0, 0.5]))
        law = NonlinearConstraint(lambda u: jnp.sum((u / unit) ** 2)[None], jnp.ones(1))
        found = condition_nonlinear(prior, law, throw=False)
        return jnp.concatenate([found.mean, found.posterior.std()]) / unit

    @jax.jit
    def all_of(unit):
        mean = jnp.array([3.0, 4.0, 1.0])
        forward = jax.jacfwd(scaled)(mean, unit)
        backward = jax.jacrev(scaled)(mean, unit)
        slope = jax.grad(lambda mean: scaled(mean, unit)[0])
        bent = jax.jvp(slope, (mean,), (jnp.ones(3),))[1]
        return scaled(mean, unit), forward, backward, bent

    for got, want in zip(all_of(unit), all_of(1.0), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-6)
