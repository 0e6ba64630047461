"""Finite volumes on a divided grid: the numbers of one device, its gradients, and no
gathers.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from meshes import CUBE, DEVICES, LINE, PLANE, on_every_mesh, run, same

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
    """WENO of order 5 reads three cells beyond a side: all of a block of three and no
    more.
    """
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
    # To both neighbours: for reconstruction and diffusion; the widths of both, unless
    # all equal.
    assert sent == {"collective-permute": 4 if kind == "periodic" else 8}


def gas(rng):
    w = [rng.uniform(0.8, 1.2, 32), rng.normal(0, 0.2, 32), rng.uniform(0.8, 1.2, 32)]
    return fv.Euler().conservative(jnp.asarray(np.stack(w)))


def lake(rng):
    """Depth, discharge and bed: dry in places."""
    depth = np.maximum(rng.uniform(-0.5, 1, 32), 0)
    return jnp.asarray(np.stack([depth, 0.1 * depth, rng.uniform(0, 1, 32)]))


def medium(rng):
    return jnp.asarray(rng.uniform(0.1, 0.9, (1, 32)))


WALL, HEATED = pc.Reflective(), (pc.Dirichlet(1.0), pc.Dirichlet(0.0))
GIVEN = (pc.Flux(0.3), pc.Robin(1.0, 2.0, 0.5))
LAYERS = fv.Layered(jnp.linspace(0.1, 1, 32) ** 2)
SEVENTH = fv.WENO(7, variables="characteristic")
SPLIT = fv.Strang(fv.forward_euler, fv.implicit_euler)
TENDENCIES = {
    "weno 7": (gas, fv.Euler(), WALL, fv.Scheme(SEVENTH, fv.hllc)),
    "bed": (
        lake,
        fv.ShallowWater(bed=True),
        WALL,
        fv.Scheme(fv.Positive(fv.WENO(5)), fv.hll),
    ),
    "godunov": (
        medium,
        fv.BuckleyLeverett(),
        GIVEN,
        fv.Scheme(fv.Constant(), fv.godunov),
    ),
    "layered": (medium, LAYERS, GIVEN, DEFAULT),
    "stefan's shock": (medium, fv.Stefan(face="shock"), HEATED, DEFAULT),
}
STEPS = {
    "ssp_rk43": (
        medium,
        fv.Traffic(),
        HEATED,
        fv.Scheme(fv.Constant(), fv.roe, fv.ssp_rk43),
    ),
    "strang": (
        medium,
        fv.Mixed(fv.Burgers(), LAYERS),
        GIVEN,
        fv.Scheme(fv.Constant(), step=SPLIT),
    ),
}


@pytest.mark.parametrize("name", TENDENCIES | STEPS)
def test_every_stencil_and_step(name, rng):
    """What reads furthest, what is nonlinear in the neighbours, and what couples all
    cells.
    """
    initial, *rest = (TENDENCIES | STEPS)[name]
    rest.insert(1, pc.Grid.uniform(0.0, 1.0, 32))
    rest[2] = pc.Boundary(rest[2])
    where, clock = {"mesh": LINE, "axes": ("x",)}, {"times": [0.01], "dt": 0.01}
    u = initial(rng)
    if name in STEPS:
        one, got = (
            fv.solve(u, *rest, **clock).u,
            parallel.solve(u, *rest, **clock, **where).u,
        )
    else:
        one = jax.jit(lambda u: fv.tendency(u, *rest))(u)
        got = parallel.tendency(u, *rest, **where)
    same(got, one, 1e-6)


def test_varying_velocity_side_values_and_source_in_two_dimensions(rng):
    grid = pc.Grid.uniform((0, 0), (1, 2), (16, 8))
    law = fv.Advection((rng.normal(size=(17, 8)), rng.normal(size=(16, 9))))
    face = jnp.asarray(rng.normal(size=(1, 8)))
    boundary = pc.Boundary(
        (pc.Dirichlet(lambda t: face * (1 + t)), pc.Outflow()), pc.Neumann(0.1)
    )
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


BOX = pc.Grid.uniform((0, 0, 0), (1, 0.5, 0.25), (8, 4, 2))
OPEN = pc.Boundary((pc.Dirichlet(1.0), pc.Outflow()), pc.Periodic(), pc.Reflective())


def burgers_slope(u, **where):
    """The derivative of states after six steps, and of a tendency, by the initial
    state.
    """
    first = fv.Scheme(fv.Constant(), fv.rusanov, fv.forward_euler)
    clock = {"times": [0.05], "max_steps": 6, "loop": "checkpointed", "throw": False}
    solver, right = (
        (parallel.solve, parallel.tendency) if where else (fv.solve, fv.tendency)
    )

    def score(u):
        later = solver(u, fv.Burgers(), BOX, OPEN, first, **clock, **where)
        rates = right(
            u, fv.Mixed(fv.Burgers(), fv.Heat(0.1)), BOX, OPEN, first, **where
        )
        return jnp.sum(jnp.sin(5 * later.u)) + jnp.sum(
            jnp.sin(0.1 * rates)
        ), later.steps

    return jax.value_and_grad(score, has_aux=True)(u)


@pytest.fixture(scope="module")
def slope_of_one_device():
    u = jnp.asarray(np.random.default_rng(3).uniform(0.5, 1.5, (1, *BOX.shape)))
    return u, jax.jit(burgers_slope)(u)


@on_every_mesh
def test_gradient_through_a_solve_whose_steps_depend_on_all_blocks(
    mesh, axes, slope_of_one_device
):
    """The time step is CFL / max over devices: its derivative comes from one cell of
    one block.
    """
    u, ((value, steps), slope) = slope_of_one_device
    placed = parallel.shard(u, mesh, jax.P(None, *axes))
    got, sent = run(lambda u: burgers_slope(u, mesh=mesh, axes=axes), placed)
    assert int(got[0][1]) == int(steps) > 2
    same(got[0][0], value)
    same(got[1], slope, 1e-5)
    assert set(sent) == {"collective-permute", "all-reduce"}


def test_memory_of_a_long_solve_and_of_its_gradient():
    """Where the caller gives the state away, the result takes its place; the gradient
    keeps O(sqrt(steps)) states and tendencies of a block: 1024 steps keep twice as many
    as 256.
    """
    n = 2**16
    rest = fv.Burgers(), pc.Grid.uniform(0.0, 1.0, n), pc.Boundary(pc.Outflow())
    first = fv.Scheme(fv.Constant(), step=fv.forward_euler)
    on_mesh = jax.NamedSharding(LINE, jax.P(None, "x"))
    u = jax.ShapeDtypeStruct((1, n), np.float32, sharding=on_mesh)
    block = 4 * n // 8

    def last(u, **loop):
        where = {"mesh": LINE, "axes": ("x",), "times": [0.1], "throw": False}
        return parallel.solve(u, *rest, first, **where, **loop).u[-1]

    def memory(fn, donated=()):
        return jax.jit(fn, donate_argnums=donated).lower(u).compile().memory_analysis()

    assert memory(last, (0,)).alias_size_in_bytes == block

    def energy(u, steps):
        return jnp.sum(last(u, loop="checkpointed", max_steps=steps) ** 2)

    few = memory(jax.grad(partial(energy, steps=256)))
    many = memory(jax.grad(partial(energy, steps=1024)))
    grown = many.temp_size_in_bytes - few.temp_size_in_bytes
    # The states between chunks; in a chunk, the states and one tendency a step.
    assert 0 < grown < 3.1 * (32 - 16) * block
    assert many.temp_size_in_bytes < 2.5 * few.temp_size_in_bytes


def test_gradient_of_an_implicit_step_along_two_divided_axes(rng):
    """Lines of 8 and of 4 cells, in blocks of two: tridiagonal systems across all
    blocks.
    """
    grid, h = pc.Grid.uniform((0, 0), (1, 1), (8, 4)), pc.Neumann()
    rest = (
        grid,
        pc.Boundary((pc.Dirichlet(1.0), h), h),
        fv.Scheme(step=fv.implicit_euler),
    )
    u = jnp.asarray(rng.uniform(0.2, 1, (1, 8, 4)))

    def slope(solver, **where):
        def score(u, conductivity):
            clock = {"times": [0.1], "dt": 0.1, "max_steps": 1, "loop": "checkpointed"}
            later = solver(
                u, fv.Heat(conductivity), *rest, **clock, throw=False, **where
            )
            return jnp.sum(jnp.sin(5 * later.u))

        return jax.jit(jax.value_and_grad(score, argnums=(0, 1)))(u, jnp.asarray(2.0))

    got = slope(parallel.solve, mesh=PLANE, axes=("x", "y"))
    jax.tree.map(lambda a, b: same(a, b, 1e-5), got, slope(fv.solve))


@pytest.mark.parametrize("devices", [1, 2, 3])
def test_a_ring_of_few_devices(devices, rng):
    """Both neighbours the same device, or the device itself; an odd ring."""
    mesh, grid = Mesh(DEVICES[:devices], ("x",)), pc.Grid.uniform(0.0, 1.0, 12)
    rest = fv.Burgers(), grid, pc.Boundary(pc.Periodic())
    u = jnp.asarray(rng.uniform(0.5, 1.5, (1, 12)))
    got = parallel.tendency(u, *rest, mesh=mesh, axes=("x",))
    same(got, jax.jit(lambda u: fv.tendency(u, *rest))(u), 1e-6)


def test_a_front_arrives_at_a_sensor_on_one_of_the_devices():
    """All find it; the time has the same derivative by the level as on one device."""
    grid, sides = pc.Grid.uniform(0.0, 1.0, 8), pc.Boundary(pc.Outflow())
    u = jnp.where(grid.coordinates[0] < 0.3, 2.0, 0.5)[None]
    first = fv.Scheme(fv.Constant(), step=fv.forward_euler)

    def arrival(solver, **where):
        def time(level):
            event = fv.Arrival(grid, 0.61, level)
            clock = {"times": [0.4], "event": event, "throw": False}
            found = solver(u, fv.Burgers(), grid, sides, first, **clock, **where)
            return found.event.t, (found.event.u, found.status, found.t)

        return jax.jit(lambda x: jax.jvp(time, (x,), (jnp.ones(()),), has_aux=True))(
            1.2
        )

    one, got = arrival(fv.solve), arrival(parallel.solve, mesh=LINE, axes=("x",))
    assert int(got[2][1]) == 5
    jax.tree.map(lambda a, b: same(a, b, 1e-6), got, one)
    clock = {"times": [0.4], "event": lambda u, t: u[0, 0]}
    with pytest.raises(ValueError, match="an event with a method on_block"):
        parallel.solve(u, fv.Burgers(), grid, sides, **clock, mesh=LINE, axes=("x",))
