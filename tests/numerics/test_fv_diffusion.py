"""Diffusion: orders, Barenblatt and Stefan similarity solutions, what the face means
do.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erf

from physcon.boundary import Boundary, Dirichlet, Flux, Neumann, Periodic, Robin
from physcon.fv import (
    MUSCL,
    Burgers,
    Heat,
    Mixed,
    PorousMedium,
    Scheme,
    Stefan,
    godunov,
    implicit_euler,
    solve,
    ssp_rk2,
)
from physcon.grid import Grid

IMPLICIT = Scheme(step=implicit_euler)
HEUN = Scheme(step=ssp_rk2)


def heat_error(n, boundary, exact, stretched=False, scheme=HEUN):
    s = np.linspace(0, 1, n + 1)
    faces = s + 0.1 * np.sin(2 * np.pi * s) / (2 * np.pi) * 4 * stretched
    grid = Grid.cells(faces)
    x = np.asarray(grid.coordinates[0])
    start = jnp.asarray(exact(x, 0.0))[None]
    out = solve(start, Heat(1.0), grid, boundary, scheme, times=[0.05], cfl=0.9).u[
        -1, 0
    ]
    return np.abs(np.asarray(out) - exact(x, 0.05)) @ np.asarray(grid.widths())


def decay(k, phase):
    return lambda x, t: np.cos(k * x + phase) * np.exp(-(k**2) * t)


ROBIN_K = brentq(lambda k: np.tan(k) - 1 / k, 0.5, 1.5)  # u' = -u at x = 1 for cos(k x)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("stretched", [False, True])
@pytest.mark.parametrize(
    ("boundary", "exact"),
    [
        (Boundary(Dirichlet(0.0)), decay(np.pi, -np.pi / 2)),
        (Boundary(Neumann(0.0)), decay(np.pi, 0.0)),
        (Boundary(Periodic()), decay(2 * np.pi, 0.3)),
        (Boundary((Neumann(0.0), Robin(1.0, 1.0, 0.0))), decay(ROBIN_K, 0.0)),
        (
            Boundary(
                (
                    Flux(lambda t: -jnp.exp(-t)),
                    Dirichlet(lambda t: jnp.sin(1.0) * jnp.exp(-t)),
                )
            ),
            decay(1.0, -np.pi / 2),
        ),
    ],
    ids=["dirichlet", "neumann", "periodic", "robin", "flux-in-time"],
)
def test_heat_is_second_order_with_every_boundary(boundary, exact, stretched):
    coarse = heat_error(20, boundary, exact, stretched)
    fine = heat_error(40, boundary, exact, stretched)
    assert np.log2(coarse / fine) > 1.9


def barenblatt(x, t, m):
    """Source solution of u_t = (u^m u_x)_x: t^-α (1 - α m x² t^-2α / 2)^(1/m), α = 1/(m
    + 2).
    """
    a = 1 / (m + 2)
    return t**-a * np.maximum(1 - a * m / 2 * (x * t**-a) ** 2, 0) ** (1 / m)


def barenblatt_run(n, m, face="integral", scheme=HEUN, dt=None):
    grid = Grid.uniform(-4.0, 4.0, n)
    fine = np.linspace(-4, 4, 20 * n + 1)[:-1] + 0.2 / n
    start = barenblatt(fine, 1.0, m).reshape(n, 20).mean(1)
    exact = barenblatt(fine, 2.0, m).reshape(n, 20).mean(1)
    out = solve(
        jnp.asarray(start, jnp.float32)[None],
        PorousMedium(m, face),
        grid,
        Boundary(Neumann(0.0)),
        scheme,
        times=[2.0],
        start=1.0,
        cfl=0.9,
        dt=dt,
    )
    u = np.asarray(out.u[-1, 0], float)
    assert u.sum() == pytest.approx(start.sum(), rel=2e-5)
    return u, exact, np.asarray(grid.coordinates[0])


@pytest.mark.parametrize("m", [1, 2, 3, 6])
def test_barenblatt(m):
    for n in (50, 100):
        u, exact, x = barenblatt_run(n, m)
        # The profile ends like distance^(1/m): its front's cell is wrong by O(h^(1/m)),
        # which is O(h^(1 + 1/m)) in L1, times a number that depends on where in its
        # cell the front stands (so that the ratio of two errors says little); all else
        # is of second order.
        assert np.abs(u - exact).mean() / exact.mean() < 0.04 * (8 / n) ** (1 + 1 / m)
        assert u.min() >= 0
        # The front is where it should be, to a cell or two.
        front = np.sqrt(2 * (m + 2) / m) * 2 ** (1 / (m + 2))
        assert abs(x[u > 1e-3].max() - min(front, 4)) < 2.5 * 8 / n


def test_the_harmonic_mean_locks_a_front_and_the_others_do_not():
    fronts = {}
    for face in ("integral", "arithmetic", "harmonic"):
        u, exact, x = barenblatt_run(100, 3, face)
        fronts[face] = x[u > 1e-3].max()
        error = np.abs(u - exact).mean() / exact.mean()
        assert error < 0.02 if face != "harmonic" else error > 0.1
    start = x[barenblatt(x, 1.0, 3) > 1e-3].max()
    assert fronts["harmonic"] == pytest.approx(start)  # it has not moved at all
    assert fronts["integral"] > start + 0.2
    assert fronts["arithmetic"] > start + 0.2


def test_implicit_steps_reach_the_same_solution_in_far_fewer_steps():
    u, exact, _ = barenblatt_run(
        100, 2, scheme=IMPLICIT, dt=0.02
    )  # explicit limit: 0.003
    assert np.abs(u - exact).mean() / exact.mean() < 0.02


@pytest.mark.usefixtures("x64")
def test_implicit_euler_is_first_order_in_time_and_exact_in_equilibrium():
    grid = Grid.uniform(0.0, 1.0, 40)
    boundary = Boundary((Dirichlet(0.0), Dirichlet(0.0)))
    eigenvalue = (2 - 2 * np.cos(np.pi / 40)) * 1600
    start = jnp.sin(jnp.pi * grid.coordinates[0])[None]

    def error(dt):
        out = solve(start, Heat(1.0), grid, boundary, IMPLICIT, times=[0.1], dt=dt).u[
            -1
        ]
        return float(jnp.abs(out / start - np.exp(-eigenvalue * 0.1)).max())

    assert np.log2(error(0.01) / error(0.005)) == pytest.approx(1, abs=0.1)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("far", ["robin", "neumann"])
def test_a_steady_state_between_a_value_and_a_gradient_is_of_second_order(far):
    # Steady: u² is linear from 1, with u + u' = 0, or u' = -1/2, at the right side.
    b = (
        3**-0.5
        if far == "robin"
        else brentq(lambda b: (b**2 - 1) / 2 / b + 0.5, 0.1, 1)
    )
    side = Robin(1.0, 1.0, 0.0) if far == "robin" else Neumann(-0.5)
    for n in (20, 40):
        grid = Grid.uniform(0.0, 1.0, n)
        start = jnp.asarray(np.ones((1, n)))
        sides = Boundary((Dirichlet(1.0), side))
        out = solve(
            start, PorousMedium(1.0), grid, sides, IMPLICIT, times=[1e4], dt=1e3
        ).u[-1, 0]
        exact = np.sqrt(1 + (b**2 - 1) * (np.arange(n) + 0.5) / n)
        # The face's value is off by u'' h²/8 at most, |u''| = u'²/b.
        assert np.abs(np.asarray(out) - exact).max() < 0.25 / n**2


def test_implicit_euler_splits_the_axes():
    grid = Grid.uniform((0.0, 0.0), (1.0, 2.0), (16, 20))
    x, y = grid.mesh()
    start = (jnp.sin(jnp.pi * x) * jnp.sin(jnp.pi * y / 2))[None]
    boundary = Boundary(Dirichlet(0.0), Dirichlet(0.0))
    out = solve(start, Heat(1.0), grid, boundary, IMPLICIT, times=[0.1], dt=0.002).u[-1]
    decayed = np.exp(-(np.pi**2) * 1.25 * 0.1)
    np.testing.assert_allclose(np.asarray(out), decayed * np.asarray(start), atol=0.012)


def stefan_alpha(threshold):
    """Front at α sqrt(t): (1 - u*)/sqrt(π) = u* (α/2) exp(α²/4) erf(α/2)."""

    def balance(a):
        return (1 - threshold) / np.sqrt(np.pi) - threshold * a / 2 * np.exp(
            a**2 / 4
        ) * erf(a / 2)

    return brentq(balance, 1e-6, 10)


def stefan_run(n, threshold, face="integral", t=0.05):
    grid = Grid.uniform(0.0, 1.0, n)
    times = np.linspace(0, t, 201)[1:]
    boundary = Boundary((Dirichlet(1.0), Dirichlet(0.0)))
    law = Stefan(threshold, face=face)
    saved = solve(jnp.zeros((1, n)), law, grid, boundary, times=times, cfl=0.9).u[:, 0]
    return times, np.asarray(saved)


def stefan_exact(x, t, threshold):
    alpha = stefan_alpha(threshold)
    inside = 1 - (1 - threshold) * erf(x / np.sqrt(4 * t)) / erf(alpha / 2)
    return np.where(x < alpha * np.sqrt(t), inside, 0)


def stefan_averages(n, t, threshold):
    x = (np.arange(2000 * n) + 0.5) / (2000 * n)  # resolves the front within its cell
    return stefan_exact(x, t, threshold).reshape(n, 2000).mean(1)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_stefan_front_with_the_integral_mean(threshold):
    n = 80
    times, saved = stefan_run(n, threshold)
    u, exact = saved[-1], stefan_averages(n, times[-1], threshold)
    front = stefan_alpha(threshold) * np.sqrt(times[-1])
    assert (
        np.abs(u - exact).mean() < 1.2 * threshold / n
    )  # the front's own cell, not more
    assert abs(np.sum(u > 0.5 * threshold) / n - front) < 1.1 / n
    assert np.all(np.diff(u) <= 1e-6)  # monotone in space
    assert np.all(np.diff(saved, axis=0) >= -1e-6)  # and in time


def test_the_artefacts_of_the_means_as_numbers():
    n, threshold = 80, 0.5
    variation, front_error = {}, {}
    for face in ("integral", "arithmetic", "harmonic"):
        times, saved = stefan_run(n, threshold, face)
        front = stefan_alpha(threshold) * np.sqrt(times[-1])
        probe = saved[:, n // 8]  # a point the front has passed
        # Total variation in time beyond the variation of the monotone exact solution.
        variation[face] = np.abs(np.diff(probe)).sum() - (probe[-1] - probe[0])
        front_error[face] = abs(np.sum(saved[-1] > 0.5 * threshold) / n - front)
    assert variation["integral"] < 1e-5
    assert (
        variation["arithmetic"] > 0.01
    )  # it oscillates each time the front enters a cell
    assert front_error["integral"] < 1.1 / n
    assert front_error["harmonic"] > 0.25  # locked at the hot side


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_the_shock_based_face_has_no_staircase_and_is_second_order(threshold):
    def history(n, face):
        """Computed and exact u(t) at the cell next to x = 1/8, after the front has left
        it.
        """
        times, saved = stefan_run(n, threshold, face)
        probe, x = n // 8, (n // 8 + 0.5) / n
        late = times > 1.1 * ((x + 1 / n) / stefan_alpha(threshold)) ** 2
        return saved[late, probe], stefan_exact(x, times[late], threshold), saved[-1]

    def roughness(history):
        return np.abs(np.diff(history, 2)).sum()

    mine, exact, coarse = history(80, "shock")
    assert roughness(mine) < 1.6 * roughness(exact)
    assert np.all(np.diff(mine) >= 0)
    steps, exact_steps, _ = history(80, "integral")
    assert roughness(steps) > 5 * roughness(exact_steps)
    # At the probe, and over all cells, the front's included: errors are multiples of
    # h², while the integral mean's staircase, a front that is known to a cell, is a
    # multiple of h.
    finer, exact_finer, fine = history(160, "shock")
    assert np.abs(mine - exact).max() < 8 / 80**2
    assert np.abs(finer - exact_finer).max() < 8 / 160**2
    assert np.abs(steps - exact_steps).max() > 0.25 / 80
    for n, u in ((80, coarse), (160, fine)):
        assert np.abs(u - stefan_averages(n, 0.05, threshold)).mean() < 1.3 / n**2


def test_the_shock_based_face_does_not_care_where_the_heat_comes_from():
    grid = Grid.uniform(0.0, 1.0, 40)
    law = Stefan(0.5, face="shock")
    cold = jnp.zeros((1, 40))
    left = solve(
        cold, law, grid, Boundary((Dirichlet(1.0), Neumann(0.0))), times=[0.05]
    ).u[-1, 0]
    right = solve(
        cold, law, grid, Boundary((Neumann(0.0), Dirichlet(1.0))), times=[0.05]
    ).u[-1, 0]
    np.testing.assert_allclose(np.asarray(left), np.asarray(right)[::-1], atol=1e-6)
    assert float(left.sum()) > 5


def test_viscous_burgers_travelling_wave():
    # u = 1/2 - tanh((x - t/2)/(4 ν))/2, viscosity ν.
    nu = 0.05

    def exact(x, t):
        return 0.5 - 0.5 * np.tanh((x - 0.5 * t) / (4 * nu))

    errors = []
    for n in (50, 100):
        grid = Grid.uniform(-1.5, 2.0, n)
        x = np.asarray(grid.coordinates[0])
        law = Mixed(Burgers(), Heat(nu))
        boundary = Boundary((Dirichlet(1.0), Dirichlet(0.0)))
        scheme = Scheme(MUSCL(), godunov, ssp_rk2)
        out = solve(
            jnp.asarray(exact(x, 0))[None], law, grid, boundary, scheme, times=[1.0]
        ).u[-1]
        errors.append(np.abs(np.asarray(out[0]) - exact(x, 1.0)).mean())
    assert np.log2(errors[0] / errors[1]) > 1.7


@pytest.mark.usefixtures("x64")
def test_implicit_gradients_are_those_of_the_solved_equation():
    grid = Grid.uniform(0.0, 1.0, 20)
    start = jnp.zeros((1, 20))

    def heat_in(theta):
        boundary = Boundary((Dirichlet(theta[0]), Neumann(0.0)))
        law = PorousMedium(theta[1])
        out = solve(
            start,
            law,
            grid,
            boundary,
            IMPLICIT,
            times=[0.1],
            dt=0.01,
            max_steps=12,
            loop="checkpointed",
        )
        return jnp.sum(out.u[-1]) / 20

    theta = jnp.array([1.2, 1.5])
    gradient = jax.grad(heat_in)(theta)
    for k in range(2):
        e = jnp.zeros(2).at[k].set(1e-5)
        difference = (heat_in(theta + e) - heat_in(theta - e)) / 2e-5
        assert float(gradient[k]) == pytest.approx(float(difference), rel=1e-5)
