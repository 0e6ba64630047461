"""Scalar laws: observed order, exact Riemann solutions, maximum principle, total
variation.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.boundary import Boundary, Dirichlet, Outflow, Periodic
from physcon.fv import (
    MUSCL,
    WENO,
    Advection,
    BuckleyLeverett,
    Burgers,
    Constant,
    Law,
    Scheme,
    Traffic,
    face_flux,
    forward_euler,
    godunov,
    limiter,
    muscl_hancock,
    rusanov,
    solve,
    ssp_rk2,
    ssp_rk43,
)
from physcon.grid import Grid

ALL_LIMITERS = (
    limiter.minmod,
    limiter.van_leer,
    limiter.mc,
    limiter.superbee,
    limiter.koren,
)


def wave_averages(faces):
    """Exact cell averages of sin(2 π x) (smooth, so that limiters meet extrema)."""
    primitive = -np.cos(2 * np.pi * np.asarray(faces, float)) / (2 * np.pi)
    return jnp.asarray(np.diff(primitive) / np.diff(np.asarray(faces, float)))[None]


def advection_error(n, scheme, cfl, faces=None):
    grid = Grid.uniform(0.0, 1.0, n) if faces is None else Grid.cells(faces)
    u = wave_averages(np.linspace(0, 1, n + 1) if faces is None else faces)
    out = solve(
        u, Advection(1.0), grid, Boundary(Periodic()), scheme, times=[1.0], cfl=cfl
    ).u[-1]
    return float(jnp.sum(jnp.abs(out - u) * grid.widths()[None]))


def order(error, n):
    return np.log2(error(n) / error(2 * n))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("reconstruct", "step", "coarse", "power", "least"),
    [
        (Constant(), forward_euler, 80, 1, 0.85),
        (WENO(3), ssp_rk43, 40, 1, 2.0),
        (WENO(5), ssp_rk43, 20, 5 / 3, 4.9),
        (WENO(5, "js"), ssp_rk43, 20, 5 / 3, 4.9),
        (WENO(7), ssp_rk43, 20, 7 / 3, 6.8),
    ],
)
def test_order_of_smooth_advection(reconstruct, step, coarse, power, least):
    # dt ~ h^power, so that the third-order step in time does not hide the order in
    # space.
    scheme = Scheme(reconstruct, godunov, step)

    def error(n):
        return advection_error(n, scheme, cfl=0.4 * (coarse / n) ** (power - 1))

    assert order(error, coarse) > least


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("step", "cfl"), [(ssp_rk2, 0.4), (muscl_hancock, 0.8)])
def test_muscl_is_second_order_in_l1(step, cfl):
    scheme = Scheme(MUSCL(limiter.van_leer), godunov, step)
    assert order(lambda n: advection_error(n, scheme, cfl), 160) > 1.9


@pytest.mark.usefixtures("x64")
def test_muscl_is_second_order_on_a_stretched_grid():
    def error(n):
        s = np.linspace(0, 1, n + 1)
        faces = s + 0.08 * np.sin(2 * np.pi * s)  # widths vary by a factor of three
        return advection_error(
            n, Scheme(MUSCL(limiter.van_leer), godunov, ssp_rk2), 0.4, faces
        )

    assert order(error, 160) > 1.85


@pytest.mark.parametrize("which", ALL_LIMITERS)
@pytest.mark.parametrize("stretched", [False, True])
def test_total_variation_never_grows_and_extrema_stay(which, stretched, rng):
    widths = rng.uniform(0.2, 1.0, 60) if stretched else np.ones(60)
    faces = np.concatenate([[0.0], np.cumsum(widths)])
    grid = Grid.cells(faces) if stretched else Grid.uniform(0.0, 60.0, 60)
    u = jnp.asarray(rng.choice([0.0, 1.0, 3.0], 60), jnp.float32)[None]
    times = np.linspace(1, 12, 8)
    scheme = Scheme(MUSCL(which), godunov, ssp_rk2)
    saved = solve(
        u, Advection(1.0), grid, Boundary(Periodic()), scheme, times=times, cfl=0.45
    ).u
    path = np.concatenate([np.asarray(u)[None], np.asarray(saved)])
    variation = np.abs(np.diff(path, axis=-1, append=path[..., :1])).sum((1, 2))
    assert np.all(np.diff(variation) <= 1e-4)
    assert variation[-1] > 0  # the profile is still there
    assert path.min() >= -1e-5
    assert path.max() <= 3 + 1e-5


@pytest.mark.parametrize(
    ("left", "right", "exact"),
    [
        (2.0, 1.0, lambda x: np.where(x < 1.5, 2.0, 1.0)),  # shock of speed 3/2
        (-1.0, 2.0, lambda x: np.clip(x, -1, 2)),  # transonic fan
    ],
)
@pytest.mark.parametrize("riemann", [godunov, rusanov])
def test_burgers_riemann_problems(left, right, exact, riemann):
    errors = []
    for n in (100, 200):
        grid = Grid.uniform(-3.0, 3.0, n)
        x = grid.coordinates[0]
        u = jnp.where(x < 0, left, right)[None]
        out = solve(
            u,
            Burgers(),
            grid,
            Boundary(Outflow()),
            Scheme(MUSCL(), riemann),
            times=[1.0],
        )
        errors.append(np.abs(np.asarray(out.u[-1, 0]) - exact(np.asarray(x))).mean())
    assert errors[1] < 0.015
    assert errors[1] < 0.62 * errors[0]


def buckley_leverett_exact(x_over_t, m):
    """Fan from u = 1 with a shock attached, by Welge's tangent: F'(u*) = F(u*)/u*."""
    u = np.linspace(0, 1, 200_001)[1:]
    denominator = u**2 + m * (1 - u) ** 2
    flux, slope = u**2 / denominator, 2 * m * u * (1 - u) / denominator**2
    fan = u >= u[np.argmax(flux / u)]  # the tangent point maximises F/u
    speed = slope[fan]
    inside = np.interp(x_over_t, speed[::-1], u[fan][::-1])
    return np.where(x_over_t > speed[0], 0.0, inside)


@pytest.mark.parametrize("mobility", [0.5, 2.0])
@pytest.mark.parametrize("riemann", [godunov, rusanov])
def test_buckley_leverett_fan_and_shock(mobility, riemann):
    for n in (100, 200):
        grid = Grid.uniform(0.0, 1.0, n)
        out = solve(
            jnp.zeros((1, n)),
            BuckleyLeverett(mobility),
            grid,
            Boundary((Dirichlet(1.0), Outflow())),
            Scheme(MUSCL(), riemann),
            times=[0.5],
        )
        x = (np.arange(40 * n) + 0.5) / (
            40 * n
        )  # averages, also of the cell with the shock
        exact = buckley_leverett_exact(x / 0.5, mobility).reshape(n, 40).mean(1)
        # First order at the shock: a third of a cell times its jump (0.8, 0.6), and a
        # number that depends on where in its cell it stands, so that the ratio of two
        # errors says little.
        assert np.abs(np.asarray(out.u[-1, 0]) - exact).mean() < 0.35 / n
        assert float(out.u.max()) <= 1 + 1e-5
        assert float(out.u.min()) >= -1e-6


def test_queue_at_a_traffic_light():
    # Cars at density 0.4 stop at a red light: the queue's tail moves back at speed
    # -0.4.
    grid = Grid.uniform(-1.0, 0.0, 200)
    sides = Boundary((Dirichlet(0.4), Dirichlet(1.0)))
    out = solve(
        jnp.full((1, 200), 0.4),
        Traffic(),
        grid,
        sides,
        Scheme(MUSCL(), godunov),
        times=[1.0],
    )
    x = np.asarray(grid.coordinates[0])
    assert (
        np.abs(np.asarray(out.u[-1, 0]) - np.where(x > -0.4, 1.0, 0.4)).mean() < 0.005
    )


class Wavy(Law):
    """A flux with many extrema, to try the exact solver on."""

    def flux(self, u, axis=0):
        return jnp.sin(3 * u) + 0.3 * u

    def critical_points(self, axis=0):
        first = np.arccos(-0.1) / 3
        roots = [s * first + 2 * np.pi * k / 3 for k in range(-3, 4) for s in (-1, 1)]
        return tuple(jnp.float32(r) for r in roots)


def test_godunov_is_the_extremum_over_the_interval(rng):
    left, right = rng.uniform(-3, 3, (2, 40)).astype(np.float32)
    flux = godunov(jnp.asarray(left)[None], jnp.asarray(right)[None], Wavy())[0]
    for l, r, f in zip(left, right, np.asarray(flux), strict=True):
        between = Wavy().flux(np.linspace(l, r, 20_001))
        exact = float(between.min() if l <= r else between.max())
        assert f == pytest.approx(exact, abs=2e-6)


def test_rotating_velocity_keeps_a_constant_and_carries_a_bump():
    # Face velocities are differences of a stream function at the corners:
    # divergence-free exactly.
    n = 48
    corners = np.linspace(-1, 1, n + 1)
    psi = 0.5 * (corners[:, None] ** 2 + corners[None] ** 2)
    velocity = (-np.diff(psi, axis=1) * n / 2, np.diff(psi, axis=0) * n / 2)
    law = Advection(tuple(jnp.asarray(v, jnp.float32) for v in velocity))
    grid = Grid.uniform((-1.0, -1.0), (1.0, 1.0), (n, n))
    boundary = Boundary(Outflow(), Outflow())
    scheme = Scheme(MUSCL(), godunov)
    ones = solve(
        jnp.ones((1, n, n)), law, grid, boundary, scheme, times=[0.3], cfl=0.45
    )
    np.testing.assert_allclose(np.asarray(ones.u), 1, atol=2e-5)

    x, y = grid.mesh()
    bump = jnp.exp(-((x - 0.4) ** 2 + y**2) / 0.03)[None]
    quarter = solve(bump, law, grid, boundary, scheme, times=[np.pi / 2], cfl=0.45).u[
        -1
    ]
    turned = jnp.exp(-(x**2 + (y - 0.4) ** 2) / 0.03)[None]
    assert float(jnp.abs(quarter - turned).mean()) < 0.1 * float(jnp.abs(turned).mean())


def test_time_dependent_inflow_arrives_later():
    grid = Grid.uniform(0.0, 1.0, 100)
    inflow = Boundary((Dirichlet(lambda t: jnp.sin(4 * t)[None]), Outflow()))
    out = solve(
        jnp.zeros((1, 100)),
        Advection(1.0),
        grid,
        inflow,
        Scheme(MUSCL(), godunov),
        times=[1.5],
    )
    exact = np.sin(4 * (1.5 - np.asarray(grid.coordinates[0])))
    assert np.abs(np.asarray(out.u[-1, 0]) - exact).max() < 0.02


def test_neural_flux_conserves_whatever_it_says(getkey):
    import equinox as eqx

    class Learned(eqx.Module):
        network: eqx.nn.MLP

        def __call__(self, u_left, u_right, law, axis=0):
            states = jnp.concatenate([u_left, u_right]).reshape(2, -1)
            return jax.vmap(self.network, 1, 1)(states).reshape(u_left.shape)

    scheme = Scheme(MUSCL(), Learned(eqx.nn.MLP(2, 1, 8, 1, key=getkey())))
    grid = Grid.uniform(0.0, 1.0, 32)
    u = wave_averages(np.linspace(0, 1, 33)) + 1
    out = solve(u, Burgers(), grid, Boundary(Periodic()), scheme, times=[0.05], cfl=0.2)
    assert float(jnp.abs(out.u[-1] - u).max()) > 1e-3
    assert float(jnp.sum(out.u[-1])) == pytest.approx(float(jnp.sum(u)), rel=1e-6)
    flux = face_flux(u, Burgers(), grid, Boundary(Periodic()), scheme)
    assert flux.shape == (1, 33)
