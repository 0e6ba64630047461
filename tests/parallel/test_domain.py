"""Finite volumes on a divided grid: the numbers of one device, its gradients, and no gathers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import CUBE, LINE, PLANE, run, same

import physcon as pc
from physcon import fv, parallel
from physcon.fv.semidiscrete import DEFAULT

SIDES = {
    "periodic": pc.Periodic(),
    "dirichlet, outflow": (pc.Dirichlet(1.2), pc.Outflow()),
    "neumann, robin": (pc.Neumann(0.3), pc.Robin(1.0, 2.0, 0.5)),
    "flux, reflective": (pc.Flux(0.3), pc.Reflective()),
}


@pytest.mark.parametrize("kind", SIDES)
def test_every_boundary_kind_on_stretched_cells(kind, rng):
    """WENO of order 5 reads three cells beyond a side: all of a block of three and no more."""
    grid = pc.Grid.cells(np.cumsum(rng.uniform(0.5, 1.5, 25)))
    u = jnp.asarray(rng.uniform(0.5, 1.5, (1, 24)))
    law, boundary = fv.Mixed(fv.Burgers(), fv.PorousMedium()), pc.Boundary(SIDES[kind])
    scheme = fv.Scheme(fv.WENO(5)) if kind == "periodic" else fv.Scheme(fv.MUSCL())
    if kind == "periodic":
        grid = pc.Grid.uniform(0.0, 1.0, 24)
    rest = (law, grid, boundary, scheme)
    one = jax.jit(lambda u: fv.tendency(u, *rest))(u)
    got, sent = run(lambda u: parallel.tendency(u, *rest, mesh=LINE, axes=("x",)), u)
    same(got, one, 1e-6)
    # To both neighbours: for reconstruction and diffusion; the widths of both, unless all equal.
    assert sent == {"collective-permute": 4 if kind == "periodic" else 8}


def test_varying_velocity_side_values_and_source_in_two_dimensions(rng):
    grid = pc.Grid.uniform((0, 0), (1, 2), (16, 8))
    law = fv.Advection((rng.normal(size=(17, 8)), rng.normal(size=(16, 9))))
    face = jnp.asarray(rng.normal(size=(1, 8)))
    boundary = pc.Boundary((pc.Dirichlet(lambda t: face * (1 + t)), pc.Outflow()), pc.Neumann(0.1))
    u = jnp.asarray(rng.normal(size=(1, 16, 8)))
    rest = (law, grid, boundary, fv.Scheme(fv.MUSCL()), 0.3, lambda u, t: t * u)
    got = parallel.tendency(u, *rest, mesh=PLANE, axes=("x", "y"))
    same(got, jax.jit(lambda u: fv.tendency(u, *rest))(u), 1e-6)


def test_euler_in_three_dimensions_takes_the_same_steps(rng):
    grid, law = pc.Grid.uniform((0, 0, 0), (1, 1, 1), (4, 4, 4)), fv.Euler()
    still = jnp.asarray([1.0, 0.1, 0.0, -0.1, 2.5]).reshape(5, 1, 1, 1)
    u = still * jnp.asarray(rng.uniform(0.9, 1.1, (5, 4, 4, 4)))
    boundary = pc.Boundary(pc.Periodic(), pc.Reflective(), pc.Outflow())
    scheme = fv.Scheme(fv.MUSCL(), fv.rusanov, fv.muscl_hancock)
    rest = (law, grid, boundary, scheme)
    one = fv.solve(u, *rest, times=[0.05, 0.1])
    many = parallel.solve(u, *rest, times=[0.05, 0.1], mesh=CUBE, axes=("x", "y", "z"))
    assert int(one.steps) == int(many.steps)
    assert int(many.status) == 0
    same(many.u, one.u)
    assert {s.data.shape for s in many.u.addressable_shards} == {(2, 5, 2, 2, 2)}


def test_gradient_through_a_solve_whose_steps_depend_on_all_blocks(rng):
    """The time step is CFL / max over devices: its derivative comes from one cell of one block."""
    grid, boundary = pc.Grid.uniform(0.0, 1.0, 16), pc.Boundary((pc.Dirichlet(1.0), pc.Outflow()))
    u = jnp.asarray(rng.uniform(0.5, 1.5, (1, 16)))
    rest = (fv.Burgers(), grid, boundary, fv.Scheme(fv.Constant(), fv.rusanov, fv.forward_euler))
    clock = {"times": [0.1], "max_steps": 9, "loop": "checkpointed", "throw": False}

    def slope(solve, **where):
        def score(u):
            return jnp.sum(jnp.sin(5 * solve(u, *rest, **clock, **where).u))

        return jax.jit(jax.value_and_grad(score))(u)

    one = slope(fv.solve)
    many = slope(parallel.solve, mesh=LINE, axes=("x",))
    same(many[0], one[0])
    same(many[1], one[1], 1e-5)


def test_nan_on_one_device_stops_all_and_says_why():
    grid = pc.Grid.uniform(0.0, 1.0, 16)
    u = jnp.ones((1, 16)).at[0, 3].set(jnp.nan)
    rest = (fv.Burgers(), grid, pc.Boundary(pc.Periodic()), fv.Scheme(fv.Constant()))
    where = {"mesh": LINE, "axes": ("x",), "times": [0.1]}
    assert int(parallel.solve(u, *rest, **where, throw=False).status) == 1
    with pytest.raises(RuntimeError, match="infinite or NaN"):
        parallel.solve(u, *rest, **where)


def test_grids_that_do_not_fit_are_refused():
    law, boundary = fv.Burgers(), pc.Boundary(pc.Periodic())
    where = {"mesh": LINE, "axes": ("x",)}

    def cells(n, scheme=DEFAULT, law=law, boundary=boundary, **where):
        return parallel.tendency(
            jnp.ones((1, n)), law, pc.Grid.uniform(0.0, 1.0, n), boundary, scheme, **where
        )

    with pytest.raises(
        ValueError, match="axis 0 that 8 devices divide evenly, got 20; take 16 or 24"
    ):
        cells(20, **where)
    with pytest.raises(ValueError, match="at least 3 cells on axis 0, got 2"):
        cells(16, fv.Scheme(fv.WENO(5)), **where)
    with pytest.raises(ValueError, match="different axes of the mesh"):
        cells(16, mesh=LINE, axes=("z",))
    with pytest.raises(ValueError, match="for each of 1 axes"):
        cells(16, mesh=LINE, axes=("x", None))
    implicit = fv.Scheme(step=fv.implicit_euler)
    grid, sides = pc.Grid.uniform(0.0, 1.0, 16), pc.Boundary(pc.Neumann())
    with pytest.raises(ValueError, match="none divided among devices"):
        parallel.solve(
            jnp.ones((1, 16)), fv.Heat(), grid, sides, implicit, times=[0.1], dt=0.1, **where
        )
