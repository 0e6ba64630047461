"""Events: exact arrival of shocks and fronts, derivatives, and a run that is not
disturbed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erf

from physcon.boundary import Boundary, Dirichlet, Outflow
from physcon.fv import (
    MUSCL,
    STATUS,
    Arrival,
    Burgers,
    Euler,
    Scheme,
    Stefan,
    godunov,
    hllc,
    solve,
)
from physcon.fv.event import Bracket, locate
from physcon.grid import Grid

LINE = Grid.uniform(0.0, 2.0, 80)
SENSOR = 1.43
OUT = Boundary(Outflow())


def burgers(theta, loop="while", stop=True, times=(0.3, 2.0)):
    """A shock from x = 1/2 between theta[0] and theta[1]; the sensor waits at 1.43."""
    u = jnp.where(LINE.coordinates[0] < 0.5, theta[0], theta[1])[None]
    event = Arrival(LINE, SENSOR, 0.5 * (theta[0] + theta[1]))
    scheme = Scheme(MUSCL(), godunov)
    return solve(
        u, Burgers(), LINE, OUT, scheme, times=times, event=event, stop=stop, loop=loop,
        max_steps=400,
    )  # fmt: skip


THETA = jnp.array([2.0, 0.5])


@pytest.mark.usefixtures("x64")
def test_a_burgers_shock_arrives_when_it_should():
    solution = burgers(jnp.asarray(THETA, float))
    exact = (SENSOR - 0.5) / 1.25
    assert "event" in STATUS[int(solution.status)]
    # The shock's profile is a travelling wave of the scheme: its middle is known to a
    # fraction of a cell, here taken as a quarter.
    assert float(solution.event.t) == pytest.approx(exact, abs=0.25 * 0.025 / 1.25)
    assert float(solution.t) == float(solution.event.t)
    # The event's state lies on the condition to rounding: it is a solution, not an
    # interpolation.
    level = Arrival(LINE, SENSOR, 1.25)(solution.event.u, solution.event.t)
    assert abs(float(level)) < 1e-13
    assert np.isfinite(np.asarray(solution.u)).all((1, 2)).tolist() == [True, False]


@pytest.mark.usefixtures("x64")
def test_the_arrival_time_is_differentiable():
    theta = jnp.asarray(THETA, float)
    arrival = jax.jit(
        lambda theta: burgers(theta, "checkpointed", times=(2.0,)).event.t
    )
    gradient = jax.jit(jax.grad(arrival))(theta)
    for k in range(2):
        e = jnp.zeros(2).at[k].set(1e-6)
        difference = (arrival(theta + e) - arrival(theta - e)) / 2e-6
        assert float(gradient[k]) == pytest.approx(float(difference), rel=1e-5)
    # t = 2 (x - x0)/(u_l + u_r): half of -t/speed for each state, and half a cell's
    # jitter.
    exact = -0.5 * 0.93 / 1.25**2
    np.testing.assert_allclose(np.asarray(gradient), exact, rtol=0.05)


@pytest.mark.usefixtures("x64")
def test_second_derivatives_of_an_event():
    """exp(-a t) is 1/2 at t = ln 2 / a, where exp(-a² t) is 2^-a."""

    def event(a):
        def step(u, t, dt):
            return u * jnp.exp(-jnp.stack([a, a**2]) * dt)

        def half(u, t):
            return u[0] - 0.5

        start, zero = jnp.ones(2), jnp.zeros(())
        ends = 0.5 * jnp.ones(()), jnp.exp(-a) - 0.5
        yes = jnp.ones((), bool)
        bracket = Bracket(yes, yes, start, zero, zero, jnp.ones(()), ends)
        found = locate(half, step, bracket)
        return jnp.stack([found.t, found.u[1]])

    a = jnp.array(1.3)
    both = jax.jit(lambda a: (event(a), jax.jacfwd(jax.jacrev(event))(a)))
    value, second = both(a)
    power, log = 2**-1.3, np.log(2)
    np.testing.assert_allclose(value, [log / 1.3, power], rtol=1e-12)
    np.testing.assert_allclose(second, [2 * log / 1.3**3, log**2 * power], rtol=1e-10)


def test_reporting_leaves_the_run_as_it_is_and_batches():
    reported = burgers(THETA, stop=False)
    assert int(reported.status) == 0
    assert float(reported.event.t) == pytest.approx(0.93 / 1.25, abs=0.006)
    x = LINE.coordinates[0]
    u = jnp.where(x < 0.5, 2.0, 0.5)[None]
    scheme = Scheme(MUSCL(), godunov)
    plain = solve(u, Burgers(), LINE, OUT, scheme, times=(0.3, 2.0), max_steps=400)
    np.testing.assert_array_equal(np.asarray(reported.u), np.asarray(plain.u))
    # Two shocks arrive, the third is too slow.
    lefts = jnp.array([2.0, 1.5, -0.1])
    batch = jax.vmap(lambda left: burgers(jnp.stack([left, 0.5 * left]), times=(1.0,)))(
        lefts
    )
    assert batch.event.found.tolist() == [True, True, False]
    np.testing.assert_allclose(
        np.asarray(batch.event.t[:2]), 0.93 / 0.75 / lefts[:2], atol=0.006
    )
    assert np.isnan(float(batch.event.t[2]))
    assert batch.status.tolist() == [5, 5, 0]


def test_sods_shock_arrives_in_float32():
    n = 100
    grid = Grid.uniform(0.0, 1.0, n)
    law = Euler()
    left, right = (jnp.array(s)[:, None] for s in ((1.0, 0.0, 1.0), (0.125, 0.0, 0.1)))
    u = law.conservative(jnp.where(grid.coordinates[0][None] < 0.5, left, right))
    # Post-shock density 0.26557, shock speed 1.75216 (Toro 2009, table 4.3 and eq.
    # 4.59).
    event = Arrival(grid, 0.8, 0.5 * (0.26557 + 0.125))
    solution = solve(u, law, grid, OUT, Scheme(MUSCL(), hllc), times=[0.3], event=event)
    assert float(solution.event.t) == pytest.approx(0.3 / 1.75216, abs=0.5 / n / 1.75)


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_a_stefan_front_arrives_when_it_should(threshold):
    def balance(a):
        return (1 - threshold) / np.sqrt(np.pi) - threshold * a / 2 * np.exp(
            a**2 / 4
        ) * erf(a / 2)

    n, sensor = 80, 0.2
    grid = Grid.uniform(0.0, 1.0, n)
    boundary = Boundary((Dirichlet(1.0), Dirichlet(0.0)))
    event = Arrival(grid, sensor, 0.5 * threshold)
    law = Stefan(threshold, face="shock")
    out = solve(
        jnp.zeros((1, n)), law, grid, boundary, times=[0.2], cfl=0.9, event=event
    )
    exact = (sensor / brentq(balance, 1e-6, 10)) ** 2
    # The front moves at α²/(2 x); the average of its cell passes half the threshold
    # half way.
    speed = 0.5 * sensor / exact
    assert float(out.event.t) == pytest.approx(exact, abs=0.6 / n / speed)


def test_a_sensor_reads_linear_fields_exactly_in_two_dimensions():
    grid = Grid.cells(
        np.array([0.0, 1.0, 3.0, 4.0, 7.0]), np.array([0.0, 2.0, 3.0, 5.0])
    )
    x, y = grid.mesh()
    u = jnp.stack([x, 1 + 2 * x - y + 0.5 * x * y])
    sensor = Arrival(grid, (3.2, 1.7), 0.25, channel=1)
    exact = 1 + 2 * 3.2 - 1.7 + 0.5 * 3.2 * 1.7 - 0.25
    assert float(sensor(u, 0.0)) == pytest.approx(exact, rel=1e-6)
    with pytest.raises(ValueError, match="one per axis"):
        Arrival(grid, 3.2, 0.25)
