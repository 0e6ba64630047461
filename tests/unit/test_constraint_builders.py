"""Rows say what they should: each builder against fields whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from helpers import rows
from physcon._status import Outcome
from physcon.boundary_rows import side_rows
from physcon.conditioning import (
    boundary_values,
    diffuse,
    from_fn,
    second_difference,
    sensors,
    stack,
)
from physcon.conditioning.smoothing import correlated_noise
from physcon.linear_map import Sparse


def exact(law, u, tolerance=1e-12):
    """The field obeys the law to rounding."""
    np.testing.assert_allclose(law.residual(jnp.asarray(u)), 0, atol=tolerance)


def test_integral_over_a_sub_domain(x64):
    """u = x over the right half of five cells: the cell that lies half inside counts
    half.
    """
    grid = pc.Grid.uniform(0.0, 1.0, 5)
    average = grid.coordinates[0]
    inside = jnp.array([0, 0, 0.5, 1, 1])
    want = 0.2 * (0.5 * 0.5 + 0.7 + 0.9)
    exact(pc.integral(grid, want, where=inside), average)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
def test_integral_of_each_component(shape, rng, x64):
    grid = pc.Grid.uniform((0,) * len(shape), (2,) * len(shape), shape)
    u = rng.normal(size=(3, *shape))
    mass = np.array([u[k].mean() * 2 ** len(shape) for k in range(3)])
    exact(pc.integral(grid, jnp.asarray(mass), components=3), u)


@pytest.mark.parametrize("location", ["cells", "nodes"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_boundary_rows_are_exact_for_polynomials(location, order, x64):
    """Dirichlet, Neumann and Robin on unequal points, for a polynomial of degree
    `order`.
    """
    points = np.array([0.0, 0.3, 0.5, 1.1, 1.6, 2.0])
    grid = pc.Grid.cells(points) if location == "cells" else pc.Grid.nodes(points)
    p = np.polynomial.Polynomial(np.arange(1.0, order + 2))
    slope = p.deriv()
    u = p(np.asarray(grid.coordinates[0]))
    value, derivative = pc.Dirichlet(p(0.0)), pc.Neumann(slope(2.0))
    exact(
        boundary_values(grid, pc.Boundary((value, derivative)), order=order), u, 1e-10
    )
    robin = pc.Robin(2.0, -3.0, 2 * p(2.0) - 3 * slope(2.0))
    exact(boundary_values(grid, pc.Boundary((value, robin)), order=order), u, 1e-10)


@pytest.mark.parametrize("location", ["cells", "nodes"])
def test_boundary_rows_of_a_plane_field(location, x64):
    """u = x² + sin 2πy on a square: values and slopes in x that vary along the side,
    periodic y.
    """
    grid = pc.Grid.uniform((0, 0), (1, 1), (9, 8), location=location)
    x, y = grid.mesh()
    u = x**2 + jnp.sin(2 * jnp.pi * y)
    side = jnp.sin(2 * jnp.pi * grid.coordinates[1])
    boundary = pc.Boundary((pc.Dirichlet(side), pc.Neumann(2.0)), pc.Periodic())
    law = boundary_values(grid, boundary)
    assert law.value.shape == (8 + 8 + 9,)
    residual = law.residual(u)
    np.testing.assert_allclose(residual[:16], 0, atol=1e-12)
    np.testing.assert_allclose(
        residual[16:], 0, atol=1e-12 if location == "nodes" else 0.3
    )


@pytest.mark.parametrize("location", ["cells", "nodes"])
def test_boundary_rows_of_a_large_plane_are_sparse(location, rng, x64):
    """They are the rows that each side states, and have a few entries each."""
    grid = pc.Grid.uniform((0, 0), (1, 2), (40, 30), location=location)
    u = jnp.asarray(rng.normal(size=grid.shape))
    robin = pc.Robin(1.0, 0.1, jnp.linspace(0.0, 1.0, 30))
    for axes in [
        ((pc.Dirichlet(0.5), robin), (pc.Neumann(0.0), pc.Outflow())),
        ((pc.Outflow(), pc.Neumann(1.0)), pc.Periodic()),
    ]:
        boundary = pc.Boundary(*axes)
        law = boundary_values(grid, boundary)
        assert isinstance(law.operator, Sparse)
        assert law.operator.entries.size <= 6 * law.value.size
        stated = [row for axis in side_rows(boundary, grid) for row in axis]
        seen = jnp.concatenate([row(u[None])[0] for row in stated])
        wanted = jnp.concatenate([row.target(u[None])[0] for row in stated])
        np.testing.assert_allclose(law.operator.mv(u), seen, atol=1e-13 * 80)
        np.testing.assert_array_equal(law.value, wanted)


def test_walls_of_a_large_plane_hold_and_agree_at_corners(rng):
    grid = pc.Grid.uniform((0, 0), (1, 1), (24, 20), location="nodes")
    mean = jnp.asarray(rng.normal(size=grid.shape), jnp.float32)
    prior = pc.Gaussian.diagonal(mean, jnp.ones_like(mean))
    for ends, outcome in [(1.0, Outcome.redundant), (2.0, Outcome.contradiction)]:
        boundary = pc.Boundary(pc.Dirichlet(1.0), pc.Dirichlet(ends))
        law = boundary_values(grid, boundary)
        out = pc.condition(prior, law, throw=False)
        assert out.outcome == outcome  # the corners have both values
        u = out.posterior.mean
        np.testing.assert_allclose(u[0, 1:-1], 1, rtol=3e-7)
        np.testing.assert_allclose(u[1:-1, -1], ends, rtol=3e-7)
        np.testing.assert_array_equal(u[1:-1, 1:-1], mean[1:-1, 1:-1])


def test_a_side_under_outflow_is_free():
    grid = pc.Grid.uniform(0.0, 1.0, 5)
    one = boundary_values(grid, pc.Boundary((pc.Dirichlet(2.0), pc.Outflow())))
    both = boundary_values(grid, pc.Boundary((pc.Dirichlet(2.0), pc.Dirichlet(3.0))))
    np.testing.assert_array_equal(one.operator.rows(), both.operator.rows()[:1])
    np.testing.assert_array_equal(one.value, [2.0])


def test_boundary_values_hold_after_conditioning(rng):
    """A field that ignores its boundary conditions obeys them, corners shared by two
    sides too.
    """
    grid = pc.Grid.uniform((0, 0), (1, 1), (6, 5), location="nodes")
    boundary = pc.Boundary(pc.Dirichlet(1.0), (pc.Dirichlet(1.0), pc.Neumann(0.0)))
    mean = jnp.asarray(rng.normal(size=(6, 5)), jnp.float32)
    out = pc.condition(
        pc.Gaussian.diagonal(mean, jnp.ones_like(mean)), boundary_values(grid, boundary)
    )
    assert out.status == 2  # both axes fix the corners, to the same value
    u = out.posterior.mean
    for side in (u[0], u[-1], u[:, 0]):
        np.testing.assert_allclose(side, 1, rtol=3e-7)
    np.testing.assert_allclose(
        3 * u[1:-1, -1] - 4 * u[1:-1, -2] + u[1:-1, -3], 0, atol=2e-6
    )


def test_sensors_read_linear_fields_exactly(rng, x64):
    """u = 1 + 2x - 3y, on unequal nodes: point readings and box averages alike."""
    axes = [np.array([0.0, 0.2, 0.7, 1.0]), np.array([0.0, 0.5, 0.6, 1.5, 2.0])]
    grid = pc.Grid.nodes(*axes)
    x, y = grid.mesh()
    places = jnp.asarray(rng.uniform(0.3, 0.7, (6, 2)))
    readings = 1 + 2 * places[:, 0] - 3 * places[:, 1]
    u = 1 + 2 * x - 3 * y
    exact(sensors(grid, places, readings), u)
    exact(sensors(grid, places, readings, width=jnp.array([0.3, 0.5])), u)


def test_box_averages_of_cells_are_exact(x64):
    """Cell averages of u = x: the average over two whole cells and half of a third."""
    grid = pc.Grid.cells(np.array([0.0, 0.1, 0.5, 1.0]))
    u = jnp.array([0.05, 0.3, 0.75])
    law = sensors(
        grid, np.array([0.375]), np.zeros(1), width=0.75
    )  # one axis: plain positions
    want = (0.1 * 0.05 + 0.4 * 0.3 + 0.25 * 0.75) / 0.75
    np.testing.assert_allclose(law.operator.mv(u), want, rtol=1e-14)


def test_a_sensor_at_a_point_sees_it_alone():
    """Up to the rounding of positions; the derivative in the position remains."""
    grid = pc.Grid.uniform(0.0, 1.0, 40)
    u = jnp.arange(40.0)
    for at in ((np.array([4, 20, 36]) + 0.5) / 40, grid.coordinates[0][([4, 20, 36],)]):
        rows = pc.sensors(grid, at[:, None], jnp.zeros(3)).operator.rows()
        np.testing.assert_array_equal(rows, jnp.eye(40)[jnp.array([4, 20, 36])])

    def reading(x):
        return pc.sensors(grid, x[None, None], jnp.zeros(1)).operator.mv(u)[0]

    assert jax.grad(reading)(grid.coordinates[0][20]) == pytest.approx(40, rel=1e-4)


def test_sensor_position_has_a_gradient(x64):
    grid = pc.Grid.uniform(0.0, 1.0, 11, location="nodes")
    u = grid.coordinates[0] ** 2

    def reading(p):
        return sensors(grid, p[None, None], jnp.zeros(1)).operator.mv(u)[0]

    np.testing.assert_allclose(
        jax.grad(reading)(jnp.asarray(0.43)), 0.4 + 0.5, rtol=1e-10
    )


def test_traced_sensor_outside_is_an_alarm():
    grid = pc.Grid.uniform(0.0, 1.0, 5)

    def status(p):
        law = sensors(grid, p, jnp.zeros(1))
        prior = pc.Gaussian.diagonal(jnp.zeros(5), jnp.ones(5))
        return pc.condition(prior, law, throw=False).status

    assert jax.jit(status)(jnp.array([[0.5]])) == 0
    assert jax.jit(status)(jnp.array([[1.5]])) == 1


def test_second_derivative_is_exact_for_quadratics(x64):
    x = np.array([0.0, 0.2, 0.25, 1.0, 1.7])
    exact(second_difference(pc.Grid.nodes(x), 6.0), 3 * x**2 - x + 1)


def test_from_fn_takes_the_constant_to_the_right(x64):
    law = from_fn(lambda u: jnp.cumsum(u) + 2.0, (3,), jnp.array([3.0, 4.0, 5.0]))
    np.testing.assert_array_equal(law.operator.rows(), np.tri(3))
    np.testing.assert_array_equal(law.value, [1.0, 2.0, 3.0])


def test_stack_is_all_rows(rng, x64):
    first, second = rows(rng, 2, 0.1), rows(rng, 3, 0.2)
    both = stack(first, second)
    u = jnp.asarray(rng.normal(size=first.operator.in_shape))
    want = np.concatenate([first.residual(u), second.residual(u)])
    np.testing.assert_allclose(both.residual(u), want, rtol=1e-12, atol=1e-13)
    assert both.noise_std.shape == (5,)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9])
def test_diffusion_is_conditioning_on_second_differences(alpha, rng, x64):
    """The O(n) information form equals the dense update; zero variances stay put."""
    n = 9
    std = np.append(rng.uniform(0.01, 1, n - 4), [0.0, 0.0, 0.0, 0.5])
    prior = pc.Gaussian.diagonal(jnp.asarray(rng.normal(size=n)), jnp.asarray(std))
    noise = correlated_noise(jnp.asarray(std), jnp.asarray(alpha))
    correlations = alpha ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    d = np.asarray(second_difference(n).operator.rows())
    np.testing.assert_allclose(
        noise**2, np.diagonal(d @ (np.outer(std, std) * correlations) @ d.T)
    )
    smooth = diffuse(prior, alpha)
    seen = noise > 0
    d, noise, covariance = d[seen], noise[seen], np.diag(std**2)
    gain = np.linalg.solve(d @ covariance @ d.T + np.diag(noise**2), d @ covariance).T
    want = covariance - gain @ d @ covariance
    np.testing.assert_allclose(
        smooth.mean, prior.mean - gain @ d @ prior.mean, atol=1e-12
    )
    np.testing.assert_allclose(smooth.covariance(), want, atol=1e-13)
    np.testing.assert_allclose(smooth.variance(), np.diagonal(want), atol=1e-13)
    live = std > 0
    u = np.where(live, rng.normal(size=n), prior.mean)
    e, block = (u - smooth.mean)[live], want[np.ix_(live, live)]
    log_prob = -0.5 * (
        e @ np.linalg.solve(block, e) + np.linalg.slogdet(2 * np.pi * block)[1]
    )
    np.testing.assert_allclose(smooth.log_prob(jnp.asarray(u)), log_prob, rtol=1e-12)


def test_diffusion_then_mass_has_correct_slopes(rng, x64):
    n = 7
    mean, std = jnp.asarray(rng.normal(size=n)), jnp.asarray(rng.uniform(0.1, 1, n))
    law = pc.integral(pc.Grid.uniform(0.0, 1.0, n), 0.3)

    def loss(mean, std, alpha):
        posterior = pc.condition(
            diffuse(pc.Gaussian.diagonal(mean, std), alpha, throw=False),
            law,
            throw=False,
        ).posterior
        return jnp.sum(jnp.sin(posterior.mean)) + jnp.sum(posterior.std() ** 3)

    args = (mean, std, jnp.asarray(0.6))
    direction = tuple(jnp.asarray(rng.normal(size=x.shape)) for x in args)
    run = jax.jit(loss)
    h = 1e-6
    up, down = (
        run(*(a + s * h * d for a, d in zip(args, direction, strict=True)))
        for s in (1, -1)
    )
    slopes = jax.jit(jax.grad(loss, (0, 1, 2)))(*args)
    got = sum(jnp.vdot(s, d) for s, d in zip(slopes, direction, strict=True))
    np.testing.assert_allclose(got, (up - down) / (2 * h), rtol=1e-7)
