"""What every scheme keeps: totals to rounding, constants, consistency, ranges."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physcon.boundary import Boundary, Dirichlet, Flux, Outflow, Periodic, Reflective
from physcon.fv import (
    MUSCL,
    WENO,
    Advection,
    BuckleyLeverett,
    Burgers,
    Constant,
    Euler,
    Heat,
    Mixed,
    PassiveScalars,
    PorousMedium,
    Positive,
    Scheme,
    ShallowWater,
    Traffic,
    face_flux,
    godunov,
    hll,
    hllc,
    limiter,
    muscl_hancock,
    roe,
    rusanov,
    solve,
    tendency,
)
from physcon.grid import Grid

seeds = st.integers(0, 2**31 - 1)
face_flux, tendency = eqx.filter_jit(face_flux), eqx.filter_jit(tendency)

LAWS = {
    "advection": (Advection((1.0, -0.5)), (godunov, rusanov)),
    "burgers": (Burgers(), (godunov, rusanov, hll, roe)),
    "traffic": (Traffic(), (godunov, rusanov)),
    "buckley-leverett": (BuckleyLeverett(), (godunov, rusanov)),
    "euler": (Euler(), (rusanov, hll, hllc, roe)),
    "shallow-water": (ShallowWater(), (rusanov, hll, hllc, roe)),
    "euler-scalar": (PassiveScalars(Euler()), (hllc,)),
}


def channels(law, dimensions):
    base = law.law if isinstance(law, PassiveScalars) else law
    own = {Euler: dimensions + 2, ShallowWater: dimensions + 1}.get(type(base), 1)
    return own + (law.count if isinstance(law, PassiveScalars) else 0)


def random_state(law, shape, seed, dtype=np.float32):
    """Primitive variables in (0.2, 1.2): admissible for every law."""
    w = np.random.default_rng(seed).uniform(
        0.2, 1.2, (channels(law, len(shape)), *shape)
    )
    return law.conservative(jnp.asarray(w.astype(dtype)))


@pytest.mark.parametrize("name", list(LAWS))
def test_riemann_solvers_are_consistent_and_see_the_upwind_side(name):
    law, solvers = LAWS[name]
    u = random_state(law, (4, 5), 1)
    for riemann in solvers:
        for axis in (0, 1):
            np.testing.assert_allclose(
                np.asarray(law.numerical_flux(riemann, u, u, axis)),
                np.asarray(law.flux(u, axis)),
                rtol=2e-5,
                atol=2e-6,
            )


def test_everything_leaves_to_the_right_in_supersonic_flow():
    law = Euler()
    w = np.random.default_rng(3).uniform(0.5, 1.0, (3, 2, 10))
    w[1] += 5
    left, right = (
        law.conservative(jnp.asarray(w[:, k], jnp.float32)) for k in range(2)
    )
    for riemann in (hll, hllc, roe):
        np.testing.assert_allclose(
            np.asarray(riemann(left, right, law)), np.asarray(law.flux(left)), rtol=2e-5
        )


@pytest.mark.parametrize("law", [Euler(), ShallowWater(), Burgers()])
def test_roe_waves_add_up_to_the_jump_and_to_the_flux_difference(law):
    with jax.enable_x64(True):
        left, right = (random_state(law, (3, 4), seed, np.float64) for seed in (1, 2))
        for axis in (0, 1):
            waves = law.waves(left, right, axis)
            np.testing.assert_allclose(
                sum(jump for _, jump in waves), right - left, atol=1e-7
            )
            np.testing.assert_allclose(
                sum(speed[None] * jump for speed, jump in waves),
                law.flux(right, axis) - law.flux(left, axis),
                atol=1e-6,  # gravity and γ are stored in float32
            )


@pytest.mark.parametrize("law", [Euler(), ShallowWater(), PassiveScalars(Euler(), 2)])
def test_characteristic_projection_is_a_bijection_and_diagonalises(law):
    u = random_state(law, (3, 4), 5)
    w = law.primitive(u)
    dw = random_state(law, (3, 4), 6)
    for axis in (0, 1):
        strengths = law.strengths(dw, w, axis)
        np.testing.assert_allclose(
            law.increment(strengths, w, axis), dw, rtol=2e-5, atol=2e-6
        )
    base = law.law if isinstance(law, PassiveScalars) else law
    if base is not law:
        return
    # One wave alone is an eigenvector of the flux Jacobian, with the eigenvalue of its
    # place.
    alone = jnp.zeros_like(dw).at[-1].set(1.0)
    du = jax.jvp(law.conservative, (w,), (law.increment(alone, w, 0),))[1]
    image = jax.jvp(lambda v: law.flux(v, 0), (u,), (du,))[1]
    np.testing.assert_allclose(
        image, law.speeds(u, 0)[1][None] * du, rtol=1e-3, atol=1e-3
    )


@settings(max_examples=8)
@given(seed=seeds)
@pytest.mark.parametrize("name", ["burgers", "euler", "shallow-water", "euler-scalar"])
def test_the_total_changes_by_the_boundary_fluxes_only(name, seed):
    law, solvers = LAWS[name]
    rng = np.random.default_rng(0)
    faces = [np.concatenate([[0], np.cumsum(rng.uniform(0.5, 2, n))]) for n in (7, 6)]
    grid = Grid.cells(*faces)
    boundary = Boundary((Outflow(), Reflective()), (Flux(0.3), Outflow()))
    u = random_state(law, grid.shape, seed)
    scheme = Scheme(MUSCL(), solvers[-1])
    change = grid.integrate(tendency(u, law, grid, boundary, scheme))
    through = 0
    for axis in (0, 1):
        flux = np.asarray(face_flux(u, law, grid, boundary, scheme, axis), float)
        across = np.asarray(grid.widths(1 - axis), float)
        ends = np.take(flux, 0, 1 + axis) - np.take(flux, -1, 1 + axis)
        through = through + ends @ across
    np.testing.assert_allclose(np.asarray(change), through, rtol=2e-5, atol=5e-4)
    given_flux = face_flux(u, law, grid, boundary, scheme, 1)[:, :, 0]
    np.testing.assert_array_equal(np.asarray(given_flux), np.float32(0.3))


RUNS = {
    "muscl": Scheme(Positive(MUSCL()), hllc),
    "weno": Scheme(Positive(WENO(variables="primitive")), hllc),
    "hancock": Scheme(MUSCL(), hllc, muscl_hancock),
}


@settings(max_examples=4)
@given(seed=seeds)
@pytest.mark.parametrize("name", list(RUNS))
@pytest.mark.parametrize(("dtype", "eps"), [(np.float32, 6e-8), (np.float64, 2e-16)])
def test_totals_and_positivity_over_many_steps(name, dtype, eps, seed):
    law = Euler()
    with jax.enable_x64(dtype == np.float64):
        grid = Grid.uniform(0.0, 1.0, 32)
        u = random_state(law, grid.shape, seed, dtype)
        out = solve(
            u, law, grid, Boundary(Periodic()), RUNS[name], times=[0.2], cfl=0.3
        )
        drift = np.abs(np.asarray(out.u[-1] - u, float).sum(-1))
        assert np.all(
            drift <= 8 * eps * int(out.steps) * np.abs(np.asarray(u, float)).sum(-1)
        )
        assert all(float(q.min()) > 0 for q in law.positive(out.u[-1]))


@pytest.mark.parametrize("name", list(LAWS))
def test_a_constant_state_stays(name):
    law, solvers = LAWS[name]
    u = jnp.broadcast_to(random_state(law, (1, 1), 9), (channels(law, 2), 8, 8))
    grid = Grid.uniform((0.0, 0.0), (1.0, 1.0), (8, 8))
    boundary = Boundary(Periodic(), Outflow())
    for reconstruct in (MUSCL(variables="characteristic"), WENO(7)):
        du = tendency(u, law, grid, boundary, Scheme(reconstruct, solvers[0]))
        np.testing.assert_allclose(
            np.asarray(du), 0, atol=2e-4
        )  # 8 cells times eps times flux


@settings(max_examples=10)
@given(seed=seeds)
def test_scalar_solutions_keep_their_range(seed):
    rng = np.random.default_rng(seed)
    u = jnp.asarray(rng.choice([0.0, 0.3, 1.0], (1, 40)), jnp.float32)
    grid = Grid.uniform(0.0, 1.0, 40)
    boundary = Boundary((Dirichlet(rng.uniform(0, 1)), Outflow()))
    for law in (BuckleyLeverett(), Mixed(Burgers(), PorousMedium(2.0))):
        scheme = Scheme(MUSCL(limiter.superbee), godunov)
        out = solve(u, law, grid, boundary, scheme, times=[0.1], cfl=0.45).u
        assert float(out.min()) >= -1e-6
        assert float(out.max()) <= 1 + 1e-6


@given(a=st.floats(-10, 10, width=32), b=st.floats(-10, 10, width=32))
def test_limiters_are_tvd_and_homogeneous(a, b):
    x, y = jnp.float32(a), jnp.float32(b)
    for phi in (
        limiter.minmod,
        limiter.van_leer,
        limiter.mc,
        limiter.superbee,
        limiter.koren,
    ):
        slope = float(phi(x, y))
        assert abs(slope) <= 2.0001 * min(abs(a), abs(b))
        assert slope * a >= 0
        assert float(phi(x, x)) == pytest.approx(a, rel=1e-5, abs=1e-12)
        assert float(phi(-4 * x, -4 * y)) == pytest.approx(
            -4 * slope, rel=1e-5, abs=1e-6
        )
    for phi in limiter.SYMMETRIC:
        assert float(phi(x, y)) == pytest.approx(float(phi(y, x)), rel=1e-5)


@given(seed=seeds)
def test_heat_and_advection_are_linear(seed):
    u, v = (random_state(Burgers(), (16,), seed + k) for k in (0, 1))
    grid = Grid.uniform(0.0, 1.0, 16)
    boundary = Boundary(Periodic())
    law = Mixed(Advection(1.0), Heat(0.1))
    scheme = Scheme(Constant(), godunov)
    both = tendency(u + 2 * v, law, grid, boundary, scheme)
    apart = tendency(u, law, grid, boundary, scheme) + 2 * tendency(
        v, law, grid, boundary, scheme
    )
    np.testing.assert_allclose(np.asarray(both), np.asarray(apart), atol=2e-3)
