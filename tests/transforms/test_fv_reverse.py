"""The reverse pass of the checkpointed loop against plain automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from physcon.boundary import Boundary, Dirichlet, Outflow, Reflective
from physcon.fv import (
    MUSCL,
    WENO,
    Advection,
    Euler,
    Positive,
    Problem,
    Scheme,
    ShallowWater,
    hllc,
    muscl_hancock,
    rusanov,
    solve,
    ssp_rk2,
)
from physcon.grid import Grid

DT, STEPS = 0.01, 2


def gas(x, theta):
    """A pulse in a gas; θ: amplitude, γ, velocity outside, cell width."""
    law = Euler(theta[1])
    rho = 1 + theta[0] * jnp.exp(-20 * (x - 0.4) ** 2)
    u = law.conservative(jnp.stack([rho, 0.3 + 0.1 * x, rho**1.4]))
    outside = law.conservative(jnp.stack([1.0 + 0 * theta[2], theta[2], theta[1]]))
    grid = Grid.uniform(0.0, theta[3], x.size)
    return u, law, grid, Boundary((Dirichlet(outside), Outflow()))


def water(x, theta):
    """A hump of water in a box, in two dimensions; θ: height, gravity, -, size."""
    x, y = x[:, None], x[None, :]
    h = 0.2 + theta[0] * jnp.exp(-20 * ((x - 0.4) ** 2 + (y - 0.6) ** 2))
    u = jnp.stack([h, 0.1 * h * x, -0.05 * h * y])
    grid = Grid.uniform(jnp.zeros(2), jnp.stack([theta[3], theta[3]]), h.shape)
    walls = Boundary(Reflective(), (Outflow(), Reflective()))
    return u, ShallowWater(theta[1]), grid, walls


CASES = {
    "stages": (gas, 12, Scheme(MUSCL(), hllc, ssp_rk2)),
    "weno": (gas, 12, Scheme(WENO(order=3), rusanov, ssp_rk2)),
    "hancock": (gas, 12, Scheme(MUSCL(), hllc, muscl_hancock)),
    "positive": (water, 6, Scheme(Positive(MUSCL()), rusanov, ssp_rk2)),
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", list(CASES))
def test_reverse_pass_equals_automatic_differentiation(name):
    setting, cells, scheme = CASES[name]
    x = (jnp.arange(cells) + 0.5) / cells

    def by_solve(theta):
        u, law, grid, boundary = setting(x, theta)
        run = {"times": STEPS * DT * theta[4:], "dt": DT * theta[4]}
        loop = {"loop": "checkpointed", "max_steps": STEPS, "throw": False}
        return solve(u, law, grid, boundary, scheme, **run, **loop).u[0]

    def by_hand(theta):
        u, law, grid, boundary = setting(x, theta)
        problem = Problem(law, grid, boundary, scheme)
        dt = DT * theta[4]
        for k in range(STEPS):
            u = law.cleaned(scheme.step(problem, u, k * dt, dt))
        return u

    theta = jnp.array([0.5, 1.4, 0.2, 1.1, 1.0])
    weight = jnp.asarray(np.random.default_rng(3).normal(size=by_hand(theta).shape))
    found, expected = (
        jax.jit(jax.value_and_grad(lambda theta, f=f: jnp.sum(weight * f(theta))))(
            theta
        )
        for f in (by_solve, by_hand)
    )
    assert float(found[0]) == pytest.approx(float(expected[0]), rel=1e-13)
    scale = float(jnp.max(jnp.abs(expected[1])))
    assert scale > 0.1
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-12 * scale)


def test_a_chunk_after_the_end_keeps_no_results_of_its_steps():
    length, cells = 11, 5
    grid = Grid.uniform(0.0, 1.0, cells)

    def loss(u):
        run = {"times": [0.1], "max_steps": length**2, "throw": False}
        sides, law = Boundary(Outflow()), Advection(1.0)
        solution = solve(u, law, grid, sides, loop="checkpointed", **run)
        return jnp.sum(solution.u)

    program = jax.make_jaxpr(jax.grad(loss))(jnp.ones((1, cells)))
    conditions = [e for e in equations(program.jaxpr) if e.primitive.name == "cond"]
    shapes = {v.aval.shape for e in conditions for v in e.outvars}
    assert (1, cells) in shapes  # a step, or the whole chunk
    assert [s for s in shapes if s[:1] == (length,)] == []


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from equations(inner)
