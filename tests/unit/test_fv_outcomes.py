"""What a solve refuses at once, and what it reports instead of a wrong success."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import Outcome, fv
from physcon.boundary import (
    Boundary,
    Dirichlet,
    Neumann,
    Outflow,
    Periodic,
    Reflective,
    Robin,
)
from physcon.grid import Grid

GRID = Grid.uniform(0.0, 1.0, 8)
RAMP = jnp.arange(8.0)[None]
TORUS = Boundary(Periodic())
UPWIND = fv.Scheme(fv.Constant(), fv.rusanov, fv.forward_euler)
IMPLICIT = fv.Scheme(step=fv.implicit_euler)
TRANSPORT = (fv.Advection(1.0), GRID, TORUS, UPWIND)


def heat(boundary):
    return fv.solve(RAMP, fv.Heat(1.0), GRID, boundary, times=[0.1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fv.solve(RAMP, *TRANSPORT, times=[jnp.nan]), "finite times"),
        (lambda: fv.solve(RAMP, *TRANSPORT, times=[jnp.inf]), "finite times"),
        (
            lambda: fv.solve(RAMP, *TRANSPORT, times=[0.25], start=1.0),
            "after the start",
        ),
        (lambda: fv.solve(RAMP, *TRANSPORT, times=[1e-50]), "that differ in float32"),
        (lambda: fv.solve(RAMP, *TRANSPORT, times=[1.0], dt=0.0), "dt > 0"),
        (lambda: fv.solve(RAMP, *TRANSPORT, times=[1.0], dt=-1.0), "dt > 0"),
        (lambda: fv.solve(RAMP, *TRANSPORT, times=[1.0], cfl=0.0), "cfl > 0"),
        (lambda: fv.solve(RAMP, *TRANSPORT, times=[1.0], cfl=10.0), "cfl <= 1.0"),
        (
            lambda: heat(Boundary(Neumann(jnp.inf))),
            "finite values in Neumann on the lower",
        ),
        (
            lambda: heat(Boundary((Neumann(0.0), Robin(0.0, 0.0)))),
            "Robin on the upper side",
        ),
        (
            lambda: fv.solve(
                RAMP,
                fv.Advection(1.0),
                Grid.uniform(0.0, np.inf, 8),
                TORUS,
                times=[1.0],
            ),
            "finite, positive width",
        ),
        (
            lambda: fv.solve(RAMP, fv.Heat(jnp.ones(8)), GRID, TORUS, times=[1.0]),
            "fv.Layered",
        ),
        (
            lambda: fv.solve(RAMP, fv.Euler, GRID, TORUS, times=[1.0]),
            "a law: a subclass",
        ),
        (
            lambda: fv.solve(RAMP, *TRANSPORT, times=[1.0], event=lambda u, t: u[0]),
            "a scalar",
        ),
    ],
)
def test_impossible_settings_are_refused_before_anything_runs(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64", "int32"])
def test_states_of_other_precisions_are_refused_in_one_sentence(dtype):
    u = RAMP.astype(dtype)
    if dtype != "int32":  # integers start a run in the default dtype
        with pytest.raises(ValueError, match=f"float32 or float64, got {dtype}"):
            fv.solve(u, *TRANSPORT, times=[1.0])
    for call in (
        lambda: fv.tendency(u, *TRANSPORT),
        lambda: fv.rate(u, *TRANSPORT[:3]),
    ):
        with pytest.raises(ValueError, match=f"float32 or float64, got {dtype}"):
            call()


@jax.jit
def transport(times, start, cfl):
    run = {"times": times, "start": start, "cfl": cfl, "throw": False}
    return fv.solve(RAMP, *TRANSPORT, **run).outcome


@pytest.mark.parametrize(
    ("times", "start", "cfl", "expected"),
    [
        ([0.1, 0.2], 0.0, 0.5, Outcome.good),
        ([0.0, 0.2], 0.0, 0.5, Outcome.good),
        ([0.1, np.nan], 0.0, 0.5, Outcome.unordered_times),
        ([0.1, np.inf], 0.0, 0.5, Outcome.unordered_times),
        ([0.2, 0.1], 0.0, 0.5, Outcome.unordered_times),
        ([0.1, 2.0], 1.0, 0.5, Outcome.unordered_times),
        ([1.7e9 + 0.25, 1.7e9 + 1e3], 1.7e9, 0.5, Outcome.unordered_times),
        ([0.1, 0.2], 0.0, -1.0, Outcome.stalled),
        ([0.3, 0.6], 0.0, 4.0, Outcome.unstable),
    ],
)
def test_traced_settings_end_in_an_outcome(times, start, cfl, expected):
    found = transport(jnp.asarray(times), jnp.asarray(start), jnp.asarray(cfl))
    assert found == expected


def test_a_run_may_start_far_from_zero():
    """A quarter of a second at 1.7e9 s, which float32 resolves to 128 s."""
    far = fv.solve(RAMP, *TRANSPORT, times=[1.7e9 + 0.25], start=1.7e9)
    near = fv.solve(RAMP, *TRANSPORT, times=[0.25])
    np.testing.assert_array_equal(far.u, near.u)


def outcome(u, law, scheme=UPWIND, boundary=None, **run):
    sides = Boundary(Neumann(0.0)) if boundary is None else boundary
    solution = fv.solve(u, law, GRID, sides, scheme, times=[0.1], throw=False, **run)
    return solution.outcome


def test_ill_posed_diffusion_is_inadmissible():
    backwards = jax.jit(lambda k: outcome(RAMP, fv.Heat(k), IMPLICIT, dt=0.01))
    assert backwards(jnp.asarray(-1.0)) == Outcome.inadmissible
    assert backwards(jnp.asarray(1.0)) == Outcome.good
    layers = fv.Layered(jnp.ones(8).at[3].set(-1.0))
    assert outcome(RAMP, layers, IMPLICIT, dt=0.01) == Outcome.inadmissible
    medium = fv.PorousMedium(2.0)
    assert outcome(-RAMP, medium) == Outcome.inadmissible
    assert outcome(RAMP, medium) == Outcome.good


def test_a_traced_boundary_value_that_is_not_finite_is_reported():
    def ends(value):
        return outcome(RAMP, fv.Heat(1.0), IMPLICIT, Boundary(Neumann(value)), dt=0.01)

    assert jax.jit(ends)(jnp.asarray(jnp.inf)) == Outcome.not_finite


def test_an_event_that_is_not_a_number_is_reported():
    def never(u, t):
        return jnp.where(t > 0.05, jnp.nan, 1.0)

    for stop in (True, False):
        found = outcome(RAMP, fv.Advection(1.0), event=never, stop=stop)
        assert found == Outcome.not_finite


def test_a_step_beyond_the_stability_limit_is_never_a_success():
    """Ten times the limit, in few enough steps that all values stay finite."""
    found = outcome(RAMP, fv.Advection(1.0), boundary=TORUS, dt=0.05)
    assert found == Outcome.good
    found = outcome(RAMP, fv.Advection(20.0), boundary=TORUS, dt=0.05)
    assert found == Outcome.unstable


def test_inflow_limits_the_first_step():
    """A fluid at rest has no speed: what enters must decide the step."""
    sides = Boundary((Dirichlet(1.0), Outflow()))
    still = jnp.zeros((1, 8))
    scheme = fv.Scheme(fv.Constant(), fv.godunov, fv.forward_euler)
    out = fv.solve(still, fv.Burgers(), GRID, sides, scheme, times=[0.25])
    assert int(out.steps) >= 4
    np.testing.assert_allclose(out.u.sum() / 8, 0.125, rtol=1e-5)  # F = 1/2
    assert float(out.u.max()) <= 1.0


def test_momentum_in_a_dry_cell_does_not_become_a_velocity():
    """Water that reaches such a cell used to inherit it, and the run blew up."""
    grid = Grid.uniform(0.0, 1.0, 40)
    wet = grid.coordinates[0] < 0.5
    scheme = fv.Scheme(fv.Positive(fv.MUSCL()), fv.hllc)
    walls = Boundary(Reflective())

    def run(momentum):
        u = jnp.stack([jnp.where(wet, 1.0, 0.0), jnp.where(wet, 0.0, momentum)])
        return fv.solve(u, fv.ShallowWater(), grid, walls, scheme, times=[0.5])

    moving, still = run(1.0), run(0.0)
    np.testing.assert_array_equal(moving.u, still.u)
    np.testing.assert_allclose(moving.u[0, 0].mean(), 0.5, rtol=1e-5)


def test_a_failed_solve_has_no_gradient():
    def final(u, max_steps):
        run = {"times": [0.5], "loop": "checkpointed", "throw": False}
        return fv.solve(u, *TRANSPORT, max_steps=max_steps, **run)

    failed = final(RAMP, 4)
    assert failed.outcome == Outcome.max_steps
    assert int(failed.status) == 3
    for part in (lambda s: s.u, lambda s: s.t):
        slope = jax.grad(lambda u, part=part: jnp.sum(part(final(u, 4))))(RAMP)
        assert np.isnan(slope).all()
    slope = jax.grad(lambda u: jnp.sum(final(u, 16).u[0] * RAMP))(RAMP)
    assert np.isfinite(slope).all()


class TwoLayers(fv.Law):
    """A system with speeds and nothing else."""

    def flux(self, u, axis=0):
        return u[::-1]

    def speeds(self, u, axis=0):
        return -jnp.ones_like(u[0]), jnp.ones_like(u[0])


@pytest.mark.parametrize(
    ("boundary", "scheme", "missing"),
    [
        (Boundary(Reflective()), fv.Scheme(), "mirror"),
        (TORUS, fv.Scheme(fv.MUSCL(variables="characteristic")), "strengths"),
        (TORUS, fv.Scheme(fv.WENO(variables="characteristic")), "strengths"),
        (TORUS, fv.Scheme(fv.Positive(fv.MUSCL())), "positive"),
        (TORUS, fv.Scheme(riemann=fv.roe), "eigenvalues"),
    ],
)
def test_a_law_without_a_needed_method_is_refused(boundary, scheme, missing):
    """Its absence would open a wall, or change the scheme, without a word."""
    u = jnp.ones((2, 8))
    with pytest.raises(ValueError, match=f"`{missing}` in TwoLayers"):
        fv.tendency(u, TwoLayers(), GRID, boundary, scheme)
    assert np.isfinite(fv.tendency(u, TwoLayers(), GRID, TORUS)).all()


def test_a_scalar_law_without_mirror_is_refused_at_a_wall():
    with pytest.raises(ValueError, match="`mirror` in Traffic"):
        fv.tendency(RAMP / 8, fv.Traffic(), GRID, Boundary(Reflective()))


def test_hancock_refuses_a_bed_under_passive_scalars():
    law = fv.PassiveScalars(fv.ShallowWater(bed=True))
    scheme = fv.Scheme(fv.MUSCL(), fv.hllc, fv.muscl_hancock)
    with pytest.raises(ValueError, match="without a bed"):
        fv.solve(jnp.ones((4, 8)), law, GRID, TORUS, scheme, times=[0.1])
