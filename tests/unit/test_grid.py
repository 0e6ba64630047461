"""Grids and boundary conditions: what they hold, and that they are arrays to JAX."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon.boundary import one_sided_derivative


@pytest.mark.parametrize("location", ["cells", "nodes"])
def test_weights_sum_to_the_volume_in_each_dimension(location, x64):
    for lower, upper, shape in (
        (0.0, 2.0, 5),
        ((0, 1), (2, 4), (5, 3)),
        ((0,) * 3, (2, 3, 4), (2, 3, 4)),
    ):
        grid = pc.Grid.uniform(lower, upper, shape, location=location)
        volume = np.prod(np.subtract(upper, lower))
        np.testing.assert_allclose(np.sum(grid.weights()), volume, rtol=1e-14)
        np.testing.assert_allclose(
            grid.integrate(jnp.ones((2, *grid.shape))), [volume] * 2, rtol=1e-14
        )
        assert grid.size == np.prod(grid.shape)


def test_uniform_grid_equals_its_unequal_description(x64):
    cells, faces = pc.Grid.uniform(-1.0, 3.0, 8), np.linspace(-1, 3, 9)
    for a, b in (
        (cells, pc.Grid.cells(faces)),
        (pc.Grid.uniform(-1.0, 3.0, 9, "nodes"), pc.Grid.nodes(faces)),
    ):
        np.testing.assert_allclose(a.coordinates[0], b.coordinates[0], atol=1e-15)
        np.testing.assert_allclose(a.weights(), b.weights(), rtol=1e-14)
        np.testing.assert_allclose(a.faces(), b.faces(), atol=1e-14)
        assert a.is_uniform()
        assert not b.is_uniform()


def test_faces_of_nodes_bound_their_control_volumes(x64):
    grid = pc.Grid.nodes(np.array([0.0, 0.2, 1.0]))
    np.testing.assert_allclose(grid.faces(), [0, 0.1, 0.6, 1.0])
    np.testing.assert_allclose(grid.widths(), [0.1, 0.5, 0.4])


def test_positions_are_differences_of_float64_input():
    """Faces around 1e6: float32 differences would be off by 6 %."""
    grid = pc.Grid.cells(1e6 + np.linspace(0, 1, 11))
    np.testing.assert_allclose(grid.widths(), 0.1, rtol=1e-6)


#: Map coordinates in metres, 1e7 spacings from zero.
FAR = 4.5e6


@pytest.mark.parametrize("location", ["cells", "nodes"])
@pytest.mark.parametrize("uniform", [True, False])
def test_positions_far_from_zero_are_never_rounded_then_subtracted(location, uniform):
    """Rows on u = 2 (x - x0) and (x - x0)², 1e7 spacings from zero as next to it."""
    points = np.linspace(0.0, 15.0, 51)
    points = points if uniform else points + 0.1 * np.sin(points)

    def grid(offset):
        if uniform:
            n = 50 if location == "cells" else 51
            return pc.Grid.uniform(offset, offset + 15.0, n, location)
        return getattr(pc.Grid, location)(offset + points)

    far, near = grid(FAR), grid(0.0)
    x = near.coordinates[0]
    np.testing.assert_allclose(far.offsets(), x, rtol=1e-6)
    line = 2 * x
    for side, sign in ((0, 1), (1, 1)):
        sides = [pc.Outflow(), pc.Outflow()]
        sides[side] = pc.Neumann(0.0)
        slope = pc.boundary_values(far, pc.Boundary(tuple(sides))).operator.mv(line)
        np.testing.assert_allclose(slope, 2 * sign, rtol=3e-5)
    second = pc.conditioning.second_difference(far).operator.mv(x**2)
    np.testing.assert_allclose(second, 2.0, rtol=1e-3)
    at = np.array([1.1, 7.77, 13.3])
    for width in (None, 0.4):
        found = pc.conditioning.sensors(far, FAR + at, at, width=width).operator.rows()
        want = pc.conditioning.sensors(near, at, at, width=width).operator.rows()
        np.testing.assert_allclose(found, want, atol=1e-6)
    if location == "nodes":
        np.testing.assert_allclose(found @ line, 2 * at, rtol=1e-6)


def test_sensors_of_a_long_grid_need_no_square_array():
    """A hundred thousand cells: interpolating unit vectors would take 40 GB."""
    grid = pc.Grid.uniform(0.0, 1.0, 100_000)
    at = np.array([0.7654321, 0.99999])
    rows = np.asarray(pc.conditioning.sensors(grid, at, at).operator.rows(), float)
    centres = (np.arange(100_000) + 0.5) / 100_000
    np.testing.assert_allclose(rows @ centres, at, atol=1e-7)


def test_sensor_rows_have_gradients_in_the_position():
    grid = pc.Grid.uniform(0.0, 1.0, 5, location="nodes")
    u = jnp.array([0.0, 1.0, 4.0, 9.0, 16.0])

    def reading(at):
        return pc.conditioning.sensors(grid, at[None], at[None]).operator.mv(u)[0]

    assert float(jax.jit(jax.grad(reading))(jnp.array(0.6))) == pytest.approx(20.0)


@pytest.mark.parametrize("rule", ["trapezoid", "simpson", "spline"])
def test_weights_do_not_depend_on_the_unit_of_length(rule):
    points = np.array([0.0, 1.0, 2.5, 3.0, 5.0, 6.0])
    expected = pc.Grid.nodes(points).weights(rule)
    for unit in (1e-30, 1e30):
        found = pc.Grid.nodes(unit * points).weights(rule) / unit
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_changed_domain_neither_recompiles_nor_lacks_a_gradient():
    traces = []

    @eqx.filter_jit
    def mass(upper):
        traces.append(1)
        grid = pc.Grid.uniform(0.0, upper, 4)
        return grid.integrate(grid.coordinates[0] ** 2)

    assert mass(jnp.asarray(1.0)) != mass(jnp.asarray(2.0))
    assert len(traces) == 1
    # Midpoint sum of x² over [0, L] is L³ (1/3 - 1/(12 n²)).
    np.testing.assert_allclose(
        jax.grad(mass)(jnp.asarray(2.0)), 12 * (1 / 3 - 1 / 192), rtol=1e-6
    )


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_one_sided_derivative_is_exact_for_polynomials(order, x64):
    x = np.array([0.3, 0.5, 0.55, 1.0, 1.2])[: order + 1]
    for positions in (x, x[::-1]):
        c = one_sided_derivative(jnp.asarray(positions.copy()))
        for k in range(order + 1):
            want = k * positions[0] ** max(k - 1, 0)
            np.testing.assert_allclose(c @ positions**k, want, atol=1e-11)


def test_boundary_values_are_leaves_and_functions_of_time_are_evaluated():
    boundary = pc.Boundary((pc.Dirichlet(jnp.sin), pc.Neumann(2.0)), pc.Periodic())
    now = boundary.at(0.5)
    assert boundary.ndim == 2
    assert boundary.is_periodic(1)
    assert not boundary.is_periodic(0)
    np.testing.assert_allclose(jax.tree.leaves(now), [np.sin(0.5), 2.0], rtol=1e-6)
