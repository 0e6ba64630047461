"""Malformed calls of the conditioning floor: each is refused with what was expected."""

import inspect

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import physcon as pc
from physcon import fv
from physcon.boundary import (
    Boundary,
    Dirichlet,
    Flux,
    Neumann,
    Outflow,
    Periodic,
    Robin,
)
from physcon.conditioning import (
    boundary_values,
    diffuse,
    from_fn,
    second_difference,
    sensors,
    stack,
)

U = jnp.zeros(4)
GRID = pc.Grid.uniform(0.0, 1.0, 4)
SQUARE = pc.Grid.uniform(0.0, 1.0, (2, 2))
NODES = pc.Grid.uniform(0.0, 1.0, 4, location="nodes")
PRIOR = pc.Gaussian.diagonal(U, jnp.ones(4))
BATCH = pc.Gaussian.diagonal(jnp.zeros((2, 4)), jnp.ones((2, 4)))
LAW = pc.integral(GRID, 1.0)

MALFORMED = {
    "boundary values on coordinates": (
        lambda: boundary_values(U, Boundary(Outflow())),
        "grid: a Grid, got a ",
    ),
    "sensors on coordinates": (
        lambda: sensors(U, U[:1], U[:1]),
        "grid: a Grid, got a ",
    ),
    "differences of coordinates": (
        lambda: second_difference(U),
        "domain: a Grid or an int",
    ),
    "a balance on coordinates": (
        lambda: pc.balance(U, np.array([0.0, 1.0]), (jnp.zeros((1, 5)),)),
        "a Grid, a Mesh or a Network",
    ),
    "a kernel by name": (
        lambda: pc.stationary(U, "matern32", GRID, 1.0, 0.1),
        "a function, got 'matern32'",
    ),
    "a step for a scheme": (
        lambda: fv.solve(
            U[None], fv.Heat(), GRID, Boundary(Outflow()), fv.ssp_rk3, times=[1.0]
        ),
        "scheme: a Scheme, got a function",
    ),
    "unsorted nodes": (lambda: pc.Grid.nodes([0.0, 2.0, 1.0]), "strictly increasing"),
    "repeated faces": (lambda: pc.Grid.cells([0.0, 1.0, 1.0]), "strictly increasing"),
    "NaN node": (lambda: pc.Grid.nodes([0.0, np.nan, 1.0]), "without NaN"),
    "one node": (lambda: pc.Grid.nodes([0.0]), "at least 2"),
    "no cells": (lambda: pc.Grid.uniform(0.0, 1.0, 0), "at least 1"),
    "four axes": (lambda: pc.Grid.uniform((0,) * 4, (1,) * 4, (2,) * 4), "1 to 3 axes"),
    "swapped bounds": (lambda: pc.Grid.uniform(1.0, 0.0, 4), "swap the bounds"),
    "unknown location": (
        lambda: pc.Grid.uniform(0.0, 1.0, 4, location="face"),
        "'cells'",
    ),
    "2-D positions": (
        lambda: pc.Grid.nodes(np.zeros((2, 2))),
        "one 1-D array per axis",
    ),
    "Simpson on cells": (lambda: GRID.weights("simpson"), "one exact rule"),
    "spline on 3 nodes": (
        lambda: pc.Grid.nodes([0.0, 1.0, 2.0]).weights("spline"),
        "'simpson'",
    ),
    "Simpson on 2 nodes": (
        lambda: pc.Grid.nodes([0.0, 1.0]).weights("simpson"),
        "'trapezoid'",
    ),
    "field of another size": (lambda: GRID.integrate(jnp.zeros(5)), "trailing axes"),
    "bounds of two of three axes": (
        lambda: pc.Grid.uniform((0.0, 0.0), 1.0, (2, 2, 2)),
        "a scalar or 3 bounds, one per axis, got 2",
    ),
    "sides of the plane in one tuple": (
        lambda: Boundary((Dirichlet(), Dirichlet(), Neumann(), Neumann())),
        "in the plane",
    ),
    "half periodic": (lambda: Boundary((Periodic(), Dirichlet())), "both sides"),
    "a number for a condition": (lambda: Boundary(1.0), "use Dirichlet"),
    "rows without axis": (lambda: pc.Rows(U), "weights\\[None\\]"),
    "rows on another field": (
        lambda: pc.Rows(jnp.ones((1, 3))).mv(U),
        "the field of shape",
    ),
    "std of another shape": (
        lambda: pc.Gaussian.diagonal(U, jnp.ones(3)),
        "std of shape",
    ),
    "std of a batch": (
        lambda: pc.Gaussian.diagonal(U, jnp.ones((2, 4))),
        "batch with jax.vmap",
    ),
    "root of another shape": (
        lambda: pc.Gaussian(U, pc.Diagonal(jnp.ones(3))),
        "mean's shape",
    ),
    "density elsewhere": (lambda: PRIOR.log_prob(jnp.zeros(3)), "u of shape"),
    "law on another field": (
        lambda: pc.condition(PRIOR, pc.integral(jnp.ones(3), 1.0)),
        "constraint on fields",
    ),
    "batch of priors": (lambda: pc.condition(BATCH, LAW), "batch with jax.vmap"),
    "value of another size": (
        lambda: pc.LinearConstraint(pc.Rows(jnp.ones((2, 4))), jnp.zeros(3)),
        "one per row",
    ),
    "noise of another size": (
        lambda: pc.LinearConstraint(
            pc.Rows(jnp.ones((2, 4))), jnp.zeros(2), jnp.ones(1)
        ),
        "noise_std of shape",
    ),
    "mass per time": (lambda: pc.integral(GRID, jnp.ones(3)), "batch with jax.vmap"),
    "rule together with weights": (
        lambda: pc.integral(U, 1.0, rule="simpson"),
        "no rule together with",
    ),
    "mask of another shape": (
        lambda: pc.integral(GRID, 1.0, where=jnp.ones(3)),
        "where of shape",
    ),
    "masses of other components": (
        lambda: pc.integral(GRID, jnp.ones(3), components=2),
        "each of 2 components",
    ),
    "boundary of another dimension": (
        lambda: boundary_values(GRID, Boundary(Dirichlet(), Dirichlet())),
        "1 axes",
    ),
    "flux as a value": (
        lambda: boundary_values(GRID, Boundary(Flux())),
        "row of `balance`",
    ),
    "outflow as a value": (
        lambda: boundary_values(GRID, Boundary(Outflow())),
        "some side",
    ),
    "value in time": (
        lambda: boundary_values(GRID, Boundary(Dirichlet(lambda t: t))),
        "boundary.at",
    ),
    "Robin arrays": (
        lambda: boundary_values(GRID, Boundary(Robin(jnp.ones(2), 1.0))),
        "scalar Robin",
    ),
    "order beyond the points": (
        lambda: boundary_values(NODES, Boundary(Neumann()), order=4),
        "1 <= order < 4",
    ),
    "sensor outside": (
        lambda: sensors(GRID, jnp.array([[1.2]]), jnp.zeros(1)),
        "sensors outside",
    ),
    "box outside": (
        lambda: sensors(GRID, jnp.array([[0.9]]), jnp.zeros(1), width=0.5),
        "sensors outside",
    ),
    "positions without axis": (
        lambda: sensors(SQUARE, jnp.array([0.5]), jnp.zeros(1)),
        "one row per position",
    ),
    "readings of other sensors": (
        lambda: sensors(GRID, jnp.array([[0.5]]), jnp.zeros(2)),
        "one per row",
    ),
    "nonlinear function": (
        lambda: from_fn(lambda u: jnp.sum(u**2), (4,), 1.0),
        "linear function",
    ),
    "branching function": (
        lambda: from_fn(lambda u: jnp.max(u), (4,), 1.0),
        "linear function",
    ),
    "nothing to stack": (lambda: stack(), "one or more constraints"),
    "stacked other fields": (
        lambda: stack(LAW, pc.integral(jnp.ones(3), 1.0)),
        "one shape",
    ),
    "difference of 2 points": (lambda: second_difference(2), "3 or more points"),
    "difference in the plane": (
        lambda: second_difference(pc.Grid.uniform((0, 0), (1, 1), (4, 4))),
        "a grid of one axis",
    ),
    "diffusion of a posterior": (
        lambda: diffuse(pc.condition(PRIOR, LAW).posterior, 0.5),
        "a diagonal prior",
    ),
    "diffusion of 2 points": (
        lambda: diffuse(pc.Gaussian.diagonal(jnp.zeros(2), jnp.ones(2)), 0.5),
        "3 or more points",
    ),
}


@pytest.fixture
def unchecked():
    """As users run it: without the type checker, which would refuse some of these
    first.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_call_is_refused_while_tracing(name):
    call, message = MALFORMED[name]
    with pytest.raises(ValueError, match=message):
        call()


AT_RUN_TIME = {
    "NaN in the mean": (
        lambda: pc.condition(
            pc.Gaussian.diagonal(U.at[1].set(jnp.nan), jnp.ones(4)), LAW
        ),
        "NaN never",
    ),
    "infinite mass": (
        lambda: pc.condition(PRIOR, pc.integral(GRID, jnp.inf)),
        "NaN or infinity",
    ),
    "contradiction": (
        lambda: pc.condition(
            PRIOR, pc.LinearConstraint(pc.Rows(jnp.ones((2, 4))), jnp.array([1.0, 2.0]))
        ),
        r"row\(s\) 0 \(b - G u = -0.5\), 1 \(b - G u = 0.5\)",
    ),
    "certain points only": (
        lambda: pc.condition(
            pc.Gaussian.diagonal(U, jnp.array([0.0, 0.0, 1.0, 1.0])),
            pc.integral(GRID, 1.0, where=jnp.array([1, 1, 0, 0])),
        ),
        r"row\(s\) 0 \(b - G u = 1\).*zero variance",
    ),
    "diffusion without noise": (lambda: diffuse(PRIOR, 1.0), "0 <= alpha < 1"),
}


@pytest.mark.parametrize("name", AT_RUN_TIME)
def test_bad_values_raise_at_run_time(name):
    call, message = AT_RUN_TIME[name]
    with pytest.raises(RuntimeError, match=message):
        call()


def test_contradiction_inside_jit_names_the_row():
    def mean(values):
        law = pc.LinearConstraint(
            pc.Rows(jnp.array([[1.0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]])), values
        )
        return pc.condition(PRIOR, law).posterior.mean

    run = jax.jit(mean)
    assert run(jnp.array([1.0, 2.0, 2.0]))[0] == 1
    with pytest.raises(Exception, match=r"contradiction in row\(s\) [12]"):
        run(jnp.array([1.0, 2.0, 3.0])).block_until_ready()


def test_status_of_each_kind():
    """0 good, 1 not finite, 2 redundant, 3 contradiction; and the answer."""

    @jax.jit
    def run(mean, std, values):
        g = jnp.array([[1.0, 1, 0, 0], [2.0, 2, 0, 0], [0, 0, 1, 1]])
        prior = pc.Gaussian.diagonal(mean, std)
        out = pc.condition(prior, pc.LinearConstraint(pc.Rows(g), values), throw=False)
        return out.status, out.posterior.mean, out.posterior.variance()

    one = jnp.ones(4)
    status, mean, variance = run(U, one, jnp.array([1.0, 2.0, 4.0]))
    assert status == 2
    np.testing.assert_allclose(mean, [0.5, 0.5, 2, 2], rtol=1e-6)
    np.testing.assert_allclose(variance, 0.5, rtol=1e-6)
    # Least squares in units of each row's deviation: 1 and 4/2 meet at 1.5.
    status, mean, _ = run(U, one, jnp.array([1.0, 4.0, 4.0]))
    assert status == 3
    np.testing.assert_allclose(mean, [0.75, 0.75, 2, 2], rtol=1e-6)
    # What is certain stays; a law on it alone is redundant if met, else a
    # contradiction.
    certain = jnp.array([0.0, 0.0, 1.0, 1.0])
    for first, want in ((0.0, 2), (1.0, 3)):
        status, mean, variance = run(U, certain, jnp.array([first, 2 * first, 4.0]))
        assert status == want
        np.testing.assert_allclose(mean, [0, 0, 2, 2], rtol=1e-6)
        np.testing.assert_allclose(variance, [0, 0, 0.5, 0.5], rtol=1e-6)
    status, mean, _ = run(U.at[0].set(jnp.nan), one, jnp.zeros(3))
    assert status == 1
    assert np.all(np.isnan(mean))


X = np.linspace(0, 1, 5)


@pytest.mark.parametrize(
    "positions",
    [
        *(X, X + 0.1, X[::-1], 90 - 45 * X, X**2, -(X**2)),
        *(np.meshgrid(X, X), np.meshgrid(X, 2 * X)[1]),
    ],
)
def test_positions_are_not_taken_as_weights(positions):
    with pytest.raises(ValueError, match=r"looks like positions; pass Grid.nodes\(x\)"):
        pc.integral(np.asarray(positions), 1.0)


def test_weights_are_not_taken_as_positions():
    latitude = np.radians(np.linspace(-90, 90, 7))
    areas = np.cos(latitude)[:, None] * np.ones(3)
    for weights in (areas, areas[3:], areas[:, 0], areas[3:, 0], np.ones(5)):
        assert pc.integral(weights, 1.0).operator.in_shape == weights.shape


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        (
            pc.condition,
            (LAW, PRIOR),
            "prior: a Gaussian, got a LinearConstraint; look at the order",
        ),
        (
            pc.condition,
            (PRIOR, [LAW]),
            r"a LinearConstraint, got a list; .* stack\(first, second\)",
        ),
        (stack, ([LAW],), "constraint: a LinearConstraint, got a list"),
        (pc.condition_nonlinear, (PRIOR, jnp.sum), "a NonlinearConstraint, got a"),
    ],
)
def test_arguments_in_the_wrong_place_are_named(call, arguments, message):
    """As a user meets it: without the type checks that the tests put around every
    function.
    """
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(call)(*arguments)
