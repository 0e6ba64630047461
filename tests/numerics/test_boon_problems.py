"""Solutions of the boundary studies: equation, conditions and initial state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.grid import Grid
from physcon.operators.enforce import residuals
from physcon.problems.boon_heat import HeatedRod
from physcon.problems.stokes import StokesSecond
from physcon.problems.viscous_burgers import BurgersPeriodic, BurgersRiemann
from physcon.problems.wave import StandingWaves

FAMILIES = [HeatedRod, StokesSecond, BurgersRiemann, BurgersPeriodic, StandingWaves]


def pointwise(problem):
    """u(t, x) of scalars."""
    return lambda t, x: problem.solution(t, x[None])[0]


def diffusion(coefficient, nonlinear=0.0):
    """u_t + nonlinear u u_x - coefficient u_xx."""

    def residual(u, t, x):
        u_x = jax.grad(u, 1)
        left = jax.grad(u)(t, x) + nonlinear * u(t, x) * u_x(t, x)
        return left - coefficient * jax.grad(u_x, 1)(t, x)

    return residual


def wave(speed):
    def residual(u, t, x):
        return jax.grad(jax.grad(u))(t, x) - speed**2 * jax.grad(jax.grad(u, 1), 1)(
            t, x
        )

    return residual


EQUATIONS = {
    HeatedRod: lambda p: diffusion(p.k),
    StokesSecond: lambda p: diffusion(p.viscosity),
    BurgersRiemann: lambda p: diffusion(p.viscosity, 1.0),
    BurgersPeriodic: lambda p: diffusion(p.viscosity, 1.0),
    StandingWaves: lambda p: wave(p.speed),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_solves_its_equation(family, x64):
    """The residual by automatic differentiation in float64, at random points."""
    problem = family.sample(jax.random.key(3))
    points = jax.random.uniform(jax.random.key(4), (2, 12), minval=0.15, maxval=0.85)
    residual = EQUATIONS[family](problem)

    @jax.jit
    def sizes(problem, points):
        u = pointwise(problem)
        left = jax.vmap(lambda t, x: residual(u, t, x))(*points)
        return left, jax.vmap(lambda t, x: jax.grad(u)(t, x))(*points)

    left, scale = sizes(problem, points)
    # The rod's series is cut at 128 terms, where its second derivative has fallen to
    # 1e-7.
    tolerance = 1e-6 if family is HeatedRod else 1e-9
    assert float(jnp.abs(scale).max()) > 0.05
    np.testing.assert_allclose(left, 0.0, atol=tolerance * float(jnp.abs(scale).max()))


@pytest.mark.parametrize("family", FAMILIES)
def test_initial_state_and_conditions(family, x64):
    """u(t → 0) is the initial state (in the mean), and `boundary` holds to the
    stencil's error.
    """
    problem = family.sample(jax.random.key(5))
    x = jnp.linspace(0.0, 1.0, 401)
    solution = jax.jit(lambda p, t: p.solution(t, x))
    start = problem.initial(x)
    soon = solution(problem, jnp.asarray(1e-5))
    assert float(jnp.mean(jnp.abs(soon - start))) < 5e-3 * float(jnp.abs(start).max())
    grid = Grid.nodes(x)
    t = jnp.asarray(0.6)
    found = residuals(solution(problem, t)[None], problem.boundary(t), grid, order=4)
    assert len(found) in (1, 2)
    for r in found:
        np.testing.assert_allclose(r.value, 0.0, atol=1e-5)


def test_heated_rod_gains_the_heat_that_enters(x64):
    """d/dt ∫u = k U sin(π t): the mean grows by k U (1 - cos π t) / π."""
    rod = HeatedRod.sample(jax.random.key(0))
    grid = Grid.uniform(0.0, 1.0, 2001, "nodes")
    mean = [
        float(
            grid.integrate(rod.solution(jnp.asarray(t), grid.coordinates[0]), "simpson")
        )
        for t in (0.2, 1.3)
    ]
    gain = (
        float(rod.k * rod.amplitude)
        * (np.cos(np.pi * 0.2) - np.cos(np.pi * 1.3))
        / np.pi
    )
    np.testing.assert_allclose(mean[1] - mean[0], gain, rtol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_float32_is_enough(family):
    """Solutions in float32 equal those in float64 to 2e-5."""
    problem, x = family.sample(jax.random.key(2)), np.linspace(0.0, 1.0, 65)
    leaves, structure = jax.tree.flatten(problem)
    found = []
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            same = jax.tree.unflatten(
                structure, [jnp.asarray(a, dtype) for a in leaves]
            )
            u = jax.jit(lambda p, t, x: p.solution(t, x))(
                same, jnp.asarray(0.7, dtype), jnp.asarray(x, dtype)
            )
            found.append(np.asarray(u))
    np.testing.assert_allclose(*found, atol=2e-5 * np.abs(found[1]).max())


def test_waves_in_the_plane(x64):
    """u_tt = c² (u_xx + u_yy) by automatic differentiation, no slope across any of four
    walls.
    """
    waves = StandingWaves.sample(jax.random.key(3), speed=1.5, modes=3, axes=2)

    def u(t, x, y):
        return waves.solution(t, x[None], y[None])[0, 0]

    @jax.jit
    @jax.vmap
    def residual_and_slopes(t, x, y):
        second = [jax.grad(jax.grad(u, i), i)(t, x, y) for i in range(3)]
        walls = jnp.array([0.0, 1.0])
        slopes = [
            jax.vmap(lambda w: jax.grad(u, 1)(t, w, y))(walls),
            jax.vmap(lambda w: jax.grad(u, 2)(t, x, w))(walls),
        ]
        return (
            second[0] - 1.5**2 * (second[1] + second[2]),
            second[0],
            jnp.stack(slopes),
        )

    points = jax.random.uniform(jax.random.key(4), (3, 12))
    left, scale, slopes = residual_and_slopes(*points)
    np.testing.assert_allclose(left, 0.0, atol=1e-10 * float(jnp.abs(scale).max()))
    np.testing.assert_allclose(slopes, 0.0, atol=1e-12)
    x = jnp.linspace(0, 1, 5)
    np.testing.assert_allclose(
        waves.initial(x, x[:3])[2, 1], u(jnp.zeros(()), x[2], x[1])
    )


def test_centred_states_are_the_same_waves_without_their_mean():
    x = jnp.arange(64) / 64
    whole = BurgersPeriodic.sample(jax.random.key(2)).initial(x)
    centred = BurgersPeriodic.sample(jax.random.key(2), centred=True).initial(x)
    assert abs(float(whole.mean())) > 0.1
    np.testing.assert_allclose(centred, whole - whole.mean(), atol=1e-5)


def test_random_initial_states_have_the_stated_spectrum():
    """Var c_m = (25 / ((2π m)² + 25))² from 4000 draws, within its sampling error."""
    draws = jax.vmap(lambda k: BurgersPeriodic.sample(k).coefficients)(
        jax.random.split(jax.random.key(1), 4000)
    )
    variance = jnp.mean(jnp.sum(draws**2, 1), 0)[:5]
    expected = (25 / ((2 * np.pi * np.arange(5)) ** 2 + 25)) ** 2
    np.testing.assert_allclose(variance, expected, rtol=0.1)
