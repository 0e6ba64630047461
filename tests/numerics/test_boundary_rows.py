"""Rows next to a side: exact for polynomials, in any unit, far from the origin."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon.boundary_rows import side_rows
from physcon.operators import lift, overwrite, residuals

FACES = np.array([0.0, 0.3, 0.5, 1.1, 1.6, 2.0, 2.7])
ENDS = pc.Boundary((pc.Robin(2.0, -3.0, 1.0), pc.Neumann(0.5)))


def grid_at(location, unit=1.0, offset=0.0, uniform=False):
    """The same grid in another unit of length, moved by `offset` of its lengths."""
    if uniform:
        ends = (offset * unit, (offset + 1) * unit)
        return pc.Grid.uniform(*ends, 8, location=location)
    make = pc.Grid.cells if location == "cells" else pc.Grid.nodes
    return make((FACES + offset) * unit)


def matrix(boundary, grid, order=2):
    """The rows over the whole axis, one below the other."""
    rows = side_rows(boundary, grid, order)[0]
    return np.stack([np.asarray(row.dense(grid.shape[0])) for row in rows])


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("location", ["cells", "nodes"])
def test_rows_do_not_depend_on_the_position_of_the_grid(location, uniform):
    """Coordinates moved by 1e7 spacings collapse in float32; the rows must not."""
    expected = matrix(ENDS, grid_at(location, uniform=uniform))
    far = grid_at(location, offset=2.0**23, uniform=uniform)
    assert np.diff(np.asarray(far.coordinates[0])).min() == 0.0
    np.testing.assert_allclose(matrix(ENDS, far), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("unit", [1e-30, 1e30])
@pytest.mark.parametrize("location", ["cells", "nodes"])
def test_rows_in_any_unit_of_length(location, unit):
    """The weights of a slope have the dimension of 1 / length, and nothing else."""
    slopes = pc.Boundary((pc.Neumann(0.0), pc.Neumann(0.0)))
    expected = matrix(slopes, grid_at(location), order=3)
    got = matrix(slopes, grid_at(location, unit), order=3).astype(np.float64) * unit
    np.testing.assert_allclose(got, expected, rtol=2e-6)


@pytest.mark.parametrize("location", ["cells", "nodes"])
def test_a_large_constant_field_has_no_slope(location):
    """1e7 plus a slope of 1 in float32: only the rounding of the field is seen."""
    slopes = pc.Boundary((pc.Neumann(0.0), pc.Neumann(0.0)))
    grid = grid_at(location)
    for row in side_rows(slopes, grid)[0]:
        got = float(row(jnp.full((1, *grid.shape), 1e7))[0])
        assert (
            abs(got) <= 1e7 * 4 * np.finfo(np.float32).eps * np.abs(row.weights).sum()
        )


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_cells_and_nodes_share_one_formula(order, x64):
    """Both are exact for a polynomial of degree `order`, at both ends."""
    p = np.polynomial.Polynomial(np.arange(1.0, order + 2))
    for location in ("cells", "nodes"):
        grid = grid_at(location)
        u = p(np.asarray(grid.coordinates[0]))
        ends = pc.Boundary((pc.Dirichlet(0.0), pc.Neumann(0.0)))
        value, slope = matrix(ends, grid, order) @ u
        np.testing.assert_allclose([value, slope], [p(0.0), p.deriv()(2.7)], rtol=1e-10)


def test_a_periodic_axis_of_cells_joins_unequal_ends(x64):
    """Extrapolated to the shared face from both sides, a linear field has one jump."""
    grid = grid_at("cells")
    row = matrix(pc.Boundary(pc.Periodic()), grid, 1)[0]
    np.testing.assert_allclose(row @ grid.coordinates[0], 0.0 - 2.7, rtol=1e-12)
    np.testing.assert_allclose(row @ np.ones(6), 0.0, atol=1e-12)


@pytest.mark.parametrize("form", [lift, overwrite])
@pytest.mark.parametrize(("unit", "offset"), [(1.0, 2.0**23), (1e-20, 0), (1e20, 0)])
def test_corrections_in_any_unit_and_far_from_the_origin(form, unit, offset, rng):
    """Value on one side, slope on the other, on a stretched grid: as at the origin."""
    u = jnp.asarray(rng.normal(size=(2, 7)), jnp.float32)

    def corrected(unit, offset):
        grid = grid_at("nodes", unit, offset)
        boundary = pc.Boundary((pc.Dirichlet(1.5), pc.Neumann(-0.5 / unit)))
        out = form(u, boundary, grid)
        missed = [float(jnp.abs(r.value).max()) for r in residuals(out, boundary, grid)]
        assert missed[0] == 0.0
        assert missed[1] * unit <= 2e-5
        return out

    np.testing.assert_allclose(corrected(unit, offset), corrected(1.0, 0.0), atol=3e-5)


def test_known_data_are_checked_while_tracing_and_leave_no_callback():
    """Walls that are constants of the program: contradictions are found at once."""
    grid = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (6, 5), "nodes")
    good = pc.Boundary(pc.Dirichlet(1.0), (pc.Dirichlet(1.0), pc.Neumann(0.0)))
    program = jax.make_jaxpr(lambda u: lift(u, good, grid))(jnp.zeros((1, 6, 5)))
    assert list(pc.serving.host_callbacks(program)) == []
    bad = pc.Boundary(pc.Dirichlet(1.0), pc.Dirichlet(2.0))
    with pytest.raises(RuntimeError, match="lower side of axis 0 and the lower side"):
        jax.eval_shape(lambda u: lift(u, bad, grid), jnp.zeros((1, 6, 5)))


@pytest.mark.parametrize("wide", [False, True])
def test_lift_under_strict_promotion(wide):
    """Float32 fields stay float32, also with 64 bits on; the spacing has a slope."""
    grid = grid_at("nodes")
    u = jnp.linspace(0.0, 1.0, 7, dtype=jnp.float32)[None] ** 2

    def total(scale):
        spacings = tuple(scale.astype(x.dtype) * x for x in grid.spacings)
        stretched = eqx.tree_at(lambda g: g.spacings, grid, spacings)
        return jnp.sum(lift(u, ENDS, stretched, throw=False))

    with jax.numpy_dtype_promotion("strict"), jax.enable_x64(wide):
        assert lift(u, ENDS, grid).dtype == jnp.float32
        one, step = jnp.ones((), jnp.float32), jnp.asarray(0.01, jnp.float32)
        slope = jax.grad(total)(one)
        expected = (total(one + step) - total(one - step)) / (2 * step)
    np.testing.assert_allclose(slope, expected, rtol=0.02)
