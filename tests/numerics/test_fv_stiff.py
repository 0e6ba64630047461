"""Stiff diffusion: observed orders against the exponential of the very matrix,
conservation.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from physcon.boundary import Boundary, Dirichlet, Flux, Neumann, Outflow, Periodic
from physcon.fv import (
    Advection,
    Burgers,
    Constant,
    Heat,
    Mixed,
    PorousMedium,
    Scheme,
    Strang,
    godunov,
    implicit_euler,
    sdirk2,
    solve,
    solve_stiff,
    ssp_rk2,
    tendency,
)
from physcon.grid import Grid

N = 40
GRID = Grid.uniform(0.0, 1.0, N)
WALLS = Boundary(Neumann(0.0))
UPWIND = Scheme(Constant(), godunov)
WAVE = Mixed(Advection(1.0), Heat(0.05))


def bump():
    x = (np.arange(N) + 0.5) / N
    return jnp.asarray(np.exp(-((x - 0.4) ** 2) / 0.005))[None]


def exact(law, u, t):
    """exp(t J) u, J the matrix of the linear semi-discrete equation."""
    columns = jax.vmap(lambda v: tendency(v, law, GRID, WALLS, UPWIND)[0])(
        jnp.eye(N)[:, None]
    )
    return expm(t * np.asarray(columns).T) @ np.asarray(u[0])


def order(run, law, dt, t=0.2):
    """Observed order in time, and the finer result."""
    u = bump()
    coarse, fine = (run(u, h) for h in (dt, dt / 2))
    errors = [np.abs(np.asarray(v[0]) - exact(law, u, t)).max() for v in (coarse, fine)]
    return np.log2(errors[0] / errors[1]), fine


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("number", "least"), [(3, 2.8), (5, 4.7)])
def test_implicit_methods_have_their_order(number, least):
    law = Heat(0.1)

    def run(u, dt):
        return solve_stiff(u, law, GRID, WALLS, times=[0.2], dt=dt, order=number).u[-1]

    observed, u = order(run, law, 0.02)
    assert observed > least
    assert float(u.sum()) == pytest.approx(float(bump().sum()), rel=1e-13)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("number", "least"), [(3, 2.8), (4, 3.8)])
def test_additive_methods_have_their_order(number, least):
    def run(u, dt):
        return solve_stiff(
            u, WAVE, GRID, WALLS, UPWIND, times=[0.2], dt=dt, order=number
        ).u[-1]

    assert order(run, WAVE, 0.02)[0] > least


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("law", "step"), [(Heat(0.1), sdirk2), (WAVE, Strang())])
def test_the_two_stage_method_and_splitting_are_of_second_order(law, step):
    scheme = Scheme(Constant(), godunov, step)

    def run(u, dt):
        return solve(u, law, GRID, WALLS, scheme, times=[0.2], dt=dt).u[-1]

    assert order(run, law, 0.01)[0] == pytest.approx(2, abs=0.1)


@pytest.mark.usefixtures("x64")
def test_prescribed_fluxes_are_the_whole_flux_in_every_splitting():
    law = Mixed(Burgers(), Heat(0.01))
    sides = Boundary((Flux(0.3), Flux(0.1)))
    u = jnp.asarray(np.full((1, N), 0.5))
    split = solve(u, law, GRID, sides, Scheme(step=Strang()), times=[0.2]).u[-1]
    additive = solve_stiff(u, law, GRID, sides, times=[0.2], order=3)
    for mass in (split.sum(), additive.u[-1].sum()):
        assert float(mass) / N == pytest.approx(0.54, rel=1e-7)  # fluxes are float32
    # Both solve the same equation: second order in time and error control, far below
    # this.
    assert float(jnp.abs(split - additive.u[-1]).max()) < 0.01


def test_a_steep_front_takes_a_fraction_of_the_explicit_steps():
    # A front of u^2 grad u enters an empty domain: explicit steps are bound by h², 1046
    # of them.
    sides = Boundary((Dirichlet(1.0), Dirichlet(0.0)))
    cold, law = jnp.zeros((1, N)), PorousMedium(2.0)
    stiff = solve_stiff(cold, law, GRID, sides, times=[0.05, 0.1])
    explicit = solve(cold, law, GRID, sides, Scheme(step=ssp_rk2), times=[0.05, 0.1])
    assert int(stiff.steps) < 60 < int(explicit.steps) / 10
    np.testing.assert_allclose(np.asarray(stiff.u), np.asarray(explicit.u), atol=2e-3)


def test_splitting_is_limited_by_the_waves_alone():
    law = Mixed(
        Advection(1.0), Heat(1.0)
    )  # explicit: 2 h²/... = 3200 steps per unit of time
    out = solve(bump(), law, GRID, WALLS, Scheme(step=Strang()), times=[0.1], cfl=0.5)
    assert int(out.steps) == pytest.approx(0.1 * N / 0.5, abs=1)
    assert float(out.u[-1].min()) > 0


@pytest.mark.parametrize(
    ("law", "grid", "boundary", "message"),
    [
        (Burgers(), GRID, WALLS, "Diffusion or Mixed"),
        (Heat(), GRID, Boundary(Periodic()), "no periodic axis"),
        (
            Heat(),
            Grid.uniform((0.0, 0.0), (1.0, 1.0), (N, 4)),
            Boundary(Outflow(), Outflow()),
            "one dimension",
        ),
    ],
)
def test_what_has_no_tridiagonal_jacobian_is_refused(law, grid, boundary, message):
    with pytest.raises(ValueError, match=message):
        solve_stiff(jnp.ones((1, *grid.shape)), law, grid, boundary, times=[1.0])


def test_steps_for_another_law_are_refused():
    for law, step, message in (
        (Burgers(), implicit_euler, "a Diffusion"),
        (Heat(), Strang(), "a Mixed law"),
    ):
        with pytest.raises(ValueError, match=message):
            solve(bump(), law, GRID, WALLS, Scheme(step=step), times=[1.0], dt=0.1)
