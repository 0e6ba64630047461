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
