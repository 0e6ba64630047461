"""Results do not depend on the units of state, length and time, nor on the origin."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import fv
from physcon.boundary import Boundary, Dirichlet, Neumann, Outflow
from physcon.fv import limiter
from physcon.grid import Grid

N = 24
UNITS = [1e-30, 1.0, 1e30]
tendency = eqx.filter_jit(fv.tendency)


def bump():
    x = (np.arange(N) + 0.5) / N
    return np.stack([0.7 + 0.3 * np.sin(7 * x) + (x > 0.6)])


def line(length=1.0, lower=0.0):
    return Grid.uniform(lower, lower + length, N)


SCHEMES = {
    "minmod": fv.MUSCL(limiter.minmod),
    "van leer": fv.MUSCL(limiter.van_leer),
    "mc": fv.MUSCL(),
    "superbee": fv.MUSCL(limiter.superbee),
    "koren": fv.MUSCL(limiter.koren),
    "weno": fv.WENO(5),
    "weno 7": fv.WENO(7),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_linear_laws_in_any_unit_of_the_state(name):
    law = fv.Mixed(fv.Advection(1.0), fv.Heat(0.1))
    scheme = fv.Scheme(SCHEMES[name], fv.rusanov)
    found = []
    for unit in UNITS:
        u = jnp.asarray(unit * bump(), jnp.float32)
        sides = Boundary((Dirichlet(unit), Neumann(-unit)))
        found.append(np.asarray(tendency(u, law, line(), sides, scheme)) / unit)
    size = np.abs(found[1]).max()
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=3e-6 * size)
    np.testing.assert_allclose(found[2], found[1], rtol=0, atol=3e-6 * size)


@pytest.mark.parametrize("riemann", [fv.hll, fv.hllc, fv.roe])
def test_systems_in_any_unit_of_mass(riemann):
    """Density, momentum and energy of a gas; depth of water, with gravity per depth."""
    w = bump()[0]
    gas = fv.Euler()
    scheme = fv.Scheme(fv.Positive(fv.WENO(variables="primitive")), riemann)
    sides = Boundary(Outflow())
    found = []
    for unit in UNITS:
        u = gas.conservative(jnp.asarray(np.stack([w, 0.3 * w, w]), jnp.float32))
        change = tendency(u * np.float32(unit), gas, line(), sides, scheme)
        water = fv.ShallowWater(1 / unit, dry=1e-6 * unit)
        u = jnp.asarray(unit * np.stack([w, 0.3 * w]), jnp.float32)
        depth = tendency(u, water, line(), sides, scheme)
        found.append(np.concatenate([change, depth]) / unit)
    size = np.abs(found[1]).max()
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-5 * size)
    np.testing.assert_allclose(found[2], found[1], rtol=0, atol=1e-5 * size)


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_a_bed_in_any_unit_of_depth(unit):
    w = bump()[0]
    rows = np.stack([w, 0.3 * w, 0.5 - 0.2 * w])
    scheme = fv.Scheme(fv.MUSCL(), fv.hllc)

    def change(unit):
        water = fv.ShallowWater(1 / unit, bed=True, dry=1e-6 * unit)
        u = jnp.asarray(unit * rows, jnp.float32)
        return tendency(u, water, line(), Boundary(Outflow()), scheme) / unit

    expected = change(1.0)
    atol = 1e-5 * float(np.abs(expected).max())
    np.testing.assert_allclose(change(unit), expected, rtol=0, atol=atol)


@eqx.filter_jit
def warmed(u, law, grid, sides, scheme, times, dt):
    return fv.solve(u, law, grid, sides, scheme, times=times, dt=dt, throw=False)


@pytest.mark.parametrize("unit", UNITS)
def test_a_solve_in_any_unit_of_length_and_time(unit):
    """Diffusion implicitly, a front explicitly; k in lengths squared per time."""
    u = jnp.asarray(bump(), jnp.float32)
    sides = Boundary((Dirichlet(1.0), Dirichlet(0.0)))
    grid, times = line(unit), jnp.asarray([0.01 * unit, 0.02 * unit])
    heat, implicit = fv.Heat(unit), fv.Scheme(step=fv.sdirk2)
    out = warmed(u, heat, grid, sides, implicit, times, jnp.asarray(0.005 * unit))
    plain = warmed(
        u, fv.Heat(1.0), line(), sides, implicit, jnp.asarray([0.01, 0.02]), 0.005
    )
    assert int(out.status) == 0
    np.testing.assert_allclose(out.u, plain.u, atol=1e-5)
    front = fv.Stefan(0.5, unit, face="shock")
    got = tendency(u - 0.3, front, grid, sides) * unit
    expected = tendency(u - 0.3, fv.Stefan(0.5, 1.0, face="shock"), line(), sides)
    size = float(jnp.abs(expected).max())
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * size)


@pytest.mark.parametrize("unit", UNITS)
def test_an_implicit_step_converges_in_any_unit_of_the_state(unit):
    """Newton's tolerance is relative: a porous medium with k = u / unit."""
    u = jnp.asarray(unit * np.maximum(bump() - 0.6, 0), jnp.float32)

    class Medium(fv.Diffusion):
        def coefficient(self, u):
            return jnp.maximum(u, 0) / unit

        def potential(self, u):
            return 0.5 * jnp.maximum(u, 0) * (jnp.maximum(u, 0) / unit)

    problem = fv.Problem(Medium(), line(), Boundary(Neumann(0.0)))
    dt = jnp.asarray(0.01)
    after = fv.implicit_euler(problem, u, jnp.zeros(()), dt)
    np.testing.assert_allclose(after.sum(), u.sum(), rtol=1e-5)
    residual = (after - u) / dt - problem(after, dt)
    assert float(jnp.abs(residual).max()) < 1e-3 * unit


def test_all_laws_in_tiny_and_huge_units_in_double_precision():
    """u in units of s, lengths in units of s: both sides of u_t + F_x = 0 scale."""
    with jax.enable_x64(True):
        results = []
        for unit in UNITS:
            u = jnp.asarray(unit * bump())
            sides = Boundary((Dirichlet(jnp.asarray(unit)), Outflow()))
            scheme = fv.Scheme(fv.MUSCL(), fv.godunov)
            run = {"times": [0.05], "cfl": 0.4}
            out = fv.solve(u, fv.Burgers(), line(unit), sides, scheme, **run)
            results.append(np.asarray(out.u) / unit)
        np.testing.assert_allclose(results[0], results[1], rtol=1e-12)
        np.testing.assert_allclose(results[2], results[1], rtol=1e-12)


@pytest.mark.parametrize("origin", [0.0, 1e7 / N, -4e5])
def test_tendencies_and_sensors_do_not_depend_on_the_origin(origin):
    """A domain that begins 1e7 cells from zero, where float32 cells coincide."""
    u = jnp.asarray(bump(), jnp.float32)
    law = fv.Mixed(fv.Burgers(), fv.PorousMedium(2.0))
    sides = Boundary((Neumann(0.3), Outflow()))
    near = tendency(u, law, line(), sides, fv.Scheme())
    far = tendency(u, law, line(lower=origin), sides, fv.Scheme())
    np.testing.assert_allclose(far, near, rtol=2e-6, atol=1e-4)
    reading = fv.Arrival(line(lower=origin), origin + 0.537, 0.0)(u, 0.0)
    expected = fv.Arrival(line(), 0.537, 0.0)(u, 0.0)
    np.testing.assert_allclose(reading, expected, rtol=1e-5)
