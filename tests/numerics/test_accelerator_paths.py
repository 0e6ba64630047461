"""What runs on accelerators instead of the CPU's formulas equals them."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import fv
from physcon._numerics import blocked, products, tridiagonal
from physcon.boundary import (
    Dirichlet,
    Flux,
    Neumann,
    Outflow,
    Periodic,
    Reflective,
)
from physcon.fv._cellwise import cellwise, filled
from physcon.fv.cells import by_cell
from physcon.fv.discretisation import Discretisation
from physcon.fv.protocols import HasContact
from physcon.fv.sweep import by_axis
from physcon.operators import gains

GRID = pc.Grid.uniform((0.0, 0.0), (1.0, 2.0), (8, 9))
SIDES = pc.Boundary(Periodic(), (Reflective(), Outflow()))


def state(rng, law) -> jax.Array:
    rho = rng.uniform(1.0, 1.5, (1, *GRID.shape))
    v, p = rng.normal(0, 0.3, (2, *GRID.shape)), rng.uniform(2, 3, (1, *GRID.shape))
    return jnp.asarray(law.conservative(jnp.concatenate([rho, v, p])), jnp.float32)


@pytest.mark.parametrize(
    ("law", "scheme"),
    [
        (fv.Euler(), fv.Scheme(fv.MUSCL(), fv.hllc)),
        (fv.Euler(), fv.Scheme(fv.WENO(3, variables="characteristic"), fv.roe)),
        (fv.ShallowWater(1.0, bed=True), fv.Scheme(fv.MUSCL(), fv.hll)),
    ],
)
def test_a_tendency_cell_by_cell_is_that_of_whole_arrays(rng, law, scheme):
    u = state(rng, law)
    problem = Discretisation(law, GRID, SIDES, scheme)
    found, expected = (
        jax.jit(lambda u, fn=fn: fn(problem, u))(u) for fn in (by_cell, by_axis)
    )
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


def test_a_flux_that_compares_all_faces_is_not_evaluated_cell_by_cell(rng):
    """The largest speed of all faces is not the one of the faces of a cell."""

    def global_lax_friedrichs(u_left, u_right, law, axis):
        speed = jnp.max(jnp.maximum(jnp.abs(u_left), jnp.abs(u_right)))
        mean = 0.5 * (law.flux(u_left, axis) + law.flux(u_right, axis))
        return mean - 0.5 * speed * (u_right - u_left)

    def largest_last(cells, law, axis, widths):
        """A reconstruction of the user's own that reads the whole line."""
        left, right = fv.MUSCL()(cells, law, axis, widths)
        return left / jnp.max(cells), right / jnp.max(cells)

    def own_dissipation(u_left, u_right, law, axis):
        """A number for every face of the grid."""
        number = jnp.linspace(1.0, 2.0, GRID.shape[axis] + 1)
        number = number.reshape((1, -1, 1) if axis == 0 else (1, 1, -1))
        mean = 0.5 * (law.flux(u_left, axis) + law.flux(u_right, axis))
        return mean - number * (u_right - u_left)

    largest_last.ghosts = 2
    u = jnp.asarray(rng.normal(size=(1, 8, 9)), jnp.float32)
    muscl = fv.MUSCL()
    hancock = fv.Scheme(muscl, global_lax_friedrichs, fv.muscl_hancock)
    for scheme in (
        fv.Scheme(muscl, global_lax_friedrichs),
        fv.Scheme(muscl, own_dissipation),
        fv.Scheme(largest_last, fv.rusanov),
    ):
        both = [
            fv.tendency(u, fv.Burgers(), GRID, SIDES, replace(scheme, evaluate=way))
            for way in ("cells", "staged")
        ]
        np.testing.assert_allclose(*both, rtol=0, atol=2e-5 * np.abs(both[1]).max())
    both = [
        fv.solve(
            u,
            fv.Burgers(),
            GRID,
            SIDES,
            replace(hancock, evaluate=way),
            times=[0.02],
            throw=False,
        ).u
        for way in ("cells", "staged")
    ]
    assert np.isfinite(both[1]).all()
    np.testing.assert_allclose(*both, rtol=0, atol=2e-5 * np.abs(both[1]).max())


def test_its_gradient_and_batches_too(rng, monkeypatch):
    """A scheme says how it is evaluated; "auto" asks for the backend."""
    law = fv.Burgers()
    u, slope = (
        jnp.asarray(rng.normal(size=(2, 1, 8, 9)), jnp.float32) for _ in range(2)
    )

    def slopes(evaluate):
        scheme = fv.Scheme(fv.MUSCL(), fv.rusanov, evaluate=evaluate)

        def change(u):
            return fv.tendency(u, law, GRID, SIDES, scheme)

        slopes = jax.jit(lambda u: jax.vjp(jax.vmap(change), u)[1](slope)[0])
        return slopes.lower(u).as_text(), slopes(u)

    text, found = slopes("cells")
    _, expected = slopes("fused")
    size = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * size)
    staged, found = slopes("staged")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * size)
    assert staged != text
    assert slopes("auto")[0] == staged
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert slopes("auto")[0] == text


class TwoSpeeds(fv.Law):
    """Burgers' equation, twice as fast along the second axis."""

    def flux(self, u, axis=0):
        return 0.5 * (1 + axis) * u**2

    def mirror(self, u, axis):
        return -u


INFLOW = Dirichlet(jnp.linspace(1.0, 1.2, 9, dtype=jnp.float32)[None])


@pytest.mark.parametrize(
    "sides",
    [
        pc.Boundary((INFLOW, Outflow()), Periodic()),
        pc.Boundary(Periodic(), (Neumann(1.0), Reflective())),
    ],
)
def test_a_step_of_hancock_cell_by_cell_is_that_of_whole_arrays(rng, sides):
    u = jnp.asarray(rng.normal(size=(1, 8, 9)), jnp.float32)
    cells, whole = (
        hancock_step(TwoSpeeds(), GRID, sides, kind) for kind in ("cells", "fused")
    )
    found = cells(u, 0.03)
    np.testing.assert_allclose(found, whole(u, 0.03), rtol=0, atol=2e-6)
    assert np.abs(found - u).max() > 0.1
    slopes = jax.jit(jax.grad(lambda u, dt: jnp.sum(cells(u, dt) ** 3), (0, 1)))
    expected = jax.grad(lambda u, dt: jnp.sum(whole(u, dt) ** 3), (0, 1))(u, 0.03)
    for a, b in zip(slopes(u, 0.03), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_it_keeps_averages_where_half_a_step_would_leave_a_vacuum():
    law, grid = fv.Euler(), pc.Grid.uniform(0.0, 1.0, 12)
    x = jnp.linspace(-1.0, 1.0, 12)
    v = jnp.where(jnp.abs(x) < 0.5, 8 * x, 4 * jnp.sign(x))
    w = [jnp.ones(12), v, jnp.full(12, 0.05)]
    u, walls = law.conservative(jnp.stack(w)), pc.Boundary(Outflow())
    found, expected = (
        hancock_step(law, grid, walls, kind)(u, 0.013) for kind in ("cells", "fused")
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert float(law.primitive(found)[-1].min()) > 0


def test_a_step_of_hancock_has_the_dtype_of_its_state():
    """Where laws and grids hold float64 numbers and promotion is strict."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        grid = pc.Grid.uniform(0.0, 1.0, 8)
        scheme = fv.Scheme(fv.MUSCL(), fv.rusanov, fv.muscl_hancock)
        sides = pc.Boundary(Periodic())
        problem = fv.Problem(fv.Advection(1.0), grid, sides, scheme)
        dt = jnp.float32(0.01)
        u = scheme.step(problem, jnp.ones((1, 8), jnp.float32), 0 * dt, dt)
    assert u.dtype == jnp.float32


def hancock_step(law, grid, sides, evaluate):
    scheme = fv.Scheme(fv.MUSCL(), fv.hllc, fv.muscl_hancock, evaluate)
    if not isinstance(law, HasContact):
        scheme = replace(scheme, riemann=fv.rusanov)
    problem = fv.Problem(law, grid, sides, scheme)
    return jax.jit(lambda u, dt: scheme.step(problem, u, 0 * dt, dt))


@pytest.mark.parametrize("m", [3, 20])  # written out, and as a product of matrices
def test_variances_that_rows_remove_are_those_of_the_cpu(rng, m):
    b, rows, scale = rng.normal(size=(m, m)), rng.normal(size=(m, 700)), rng.random(700)
    expected = np.sum((scale * (b @ (rows * scale))) ** 2, axis=0)
    with jax.enable_x64(True):
        arrays = [jnp.asarray(a) for a in (b, rows, scale)]
        for formula in (blocked._power_in_blocks, blocked._power_point_by_point):
            np.testing.assert_allclose(formula(*arrays), expected, rtol=1e-12)


def test_what_does_not_act_cell_by_cell_is_left_to_whole_arrays():
    u, scheme = jnp.ones((1, 8, 9)), fv.Scheme()
    wall = pc.Boundary(Periodic(), Flux(0.0))
    field = fv.Advection((jnp.ones((9, 9)), jnp.ones((8, 10))))
    assert by_cell(Discretisation(fv.Burgers(), GRID, wall, scheme), u) is None
    assert by_cell(Discretisation(field, GRID, SIDES, scheme), u) is None


def test_stored_ghost_cells_may_vary_along_their_side(rng, monkeypatch):
    """Stencils of many fields read a longer array, here those of few fields too."""
    monkeypatch.setattr("physcon.fv.cells.MOST_SELECTIONS", 0)
    along, across = (jnp.asarray(rng.normal(size=(1, n)), jnp.float32) for n in (8, 9))
    sides = pc.Boundary(
        (Dirichlet(across), Outflow()), (Neumann(along), Dirichlet(along))
    )
    problem = Discretisation(fv.Burgers(), GRID, sides, fv.Scheme(fv.MUSCL()))
    u = jnp.asarray(rng.normal(size=(1, 8, 9)), jnp.float32)
    found = jax.jit(partial(by_cell, problem))(u)
    np.testing.assert_allclose(found, by_axis(problem, u), atol=1e-5)


def test_any_operation_acts_cell_by_cell(rng):
    """A sorting Riemann solver is slower than others there, and as right."""

    def sorted_states(left, right, law, axis):
        return jnp.sort(jnp.concatenate([left, right]), axis=0)[:1]

    scheme = fv.Scheme(fv.MUSCL(), sorted_states)
    problem = Discretisation(fv.Burgers(), GRID, SIDES, scheme)
    u = jnp.asarray(rng.normal(size=(1, 8, 9)), jnp.float32)
    found = jax.jit(partial(by_cell, problem))(u)
    np.testing.assert_allclose(found, by_axis(problem, u), atol=1e-5)


def test_sweeps_in_levels_are_sweeps_in_turn(rng):
    ratios, r = (jnp.asarray(rng.uniform(-1, 0, (n, 2)), jnp.float32) for n in (12, 13))
    for reverse in (False, True):
        expected = tridiagonal._in_turn(ratios, r, reverse)
        found = tridiagonal._in_levels(ratios, r, reverse)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_sums_are_products(rng, monkeypatch):
    rows, x, d = (
        jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((5, 4, 6), (4, 6), 5)
    )
    other = SimpleNamespace(**vars(jax.lax))
    other.platform_dependent = lambda *args, cpu, default: default(*args)

    def results():
        with jax.enable_x64(True):
            wide = [a.astype(jnp.float64) for a in (rows, x, d)]
            found = (
                products.inner(*wide[:2]),
                products.gram(wide[0]),
                products.combine(wide[2], wide[0]),
                products.gram(jnp.tile(wide[0], (4, 1, 1))),
            )
            return [np.asarray(a) for a in found]

    expected = results()
    monkeypatch.setattr(products.jax, "lax", other)
    for a, b in zip(results(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_a_lift_by_sums_is_one_by_products(axis, rng):
    """The value; on a CPU its first and second derivatives too."""
    misfit, gain, *slopes = (
        jnp.asarray(rng.normal(size=s), jnp.float32)
        for s in 2 * ((2, 3, 5, 2), (2, 7)) + ((3, 5, 2),)
    )
    weights = jnp.expand_dims(slopes.pop(), axis)

    def derivatives(form):
        def loss(*at):
            return jnp.sum(weights * jnp.sin(form(axis, *at)))

        gradient = jax.grad(loss, (0, 1))
        return *gradient(misfit, gain), *jax.jvp(
            gradient, (misfit, gain), tuple(slopes)
        )[1]

    expected = gains._by_product(axis, misfit, gain)
    for form in (gains._by_sum, gains._by_sum_once):
        np.testing.assert_allclose(form(axis, misfit, gain), expected, atol=1e-5)
    pairs = derivatives(gains._by_sum_once), derivatives(gains._by_product)
    for found, right in zip(*pairs, strict=True):
        np.testing.assert_allclose(found, right, atol=1e-4)


RESIDUAL_ON_A_TPU = """
import jax, jax.numpy as jnp, physcon as pc
from jax.experimental import topologies
device = topologies.get_topology_desc("v5e:2x2x1", "tpu").devices[0]
place = jax.sharding.SingleDeviceSharding(device)
field = jax.ShapeDtypeStruct((10**8,), jnp.float32, sharding=place)
residual = jax.jit(lambda w, u: pc.integral(w, 1.0).residual(u))
program = residual.lower(field, field).compile()
assert "callback" not in program.as_text()
print(program.memory_analysis().temp_size_in_bytes)
"""


def test_a_residual_fits_into_a_tpu():
    """Float64 sums over 10⁸ numbers, on a device that emulates float64: no copy of the
    field.
    """
    pytest.importorskip("libtpu", reason="needs the TPU's compiler: pip install libtpu")
    alone = {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_WORKER_ID": "0",
    }
    alone |= {
        "TPU_ACCELERATOR_TYPE": "v5litepod-1",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "",
    }
    command = [sys.executable, "-c", RESIDUAL_ON_A_TPU]
    done = subprocess.run(
        command, env=os.environ | alone, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) < 4e6


def test_numbers_of_a_cell_may_be_combined_in_any_way(rng):
    """Everything that a law or a scheme does with its few channels, on fields."""
    fields = [jnp.asarray(rng.uniform(1, 2, 5), jnp.float32) for _ in range(6)]

    def mixed(a):  # (2, 3)
        turned = jnp.flip(a.T, 0).reshape(2, 3) * jnp.array([[1.0, 2.0, 3.0]])
        wet = jnp.all(a > 1.2, axis=0)
        parts = [
            jnp.max(turned, axis=1),
            jnp.sum(a) + a[0, 1:],
            jnp.min(a)[None],
            jnp.cumsum(a[1]),
            jnp.sort(a[0]),
            (a @ a.T)[0],
            a[0, jnp.array([2, 0])],
            jnp.where(wet, 1, a[0]),
            jax.nn.relu(a[0] - 1.5),
        ]
        return jnp.concatenate(parts) ** 3

    found = np.stack(list(cellwise(mixed, filled(fields, (2, 3)))))
    expected = jax.vmap(mixed, -1, -1)(jnp.stack(fields).reshape(2, 3, 5))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
