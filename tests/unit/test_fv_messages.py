"""Ghost cells, messages, and what a failed solve reports."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import fv
from physcon.boundary import (
    Boundary,
    Dirichlet,
    Neumann,
    Outflow,
    Periodic,
    Reflective,
    Robin,
)
from physcon.fv import (
    MUSCL,
    STATUS,
    WENO,
    Advection,
    Burgers,
    Euler,
    Heat,
    Law,
    Scheme,
    Stefan,
    forward_euler,
    godunov,
    hllc,
    implicit_euler,
    muscl_hancock,
    solve,
    tendency,
)
from physcon.fv.ghost import pad
from physcon.fv.weno import _tables
from physcon.grid import Grid

GRID = Grid.uniform(0.0, 1.0, 8)
ONES = jnp.ones((1, 8))


def test_ghost_cells_of_every_kind():
    grid = Grid.cells(np.array([0.0, 1.0, 3.0, 4.0, 7.0]))
    x = grid.coordinates[0]
    u = (2 + 3 * x)[None]
    law = Burgers()

    def padded(lower, upper):
        return np.asarray(pad(u, grid.spacings[0], (lower, upper), 2, law, 0))[0]

    mirrored = np.array([-2.0, -0.5, *np.asarray(x), 8.5, 10.5])
    np.testing.assert_allclose(
        padded(Neumann(3.0), Neumann(3.0)), 2 + 3 * mirrored, rtol=1e-6
    )
    # u = 2 and u' = 3 at x = 0: a u + b u' = 2 - 3; at x = 7: 23 + 3.
    robin = padded(Robin(1.0, -1.0, -1.0), Robin(1.0, 1.0, 26.0))
    np.testing.assert_allclose(robin, 2 + 3 * mirrored, rtol=1e-6)
    v = np.asarray(u[0])
    np.testing.assert_array_equal(
        padded(Outflow(), Dirichlet(9.0)), [v[0], v[0], *v, 9, 9]
    )
    np.testing.assert_array_equal(padded(Periodic(), Periodic()), [*v[2:], *v, *v[:2]])
    walls = padded(Reflective(), Reflective())
    np.testing.assert_array_equal(walls, [-v[1], -v[0], *v, -v[3], -v[2]])


def test_a_boundary_value_may_vary_along_its_side():
    grid = Grid.uniform((0.0, 0.0), (1.0, 1.0), (4, 3))
    side = jnp.arange(3.0)[None]
    boundary = Boundary((Dirichlet(side), Outflow()), Periodic())
    du = tendency(jnp.zeros((1, 4, 3)), Advection((1.0, 0.0)), grid, boundary)
    np.testing.assert_allclose(np.asarray(du[0, 0]), [0, 4, 8], rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(du[0, 1:]), 0)
    wrong = Boundary((Dirichlet(jnp.zeros((1, 4))), Outflow()), Periodic())
    with pytest.raises(ValueError, match=r"boundary value of shape \(1, 3\)"):
        tendency(jnp.zeros((1, 4, 3)), Advection((1.0, 0.0)), grid, wrong)


def test_weno_tables_are_the_published_ones():
    candidates, linear, factors = _tables(3)
    np.testing.assert_allclose(linear, [0.1, 0.6, 0.3], atol=1e-13)
    # (2 v0 - 7 v1 + 11 v2)/6 in differences; smoothness 13/12 (v0 - 2 v1 + v2)² + 1/4
    # (...)².
    np.testing.assert_allclose(candidates[0], [-1 / 3, 5 / 6], atol=1e-13)
    d = np.array([0.3, -0.7])
    own = sum((row @ d) ** 2 for row in factors[0])
    published = 13 / 12 * (d[1] - d[0]) ** 2 + 0.25 * (3 * d[1] - d[0]) ** 2
    assert own == pytest.approx(published)
    np.testing.assert_allclose(_tables(4)[1], np.array([1, 12, 18, 4]) / 35, atol=1e-12)
    np.testing.assert_allclose(_tables(2)[1], [1 / 3, 2 / 3], atol=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tendency(jnp.ones(8), Burgers(), GRID, Boundary(Periodic())),
            "channels first",
        ),
        (
            lambda: tendency(jnp.ones((1, 7)), Burgers(), GRID, Boundary(Periodic())),
            "a state",
        ),
        (
            lambda: tendency(
                jnp.ones((3, 8)),
                Burgers(),
                GRID,
                Boundary(Periodic()),
                Scheme(MUSCL(), godunov),
            ),
            "use hllc or roe for systems",
        ),
        (
            lambda: tendency(
                ONES, Burgers(), GRID, Boundary(Periodic()), Scheme(MUSCL(), hllc)
            ),
            "use hll, rusanov",
        ),
        (
            lambda: tendency(
                ONES, Burgers(), GRID, Boundary(Periodic()), Scheme(lambda *a: a)
            ),
            "attribute `ghosts`",
        ),
        (
            lambda: tendency(
                ONES[:, :2],
                Burgers(),
                Grid.uniform(0.0, 1.0, 2),
                Boundary(Periodic()),
                Scheme(WENO()),
            ),
            "at least 3 cells",
        ),
        (
            lambda: tendency(
                ONES,
                Burgers(),
                Grid.cells(np.arange(9.0) ** 2),
                Boundary(Outflow()),
                Scheme(WENO()),
            ),
            "use MUSCL",
        ),
        (
            lambda: solve(
                ONES, Burgers(), GRID, Boundary(Periodic(), Periodic()), times=[1.0]
            ),
            "conditions for 1 axes",
        ),
        (
            lambda: solve(
                ONES, Burgers(), GRID, Boundary(Periodic()), times=[1.0, 0.5]
            ),
            "increasing times",
        ),
        (
            lambda: solve(ONES, Burgers(), GRID, Boundary(Periodic()), times=1.0),
            "1-D array",
        ),
        (
            lambda: solve(
                ONES,
                Heat(),
                GRID,
                Boundary(Periodic()),
                Scheme(step=implicit_euler),
                times=[1.0],
                dt=0.1,
            ),
            "no periodic axis",
        ),
        (
            lambda: solve(
                ONES,
                Heat(),
                GRID,
                Boundary(Outflow()),
                Scheme(step=muscl_hancock),
                times=[1.0],
            ),
            "use ssp_rk2",
        ),
        (lambda: Scheme(MUSCL), "functions in a Scheme.*MUSCL\\(\\), hllc"),
        (lambda: Scheme(riemann="hllc"), "functions in a Scheme, got 'hllc'"),
        (
            lambda: tendency(
                jnp.ones((3, 8)),
                Euler(),
                GRID,
                Boundary(Periodic()),
                source=lambda u, t: u[0],
            ),
            r"source\(u, t\) of shape \(3, 8\)",
        ),
        (
            lambda: tendency(ONES, Stefan(face="shock"), GRID, Boundary(Periodic())),
            "integral mean",
        ),
    ],
)
def test_mistakes_are_explained(call, message):
    with pytest.raises(ValueError, match=message):
        call()


class Silent(Law):
    def flux(self, u, axis=0):
        return u


def test_godunov_asks_for_critical_points():
    with pytest.raises(ValueError, match="critical_points"):
        tendency(ONES, Silent(), GRID, Boundary(Periodic()), Scheme(MUSCL(), godunov))


def exploding(n=16):
    """An unstable step: diffusion ten times over its limit."""
    start = jnp.asarray(np.random.default_rng(0).normal(size=(1, n)), jnp.float32)
    grid = Grid.uniform(0.0, 1.0, n)
    scheme = Scheme(step=forward_euler)
    return start, Heat(1.0), grid, Boundary(Periodic()), scheme


def test_a_blow_up_is_reported_with_its_time():
    out = solve(*exploding(), times=[0.5, 1.0, 2.0], dt=0.02, throw=False)
    assert "infinite or NaN" in STATUS[int(out.status)]
    assert 0 < float(out.t) < 2.0
    saved = np.isfinite(np.asarray(out.u)).all((1, 2))
    assert not saved[-1]
    assert np.all(saved == (np.asarray(out.times) <= float(out.t) - 1e-6))
    with pytest.raises(eqx.EquinoxRuntimeError, match="smaller CFL"):
        solve(*exploding(), times=[0.5, 1.0, 2.0], dt=0.02)


def test_negative_pressure_too_few_steps_and_a_stalled_clock():
    x = GRID.coordinates[0]
    u = jnp.stack([jnp.ones(8), 3 * x, jnp.ones(8)])  # kinetic energy above the total
    out = solve(u, Euler(), GRID, Boundary(Outflow()), times=[1.0], throw=False)
    assert "positive quantity" in STATUS[int(out.status)]
    assert float(out.t) == 0

    wave = jnp.sin(2 * jnp.pi * x)[None]
    out = solve(
        wave,
        Burgers(),
        GRID,
        Boundary(Periodic()),
        times=[9.0],
        max_steps=3,
        throw=False,
    )
    assert "max_steps" in STATUS[int(out.status)]
    assert int(out.steps) == 3
    with pytest.raises(eqx.EquinoxRuntimeError, match="max_steps"):
        solve(wave, Burgers(), GRID, Boundary(Periodic()), times=[9.0], max_steps=3)

    out = solve(
        wave,
        Burgers(),
        GRID,
        Boundary(Periodic()),
        times=[2e4],
        start=1e4,
        dt=1e-5,
        throw=False,
    )
    assert "resolution of time" in STATUS[int(out.status)]


def test_saved_times_are_met_exactly_and_a_source_acts():
    times = [0.1, 0.25, 0.3]
    out = solve(
        jnp.zeros((1, 8)),
        Advection(0.5),
        GRID,
        Boundary(Periodic()),
        times=times,
        source=lambda u, t: jnp.ones_like(u) * 2 * t,
    )
    np.testing.assert_allclose(np.asarray(out.u[:, 0, 0]), np.square(times), rtol=1e-5)
    assert float(out.t) == np.float32(0.3)


def test_numpy_states_and_wide_closures_keep_the_dtype():
    """Integers and float64 from NumPy start in the default dtype; a float64 array
    inside of a source or a flux, as under JAX_ENABLE_X64, doesn't widen the state.
    """
    run = {
        "law": Advection(0.5),
        "grid": GRID,
        "boundary": Boundary(Periodic()),
        "times": [0.1],
    }
    for u in (np.ones((1, 8), int), np.ones((1, 8))):
        assert solve(u, **run).u.dtype == jnp.result_type(float)
    with jax.enable_x64(True):
        forcing = np.full((1, 8), 2.0)
        out = solve(np.ones((1, 8), np.float32), **run, source=lambda u, t: forcing)
    assert out.u.dtype == jnp.float32
    np.testing.assert_allclose(out.u, 1.2, rtol=1e-6)


@pytest.mark.parametrize("axes", [1, 2])
def test_a_law_says_how_many_channels_it_needs(axes):
    grid = pc.Grid.uniform((0.0,) * axes, (1.0,) * axes, (4,) * axes)
    sides = pc.Boundary(*[pc.Outflow()] * axes)
    laws = [
        (fv.Euler(), axes + 2),
        (fv.ShallowWater(), axes + 1),
        (fv.ShallowWater(bed=True), axes + 2),
        (fv.PassiveScalars(fv.Euler()), axes + 3),
        (fv.Mixed(fv.Euler(), fv.Heat(1.0)), axes + 2),
    ]
    for law, least in laws:
        state = jnp.ones((least - 1, *grid.shape))
        with pytest.raises(ValueError, match=rf"{least} or more channels.*got"):
            fv.tendency(state, law, grid, sides)
