"""Gradients, batches and dtypes of whole solves."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.boundary import Boundary, Dirichlet, Outflow, Periodic
from physcon.fv import (
    MUSCL,
    WENO,
    Burgers,
    Euler,
    Heat,
    Positive,
    Scheme,
    ShallowWater,
    godunov,
    hllc,
    limiter,
    muscl_hancock,
    solve,
    ssp_rk2,
    tendency,
)
from physcon.grid import Grid

GRID = Grid.uniform(0.0, 1.0, 24)
X = np.asarray(GRID.coordinates[0])
VAN_LEER = Scheme(MUSCL(limiter.van_leer), hllc, ssp_rk2)
SCHEMES = {
    "muscl": VAN_LEER,
    "hancock": Scheme(MUSCL(limiter.van_leer), hllc, muscl_hancock),
    "weno": Scheme(Positive(WENO()), hllc, ssp_rk2),
}


def pulse(theta):
    """Euler, a smooth pulse; θ: amplitude, velocity, γ."""
    law = Euler(theta[2])
    x = jnp.asarray(X)
    rho = 1 + theta[0] * jnp.exp(-((x - 0.5) ** 2) / 0.02)
    return law, law.conservative(jnp.stack([rho, theta[1] + 0 * x, rho**1.4]))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", list(SCHEMES))
def test_gradient_through_a_solve_equals_differences(name):
    grid = Grid.uniform(0.0, 1.0, 24)

    @jax.jit
    def misfit(theta):
        law, u = pulse(theta)
        out = solve(
            u,
            law,
            grid,
            Boundary(Periodic()),
            SCHEMES[name],
            times=[0.05, 0.1],
            max_steps=20,
            loop="checkpointed",
            throw=False,
        ).u
        return jnp.sum(out[0] ** 2) + jnp.sum(jnp.sin(3 * out[1]))

    theta = jnp.array([0.3, 0.4, 1.4])
    gradient = jax.grad(misfit)(theta)
    for k in range(3):
        e = jnp.zeros(3).at[k].set(1e-6)
        difference = (misfit(theta + e) - misfit(theta - e)) / 2e-6
        assert float(gradient[k]) == pytest.approx(
            float(difference), rel=2e-5, abs=1e-6
        )


@pytest.mark.usefixtures("x64")
def test_gradients_of_boundary_value_depth_and_conductivity():
    grid = Grid.uniform(0.0, 1.0, 16)

    def shallow(theta):
        x = grid.coordinates[0]
        bed = theta[0] * jnp.exp(-((x - 0.5) ** 2) / 0.02)
        u = jnp.stack([1 - bed, 0.1 + 0 * x, bed])
        inflow = Dirichlet(jnp.stack([1.0 + theta[1], 0.2, 0.0]))
        law, scheme = ShallowWater(1.0, bed=True), VAN_LEER
        out = solve(
            u,
            law,
            grid,
            Boundary((inflow, Outflow())),
            scheme,
            times=[0.3],
            max_steps=30,
            loop="checkpointed",
        ).u
        return jnp.sum(out[-1, :2] ** 2)

    def warmth(theta):
        boundary = Boundary((Dirichlet(theta[0]), Dirichlet(0.0)))
        start = jnp.zeros((1, 16))
        out = solve(
            start,
            Heat(theta[1]),
            grid,
            boundary,
            times=[0.02],
            max_steps=49,
            loop="checkpointed",
        ).u
        return jnp.sum(out[-1] ** 2)

    for f, theta in ((shallow, jnp.array([0.2, 0.1])), (warmth, jnp.array([1.0, 0.5]))):
        f = jax.jit(f)
        gradient = jax.grad(f)(theta)
        for k in range(2):
            e = jnp.zeros(2).at[k].set(1e-6)
            difference = (f(theta + e) - f(theta - e)) / 2e-6
            assert float(gradient[k]) == pytest.approx(float(difference), rel=1e-4)


def test_forward_and_reverse_derivatives_agree_and_so_do_both_loops():
    u = jnp.asarray(1.5 + np.sin(2 * np.pi * X), jnp.float32)[None]
    scheme = Scheme(MUSCL(limiter.van_leer), godunov)

    def run(u, loop):
        return solve(
            u,
            Burgers(),
            GRID,
            Boundary(Periodic()),
            scheme,
            times=[0.03, 0.05],
            max_steps=16,
            loop=loop,
            throw=False,
        )

    fast, slow = run(u, "while"), run(u, "checkpointed")
    assert int(fast.steps) == int(slow.steps) > 4
    np.testing.assert_allclose(np.asarray(fast.u), np.asarray(slow.u), rtol=1e-6)
    direction = jnp.asarray(np.cos(2 * np.pi * X), jnp.float32)[None]
    weight = jnp.asarray(X, jnp.float32)
    _, tangent = jax.jvp(lambda u: run(u, "while").u[-1], (u,), (direction,))
    _, pullback = jax.vjp(lambda u: run(u, "checkpointed").u[-1], u)
    (cotangent,) = pullback(jnp.broadcast_to(weight, (1, 24)))
    forward, reverse = jnp.sum(weight * tangent[0]), jnp.sum(cotangent * direction)
    assert float(forward) == pytest.approx(float(reverse), rel=1e-4)


@pytest.mark.parametrize("loop", ["while", "checkpointed"])
def test_vmap_equals_a_loop(loop):
    thetas = jnp.array([[0.3, 0.4, 1.4], [0.1, -1.0, 1.3], [0.5, 2.0, 1.6]])

    def run(theta):
        law, u = pulse(theta)
        boundary = Boundary((Dirichlet(u[:, 0]), Outflow()))
        out = solve(
            u,
            law,
            GRID,
            boundary,
            VAN_LEER,
            times=[0.02, 0.1],
            max_steps=40,
            loop=loop,
            throw=False,
        )
        return out.u, out.steps, out.status

    batched = jax.vmap(run)(thetas)
    alone = [jax.jit(run)(theta) for theta in thetas]
    assert len({int(a[1]) for a in alone}) > 1  # they need different numbers of steps
    for k, (u, steps, status) in enumerate(alone):
        np.testing.assert_allclose(
            np.asarray(batched[0][k]), np.asarray(u), rtol=1e-4, atol=2e-5
        )
        assert int(batched[1][k]) == int(steps)
        assert int(batched[2][k]) == int(status) == 0


def test_a_changed_boundary_value_grid_or_parameter_does_not_recompile():
    traces = 0

    @eqx.filter_jit
    def run(u, law, grid, boundary, scheme):
        nonlocal traces
        traces += 1
        return solve(u, law, grid, boundary, scheme, times=jnp.array([0.01])).u

    u = jnp.ones((1, 8))
    for value, length in ((1.0, 1.0), (2.0, 3.0)):
        grid = Grid.uniform(0.0, length, 8)
        run(u, Heat(value), grid, Boundary(Dirichlet(value)), Scheme(MUSCL()))
    assert traces == 1


def test_the_state_decides_the_dtype():
    with jax.enable_x64(True):
        grid = Grid.uniform(0.0, 1.0, 16)
        for dtype in (jnp.float32, jnp.float64):
            u = jnp.ones((3, 16), dtype).at[2].set(3)
            out = solve(u, Euler(), grid, Boundary(Periodic()), VAN_LEER, times=[0.05])
            assert out.u.dtype == dtype


@pytest.mark.parametrize("order", [3, 5])
def test_weno_has_a_gradient_where_the_state_is_constant(order):
    """Of 0/0 in its weights the value is guarded, and so is the derivative."""
    u = jnp.asarray(np.where(X < 0.5, 1.0, 2.0)[None], jnp.float32)
    scheme, torus = Scheme(WENO(order)), Boundary(Periodic())
    slope = jax.grad(
        lambda u: jnp.sum(tendency(u, Burgers(), GRID, torus, scheme) ** 2)
    )(u)
    assert np.isfinite(slope).all()
    assert float(jnp.sum(slope)) != 0
