"""Implicit diffusion on meshes: exact solutions, the steps on a grid, derivatives."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import fv, mesh
from physcon.boundary import Boundary, Dirichlet, Flux, Neumann, Outflow, Robin

EULER = fv.Scheme(fv.Constant(), step=fv.implicit_euler)
STEP = eqx.filter_jit(fv.implicit_euler)


def _constant(load, u, t):
    return load


def _bent(grid, cut):
    """The cells of a grid in the unit box, cut into triangles or not, and bent."""
    ends = (0.0,) * grid.ndim, (1.0,) * grid.ndim
    base = mesh.triangles(*ends, grid.shape) if cut else mesh.from_grid(grid)
    points = np.asarray(base.points, float)
    waves = np.prod(np.sin(2 * np.pi * points), axis=1, keepdims=True)
    return mesh.from_cells(points + 0.08 * waves, np.asarray(base.corners))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_poissons_equation_converges_with_order_two(dimensions):
    """Bent triangles and hexahedra; one step with a very long dt is steady."""
    errors = []
    for n in (6, 12) if dimensions == 2 else (3, 6):
        grid = pc.Grid.uniform(
            (0.0,) * dimensions, (1.0,) * dimensions, (n,) * dimensions
        )
        box = _bent(grid, cut=dimensions == 2)
        exact = np.prod(np.sin(np.pi * np.asarray(box.centroid, float)), axis=1)
        load = jnp.asarray(dimensions * np.pi**2 * exact, jnp.float32)[None]
        start = jnp.zeros((1, box.size))
        problem = fv.mesh_problem(
            fv.Heat(1.0),
            box,
            {"boundary": Dirichlet(0.0)},
            EULER,
            partial(_constant, load),
        )
        found = STEP(problem, start, jnp.zeros(()), jnp.asarray(1e6))
        missed = np.abs(np.asarray(found)[0] - exact) * np.asarray(box.volume)
        errors.append(missed.sum())
    assert errors[1] < 0.02
    assert np.log2(errors[0] / errors[1]) > 1.8


def test_heat_in_long_steps_converges_with_order_two():
    """sdirk2 with dt twenty times the limit of an explicit step."""
    errors = []
    for n in (6, 12):
        box = _bent(pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (n, n)), cut=False)
        shape = np.cos(np.pi * np.asarray(box.centroid, float)[:, 0])
        scheme = fv.Scheme(step=fv.sdirk2)
        u = jnp.asarray(1 + shape, jnp.float32)[None]
        sides = {"boundary": Neumann(0.0)}
        run = {"times": [0.1], "dt": 0.25 / n}
        new = fv.solve(u, fv.Heat(1.0), box, sides, scheme, **run).u[0, 0]
        exact = 1 + np.exp(-0.1 * np.pi**2) * shape
        errors.append(np.sum(np.abs(np.asarray(new) - exact) * np.asarray(box.volume)))
        np.testing.assert_allclose(box.integrate(new), box.integrate(u[0]), rtol=2e-6)
    assert errors[1] < 3e-3
    assert np.log2(errors[0] / errors[1]) > 1.8


FACES = np.cumsum([0.0, *np.linspace(0.5, 1.5, 10)])
LINE = pc.Grid.cells(FACES)
ROW = mesh.from_grid(pc.Grid.cells(FACES, np.array([0.0, 1.0])))
SPLIT = fv.Strang(fv.ssp_rk2, fv.implicit_euler)


@pytest.mark.parametrize(
    ("law", "scheme", "left", "right"),
    [
        (fv.PorousMedium(2.0), EULER, Dirichlet(1.0), Robin(1.0, 2.0, 0.3)),
        (fv.PorousMedium(1.0, "arithmetic"), EULER, Flux(0.3), Outflow()),
        (
            fv.Mixed(fv.Burgers(), fv.Heat(0.3)),
            fv.Scheme(fv.Constant(), fv.godunov, SPLIT),
            Flux(0.3),
            Outflow(),
        ),
    ],
)
def test_a_row_of_cells_takes_the_steps_of_a_grid(law, scheme, left, right):
    """A front into an empty part, on cells of different widths."""
    u = jnp.asarray([[1.0, 0.9, 0.5, 0.2, 0.1, 0, 0, 0, 0, 0]])
    run = {"times": [1.0], "dt": 0.25}
    one = fv.solve(u, law, LINE, Boundary((left, right)), scheme, **run).u[0]
    inward = Flux(-left.flux) if isinstance(left, Flux) else left  # along the normal
    sides = {"left": inward, "right": right, "bottom": Outflow(), "top": Outflow()}
    two = fv.solve(u, law, ROW, sides, scheme, **run).u[0]
    np.testing.assert_allclose(two, one, rtol=2e-5, atol=2e-6)
    assert float(two.min()) > -1e-6


def test_derivatives_of_a_step_are_those_of_its_equation():
    """Forward, reverse and second derivatives against differences, in float64."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (2, 2), distortion=0.2)
        u = 1 + 0.3 * jnp.sin(7 * box.centroid[:, 0])[None]
        rest = dict.fromkeys(("left", "bottom", "top"), Outflow())

        def total(x):
            sides = {**rest, "right": Dirichlet(x)}
            law = fv.PorousMedium(1 + 0.2 * x)
            problem = fv.mesh_problem(law, box, sides, EULER)
            new = fv.implicit_euler(problem, u * x, 0.0 * x, 0.3 * x)
            return jnp.sum(jnp.sin(new[0]) * box.volume)

        def slope(x):
            return jax.jvp(total, (x,), (jnp.ones_like(x),))

        twice = jax.jit(lambda x: jax.jvp(slope, (x,), (jnp.ones_like(x),)))
        at = jnp.asarray(1.1)
        (_, first), (_, second) = twice(at)
        (above, first_above), _ = twice(at + 1e-5)
        (below, first_below), _ = twice(at - 1e-5)
        np.testing.assert_allclose(first, (above - below) / 2e-5, rtol=1e-7)
        np.testing.assert_allclose(
            second, (first_above - first_below) / 2e-5, rtol=1e-6
        )
        np.testing.assert_allclose(jax.jit(jax.grad(total))(at), first, rtol=1e-12)


def test_a_hyperbolic_law_is_refused():
    sides = dict.fromkeys(("left", "right", "bottom", "top"), Outflow())
    with pytest.raises(ValueError, match="Strang for waves"):
        fv.solve(jnp.ones((1, 10)), fv.Burgers(), ROW, sides, EULER, times=[1], dt=1.0)
