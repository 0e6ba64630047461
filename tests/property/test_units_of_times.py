"""Finite volumes in units of state and length, and times far from zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from in_units import equal_in_all_units

import physcon as pc
from physcon import fv, mesh

N = 8
X = (np.arange(N) + 0.5) / N
BUMP = (0.7 + 0.3 * np.sin(7 * X)).astype(np.float32)
CIRCLE = pc.Boundary(pc.Periodic())
TRIANGLES = mesh.triangles((0.0, 0.0), (1.0, 1.0), (2, 2))
SIDES = dict.fromkeys(TRIANGLES.patches, pc.Outflow())
STEPS = (fv.forward_euler, fv.ssp_rk2, fv.ssp_rk3, fv.ssp_rk43)


def line(lower=0.0):
    return pc.Grid.uniform(lower, lower + 1.0, N)


def steps(u, x):
    """A step of every explicit method for a linear law, and its parts."""
    zero, dt = jnp.zeros(()), jnp.asarray(0.02)
    heat = fv.Mixed(fv.Advection(1.0), fv.Heat(0.01))
    layers = fv.Layered(jnp.asarray(1 + X, jnp.float32))
    ends = pc.Boundary((pc.Dirichlet(u), pc.Neumann(-u)))
    state = u * x[None]
    transport = fv.Problem(fv.Advection(1.0), line(), CIRCLE)
    first = fv.Scheme(fv.Constant())
    mixed = fv.Problem(heat, line(), ends, fv.Scheme(step=fv.Strang()))
    on_triangles = fv.mesh_problem(
        fv.Advection((1.0, 0.5)), TRIANGLES, SIDES, fv.Scheme(fv.Linear())
    )
    return [
        *(step(transport, state, zero, dt) / u for step in STEPS),
        fv.Strang()(mixed, state, zero, dt) / u,
        fv.face_flux(state, fv.Advection(1.0), line(), CIRCLE, first)[0] / u,
        fv.rate(state, fv.Advection(1.0), line(), CIRCLE),
        fv.tendency(state, layers, line(), ends) / u,
        on_triangles(state, zero) / u,
    ]


def systems(u, x):
    """Gas in any unit of mass; water and a tracer in any unit of depth."""
    gas, zero, dt = fv.Euler(), jnp.zeros(()), jnp.asarray(0.01)
    state = gas.conservative(jnp.stack([x, 0.3 * x, x]))
    scheme = fv.Scheme(step=fv.muscl_hancock)
    moving = fv.Problem(gas, line(), CIRCLE, scheme)
    tracer = fv.PassiveScalars(fv.ShallowWater(1 / u, dry=1e-6 * u))
    depth = u * jnp.stack([x, 0.3 * x, 0.5 * x])
    return [
        fv.muscl_hancock(moving, u * state, zero, dt) / u,
        fv.tendency(depth, tracer, line(), CIRCLE) / u,
    ]


@pytest.mark.parametrize("case", [steps, systems], ids=lambda c: c.__name__)
def test_units_of_the_state_do_not_matter(case):
    equal_in_all_units(case, BUMP, 1e-5)


#: Ten million time steps of the run, which float32 does not resolve.
FAR = 123_456.7
LATER = np.array([0.0213, 0.0467, 0.0991])


def test_a_solve_from_ten_million_steps_on():
    """Saved states, an event and gradients are those of a run from zero."""
    u = jnp.asarray(np.where(X < 0.4, 1.0, 0.0)[None], jnp.float32)

    def solved(start):
        def run(u):
            event = fv.Arrival(line(), 0.55, 0.5)
            found = fv.solve(
                u,
                fv.Advection(2.0),
                line(),
                pc.Boundary((pc.Dirichlet(1.0), pc.Outflow())),
                times=start + LATER,
                start=start,
                event=event,
                loop="checkpointed",
                throw=False,
            )
            assert isinstance(found.event, fv.Event)
            return found.u, (found.event.u, found.event.found, found.outcome)

        saved, pull, rest = jax.vjp(run, u, has_aux=True)
        return saved, pull(jnp.ones_like(saved))[0], rest

    near, far = solved(0.0), solved(FAR)
    assert bool(near[2][1])
    for a, b in zip(jax.tree.leaves(far), jax.tree.leaves(near), strict=True):
        np.testing.assert_allclose(np.float32(a), np.float32(b), rtol=0, atol=2e-5)


def test_windows_of_a_balance_far_from_zero():
    """Fluxes are integrated over differences of times."""
    u = jnp.asarray(np.stack([BUMP] * 4))
    flux = jnp.asarray(np.linspace(0, 1, N + 1)[None] * np.ones((3, 1)), jnp.float32)
    times = np.array([0.0, 0.0213, 0.0467, 0.0991])

    def missed(start):
        return pc.balance(line(), start + times, (flux,)).residual(u)

    np.testing.assert_allclose(missed(FAR), missed(0.0), rtol=1e-6, atol=1e-9)


def test_a_stiff_solve_from_ten_million_steps_on():
    pytest.importorskip("diffrax")
    u = jnp.asarray(BUMP[None])
    ends = pc.Boundary((pc.Dirichlet(1.0), pc.Neumann(0.0)))

    def solved(start):
        run = {"times": start + LATER, "start": start}
        return fv.solve_stiff(u, fv.Heat(1.0), line(), ends, **run).u

    np.testing.assert_allclose(solved(FAR), solved(0.0), rtol=0, atol=1e-5)
