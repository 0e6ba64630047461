"""Finite volumes on meshes: exact states kept, exact solutions met, mass conserved."""

from functools import cache, partial
from itertools import permutations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import fv, mesh
from physcon.boundary import (
    Boundary,
    Dirichlet,
    Flux,
    Neumann,
    Outflow,
    Periodic,
    Reflective,
    Robin,
)

EULER = fv.Euler()
SECOND = fv.Scheme(fv.Linear(), fv.hllc)
FIRST = fv.Scheme(fv.Constant(), fv.hllc)


CHANGE = eqx.filter_jit(lambda problem, u: problem(u, jnp.zeros((), u.dtype)))


def _change(u, law, box, sides, scheme=SECOND):
    """The tendency, by a program that all problems of the same shapes share."""
    return CHANGE(fv.mesh_problem(law, box, sides, scheme), u)


def _sides(condition):
    return dict.fromkeys(("left", "right", "bottom", "top"), condition)


def _mapped(move, shape, lower=(0.0, 0.0), upper=(1.0, 1.0)):
    """Triangles in a box whose nodes are moved by a smooth function."""
    base = mesh.triangles(lower, upper, shape)
    points = np.asarray(base.points, float)
    edges = {
        "left": points[:, 0] == lower[0],
        "right": points[:, 0] == upper[0],
        "bottom": points[:, 1] == lower[1],
        "top": points[:, 1] == upper[1],
    }
    pairs = np.asarray(base.corners)
    pairs = np.concatenate([pairs[:, [0, 1]], pairs[:, [1, 2]], pairs[:, [2, 0]]])
    outer, count = np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)
    outer = outer[count == 1]
    patches = {name: outer[on[outer].all(axis=1)] for name, on in edges.items()}
    return mesh.from_cells(move(points), np.asarray(base.corners), patches)


def test_first_order_on_the_mesh_of_a_grid_is_the_structured_solver(rng):
    grid = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (8, 6))
    w = jnp.asarray(np.exp(0.3 * rng.normal(size=(4, 8, 6))), jnp.float32)
    u = EULER.conservative(w)
    sides = Boundary((Outflow(), Reflective()), (Reflective(), Outflow()))
    patches = {
        "left": Outflow(),
        "right": Reflective(),
        "bottom": Reflective(),
        "top": Outflow(),
    }
    one = fv.solve(u, EULER, grid, sides, FIRST, times=[0.1])
    box = mesh.from_grid(grid)
    two = fv.solve(u.reshape(4, 48), EULER, box, patches, FIRST, times=[0.1])
    assert one.steps == two.steps
    np.testing.assert_allclose(two.u[0], one.u[0].reshape(4, 48), rtol=3e-5, atol=3e-5)


def test_scalar_laws_equal_those_on_a_grid(rng):
    """Burgers by godunov and traffic by rusanov, periodic."""
    grid = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (8, 6))
    u = jnp.asarray(rng.uniform(0.1, 0.9, size=(1, 8, 6)), jnp.float32)
    box = mesh.from_grid(grid, periodic=True)
    around = Boundary(Periodic(), Periodic())
    for law, riemann in ((fv.Burgers(), fv.godunov), (fv.Traffic(), fv.rusanov)):
        scheme = fv.Scheme(fv.Constant(), riemann)
        rest = (law, box, {}, scheme)
        one = CHANGE(fv.Problem(law, grid, around, scheme), u)
        two = jax.jit(lambda u, rest=rest: fv.tendency(u, *rest))(u.reshape(1, 48))
        np.testing.assert_allclose(two, one.reshape(1, 48), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("limiter", ["multidimensional", "venkatakrishnan"])
def test_a_uniform_flow_stays_uniform_on_a_distorted_mesh(limiter):
    box = mesh.triangles((0.0, 0.0), (2.0, 1.0), (6, 5), distortion=0.25)
    w = jnp.array([1.0, 0.7, 0.3, 1.0])
    u = jnp.broadcast_to(EULER.conservative(w[:, None]), (4, box.size))
    given = Dirichlet(u[:, 0])
    sides = {"left": given, "bottom": given, "right": Outflow(), "top": Outflow()}
    scheme = fv.Scheme(fv.Linear(limiter), fv.hllc)
    change = _change(u, EULER, box, sides, scheme)
    np.testing.assert_allclose(change, 0, atol=1e-4)


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_a_lake_stays_at_rest_over_any_bed(order, dry):
    box = mesh.triangles((0.0, 0.0), (2.0, 1.0), (8, 5), distortion=0.25)
    centre = np.asarray(box.centroid)
    bed = np.exp(-20 * ((centre[:, 0] - 1) ** 2 + (centre[:, 1] - 0.5) ** 2))
    bed = jnp.asarray(bed if dry else 0.3 * bed, jnp.float32)
    depth = jnp.maximum(0.5 - bed, 0)
    lake = jnp.stack([depth, 0 * depth, 0 * depth, bed])
    law = fv.ShallowWater(9.81, bed=True)
    reconstruct = fv.Constant() if order == 1 else fv.Positive(fv.Linear())
    scheme = fv.Scheme(reconstruct, fv.hllc)
    change = _change(lake, law, box, _sides(Reflective()), scheme)
    np.testing.assert_allclose(change, 0, atol=3e-5)
    assert (float(depth.min()) == 0) == dry


def test_the_flux_through_a_face_holds_no_push_of_the_bed():
    """In still water it is the pressure of the depth above the higher side's bed."""
    box = mesh.triangles((0.0, 0.0), (2.0, 1.0), (5, 4), distortion=0.25)
    bed = 0.3 * jnp.sin(3 * box.centroid[:, 0])
    lake = jnp.stack([1 - bed, 0 * bed, 0 * bed, bed])
    law = fv.ShallowWater(9.81, bed=True)
    sides = _sides(Outflow())
    flux = jax.jit(lambda u: fv.face_flux(u, law, box, sides, FIRST))(lake)
    inside = np.asarray(box.neighbour) >= 0
    higher = np.maximum(bed[box.owner], bed[box.neighbour])
    pressure = 0.5 * 9.81 * (1 - higher)[:, None] ** 2 * np.asarray(box.normal)
    np.testing.assert_allclose(flux[1:3].T[inside], pressure[inside], atol=2e-6)


def test_water_at_rest_on_a_sphere_stays_at_rest():
    ball = mesh.cubed_sphere(5)
    u = jnp.zeros((4, ball.size)).at[0].set(1.0)
    change = _change(u, fv.ShallowWater(1.0), ball, {})
    np.testing.assert_allclose(change, 0, atol=2e-6)


def _case_2(n, speed=0.3, tilt=0.4):
    """Steady zonal flow, Williamson et al. (1992), with Ω = g = radius = depth = 1."""
    ball = mesh.cubed_sphere(n)
    r = np.asarray(ball.centroid, float)
    r = r / np.linalg.norm(r, axis=1)[:, None]
    axis = np.array([-np.sin(tilt), 0, np.cos(tilt)])
    height = 1 - (speed + speed**2 / 2) * (r @ axis) ** 2
    momentum = height[:, None] * speed * np.cross(axis, r)
    up = jnp.asarray(r.T)
    coriolis = 2 * jnp.asarray(r @ axis)

    def source(u, t):
        turn = jnp.cross(up.astype(u.dtype), u[1:], axis=0)
        return jnp.concatenate([0 * u[:1], -coriolis.astype(u.dtype)[None] * turn])

    return ball, jnp.asarray(np.vstack([height, momentum.T])), source


def test_steady_flow_on_the_sphere_is_kept_to_second_order():
    errors = []
    for n in (16, 32):
        ball, u, source = _case_2(n)
        scheme = fv.Scheme(fv.Linear("none"), fv.hllc)
        law = fv.ShallowWater(1.0)
        new = fv.solve(u, law, ball, {}, scheme, times=[1.0], source=source)
        missed = np.abs(np.asarray(new.u[0, 0] - u[0]) * ball.volume)
        errors.append(missed.sum() / (4 * np.pi))
        rounding = float(jnp.finfo(u.dtype).eps * new.steps)  # one for each step
        total = ball.integrate(u[0])
        np.testing.assert_allclose(ball.integrate(new.u[0, 0]), total, rtol=rounding)
        assert rounding < 2e-5
        radial = np.sum(np.asarray(new.u[0, 1:]) * np.asarray(ball.centroid.T), axis=0)
        np.testing.assert_allclose(radial, 0, atol=1e-6)
    assert errors[1] < 7e-5
    assert np.log2(errors[0] / errors[1]) > 1.8


def _vortex(c, t):
    """The isentropic vortex of Shu (1998), carried along x with speed 1."""
    x = (c[:, 0] - t) % 10 - 5
    y = c[:, 1] - 5
    ring = 5 / (2 * np.pi) * np.exp(0.5 * (1 - x**2 - y**2))
    heat = 1 - 0.4 / 2.8 * ring**2
    w = np.stack([heat**2.5, 1 - ring * y, ring * x, heat**3.5])
    return EULER.conservative(jnp.asarray(w, jnp.float32))


def test_an_isentropic_vortex_on_triangles_converges():
    errors = []
    for n in (32, 64):
        box = mesh.triangles(
            (0.0, 0.0), (10.0, 10.0), (n, n), periodic=True, distortion=0.1
        )
        centre = np.asarray(box.centroid, float)
        u = _vortex(centre, 0.0)
        new = fv.solve(u, EULER, box, {}, SECOND, times=[0.5]).u[0]
        missed = np.abs(np.asarray(new - _vortex(centre, 0.5))[0])
        errors.append(np.sum(missed * np.asarray(box.volume)) / 100)
        for before, after in zip(u, new, strict=True):
            total = float(box.integrate(before))
            assert abs(float(box.integrate(after)) - total) < 5e-6 * max(100, total)
    assert np.log2(errors[0] / errors[1]) > 1.8


def _tetrahedra(n):
    """n³ bent cubes, each cut into the six tetrahedra of Kuhn."""
    ticks = np.stack(np.meshgrid(*[np.arange(n + 1)] * 3, indexing="ij"), -1)
    number = np.arange((n + 1) ** 3).reshape(n + 1, n + 1, n + 1)
    corner = ticks[:-1, :-1, :-1].reshape(-1, 3)
    cells = []
    for order in permutations(range(3)):
        steps = np.eye(3, dtype=int)[list(order)]
        path = [corner, corner + steps[0], corner + steps[:2].sum(0), corner + 1]
        if np.linalg.det(steps) < 0:
            path[1:3] = path[2:0:-1]
        cells.append(np.stack([number[tuple(p.T)] for p in path], axis=1))
    points = ticks.reshape(-1, 3) / n
    waves = np.prod(np.sin(2 * np.pi * points), axis=1, keepdims=True)
    return mesh.from_cells(points + 0.06 * waves, np.concatenate(cells))


def test_a_wave_through_tetrahedra_converges_with_order_two():
    wind = np.array([1.0, 0.5, 0.25])
    law = fv.Advection(tuple(wind))
    scheme = fv.Scheme(fv.Linear("none"), fv.rusanov)
    speed = float(wind @ wind)

    def wave(phase):
        return 1 + 0.5 * jnp.sin(np.pi / 1.75 * phase)

    errors = []
    for n in (6, 12):
        box = _tetrahedra(n)
        centre = np.asarray(box.centroid, float)
        outer = box.boundary_faces("boundary")
        edge = (centre[np.asarray(box.owner)] + np.asarray(box.to_owner))[outer] @ wind
        edge = jnp.asarray(edge, jnp.float32)
        inflow = Dirichlet(lambda t, edge=edge: wave(edge - speed * t)[None])
        u = wave(jnp.asarray(centre @ wind, jnp.float32))[None]
        new = fv.solve(u, law, box, {"boundary": inflow}, scheme, times=[0.3]).u[0, 0]
        missed = np.abs(np.asarray(new - wave(centre @ wind - 0.3 * speed)))
        errors.append(np.sum(missed * np.asarray(box.volume)))
    assert errors[1] < 2e-3
    assert np.log2(errors[0] / errors[1]) > 1.8


@cache
def _sod():
    """Places, areas and primitive variables of Sod's problem at t = 0.2."""
    box = mesh.triangles((0.0, 0.0), (1.0, 0.03), (100, 3), distortion=0.2)
    x = np.asarray(box.centroid)[:, 0]
    rho = jnp.asarray(np.where(x < 0.5, 1.0, 0.125), jnp.float32)
    p = jnp.asarray(np.where(x < 0.5, 1.0, 0.1), jnp.float32)
    u = EULER.conservative(jnp.stack([rho, 0 * rho, 0 * rho, p]))
    ends = {"left": Outflow(), "right": Outflow()}
    sides = {**_sides(Reflective()), **ends}
    new = EULER.primitive(fv.solve(u, EULER, box, sides, SECOND, times=[0.2]).u[0])
    return x, np.asarray(box.volume) / 0.03, np.asarray(new)


def test_sod_in_a_channel_of_triangles():
    """The exact solution of Riemann's problem (Toro 2009, table 4.3)."""
    x, _, new = _sod()
    star = (x > 0.55) & (x < 0.65)  # between the fan and the contact
    np.testing.assert_allclose(np.median(new[0][star]), 0.42632, rtol=5e-3)
    np.testing.assert_allclose(np.median(new[1][star]), 0.92745, rtol=3e-3)
    np.testing.assert_allclose(np.median(new[3][star]), 0.30313, rtol=3e-3)
    behind = (x > 0.72) & (x < 0.82)  # between the contact and the shock
    np.testing.assert_allclose(np.median(new[0][behind]), 0.26557, rtol=1e-2)


def test_sod_against_a_fine_solution(reference):
    fine = reference("fv/sod_1d_N4000_sharpclaw.npz")
    x, area, new = _sod()
    for name, found in zip(("rho", "u", "p"), (new[0], new[1], new[3]), strict=True):
        exact = np.interp(x, fine["x"], fine[name])
        assert np.sum(np.abs(found - exact) * area) < 0.011


def test_a_radial_dam_break_on_triangles_against_a_radial_solution(reference):
    fine = reference("fv/swe_radial_dam_1d_N8000.npz")
    box = mesh.triangles((-2.5, -2.5), (2.5, 2.5), (60, 60), distortion=0.15)
    r = np.linalg.norm(np.asarray(box.centroid, float), axis=1)
    h = jnp.asarray(np.where(r <= 0.5, 2.0, 1.0), jnp.float32)
    u = jnp.stack([h, 0 * h, 0 * h])
    law = fv.ShallowWater(1.0)
    new = fv.solve(u, law, box, _sides(Outflow()), SECOND, times=[1.0]).u[0, 0]
    exact = np.interp(r, fine["r"], fine["h"])
    error = np.sum(np.abs(np.asarray(new) - exact) * np.asarray(box.volume))
    assert error < 0.15 * np.sum(np.abs(exact - 1) * np.asarray(box.volume))


def test_the_oblique_shock_at_a_wedge_has_the_exact_pressure_and_angle():
    """Mach 3 over 15°: shock angle 32.240°, pressure ratio 2.8216 (Anderson 2003)."""
    slope = np.tan(np.deg2rad(15))

    def wedge(points):
        x, y = points.T
        floor = slope * np.maximum(x - 0.25, 0)
        return np.stack([x, floor + (1 - floor) * y], axis=1)

    box = _mapped(wedge, (28, 26))
    speed = 3 * np.sqrt(1.4)
    inflow = EULER.conservative(jnp.array([1.0, speed, 0.0, 1.0])[:, None])
    sides = {
        "left": Dirichlet(inflow[:, 0]),
        "bottom": Reflective(),
        "right": Outflow(),
        "top": Outflow(),
    }
    u = jnp.broadcast_to(inflow, (4, box.size))
    new = fv.solve(u, EULER, box, sides, SECOND, times=[1.0]).u[0]
    p = np.asarray(EULER.primitive(new))[3]
    x, y = np.asarray(box.centroid).T
    shock = np.tan(np.deg2rad(32.240)) * (x - 0.25)
    behind = (x > 0.5) & (x < 0.9) & (y < shock - 0.1)
    np.testing.assert_allclose(np.median(p[behind]), 2.8216, rtol=5e-3)
    ahead = y > shock + 0.08
    np.testing.assert_allclose(p[ahead], 1, atol=0.02)
    column = np.abs(x - 0.85) < 0.025  # where p crosses the middle of the jump
    rank = np.argsort(y[column])
    heights = y[column][rank]
    half = heights[np.flatnonzero(p[column][rank] > 1.91).max()]
    angle = np.rad2deg(np.arctan2(half, 0.85 - 0.25))
    assert abs(angle - 32.24) < 1.5


def _bump(points):
    x, y = points.T
    move = 0.08 * np.sin(2 * np.pi * x) * np.sin(2 * np.pi * y)
    return np.stack([x + move, y + move], axis=1)


@pytest.mark.parametrize("kind", ["values", "slopes"])
def test_heat_on_a_distorted_mesh_converges_with_order_two(kind):
    errors = []
    for n in (6, 12):
        box = _mapped(_bump, (n, n))
        x, y = np.asarray(box.centroid, float).T
        if kind == "values":
            shape, rest, rate = np.sin(np.pi * x) * np.sin(np.pi * y), 0, 2 * np.pi**2
            sides = _sides(Dirichlet(0.0))
        else:
            shape, rest, rate = np.cos(np.pi * x), x, np.pi**2
            sides = _sides(Neumann(0.0))
            sides.update(left=Neumann(-1.0), right=Neumann(1.0), top=Outflow())
        u = jnp.asarray(shape + rest, jnp.float32)[None]
        new = fv.solve(u, fv.Heat(1.0), box, sides, times=[0.03]).u[0, 0]
        exact = np.exp(-0.03 * rate) * shape + rest
        missed = np.abs(np.asarray(new) - exact) * np.asarray(box.volume)
        errors.append(missed.sum())
    assert np.log2(errors[0] / errors[1]) > 1.8


@pytest.mark.parametrize("kind", ["triangles", "boxes"])
def test_linear_temperatures_are_steady(kind):
    """u = 2 + 3x - y with a value, a slope, a given flux, and a mixed condition."""
    if kind == "triangles":
        box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (5, 4), distortion=0.25)
    else:
        box = mesh.from_grid(pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (5, 4)))
    centre = np.asarray(box.centroid, float)
    u = jnp.asarray(2 + 3 * centre[:, 0] - centre[:, 1], jnp.float32)[None]
    height = (centre[np.asarray(box.owner)] + np.asarray(box.to_owner))[:, 1]
    at_left = jnp.asarray(2 - height[box.boundary_faces("left")])[None]
    at_right = jnp.asarray(5 - height[box.boundary_faces("right")])[None]
    sides = {
        "left": Dirichlet(at_left),
        "bottom": Neumann(1.0),
        "top": Flux(1.0),
        "right": Dirichlet(at_right),
    }
    if kind == "boxes":
        sides["right"] = Robin(1.0, 2.0, at_right + 6)
    change = _change(u, fv.Heat(1.0), box, sides)
    np.testing.assert_allclose(change, 0, atol=2e-3)


def test_the_force_on_a_wall_is_differentiable_in_the_inflow():
    box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (4, 4), distortion=0.2)
    wall = box.boundary_faces("top")
    start = EULER.conservative(jnp.array([1.0, 0.1, 0.0, 1.0])[:, None])

    def force(speed):
        zero = jnp.zeros_like(speed)
        inflow = EULER.conservative(jnp.stack([1 + zero, speed, zero, 1 + zero]))
        sides = {**_sides(Reflective()), "left": Dirichlet(inflow)}
        u = jnp.broadcast_to(start, (4, box.size)).astype(speed.dtype)
        run = {"times": [0.3], "dt": 0.03, "throw": False}
        new = fv.solve(u, EULER, box, sides, SECOND, **run)
        p = EULER.primitive(new.u[0])[3]
        return jnp.sum((p[box.owner] * box.area)[wall])

    with jax.enable_x64(True):
        at = jnp.asarray([0.5, 0.5 - 1e-5, 0.5 + 1e-5])
        both = jax.jit(lambda speed: jax.jvp(force, (speed,), (jnp.ones(()),)))
        slope = both(at[0])[1]
        expected = (both(at[2])[0] - both(at[1])[0]) / (at[2] - at[1])
        np.testing.assert_allclose(slope, expected, rtol=1e-5)
        assert abs(float(slope)) > 0.1


def test_reverse_and_forward_derivatives_agree(rng):
    box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (3, 3), distortion=0.2, periodic=True)
    w = np.exp(0.2 * rng.normal(size=(4, box.size)))
    u = EULER.conservative(jnp.asarray(w, jnp.float32))
    du, dv = jnp.asarray(rng.normal(size=(2, *u.shape)), jnp.float32)
    change = partial(fv.tendency, law=EULER, grid=box, boundary={}, scheme=SECOND)

    @jax.jit
    def derivatives(u, du, dv):
        return jax.jvp(change, (u,), (du,))[1], jax.vjp(change, u)[1](dv)[0]

    forward, reverse = derivatives(u, du, dv)
    np.testing.assert_allclose(jnp.sum(dv * forward), jnp.sum(du * reverse), rtol=1e-4)


def test_another_mesh_of_the_same_sizes_does_not_recompile():
    count = 0

    @eqx.filter_jit
    def change(problem, u):
        nonlocal count
        count += 1
        return problem(u, jnp.zeros(()))

    for seed in (0, 1):
        box = mesh.triangles(
            (0.0, 0.0), (1.0, 1.0), (4, 4), distortion=0.2, seed=seed, periodic=True
        )
        problem = fv.mesh_problem(fv.Burgers(), box, {})
        u = jnp.asarray(np.sin(np.asarray(box.centroid)[:, :1].T))
        first = change(problem, u)
        np.testing.assert_array_equal(change(problem, u), first)  # the same bits
        assert abs(float(box.integrate(first[0]))) < 1e-5
    assert count == 1


class TwoLayers(fv.Law):
    """Two layers that don't feel each other: a system of a user's own."""

    def flux(self, u, axis=0):
        one = fv.ShallowWater(1.0)
        return jnp.concatenate([one.flux(u[:3], axis), one.flux(u[3:], axis)])

    def speeds(self, u, axis=0):
        one = fv.ShallowWater(1.0)
        low, high = zip(one.speeds(u[:3], axis), one.speeds(u[3:], axis), strict=True)
        return jnp.minimum(*low), jnp.maximum(*high)

    def mirror(self, u, axis):
        one = fv.ShallowWater(1.0)
        return jnp.concatenate([one.mirror(u[:3], axis), one.mirror(u[3:], axis)])

    def rotate(self, u, turn):
        return jnp.stack([u[0], *turn(u[1], u[2]), u[3], *turn(u[4], u[5])])


def test_a_system_of_a_users_own_turns_with_the_mesh(rng):
    """The same flow on the same mesh turned by 0.7 radians."""
    box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (4, 4), distortion=0.2)
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    points = np.asarray(box.points, float) @ turn.T
    other = mesh.from_cells(points, np.asarray(box.corners))
    u = 1 + 0.2 * jnp.asarray(rng.normal(size=(6, box.size)), jnp.float32)
    law = TwoLayers()

    def turned(u):
        pair = lambda a, b: list(jnp.asarray(turn, u.dtype) @ jnp.stack([a, b]))  # noqa: E731
        return law.rotate(u, pair)

    scheme = fv.Scheme(fv.Linear(variables="conservative"))
    one = _change(u, law, box, _sides(Reflective()), scheme)
    sides = {"boundary": Reflective()}
    flat = fv.Scheme(fv.Constant())
    two = _change(turned(u), law, other, sides, flat)
    first = _change(u, law, box, _sides(Reflective()), flat)
    np.testing.assert_allclose(two, turned(first), rtol=2e-4, atol=5e-4)
    assert np.isfinite(one).all()


@pytest.mark.parametrize("unit", [1e-15, 1e15])
def test_units_do_not_matter(unit, rng):
    box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (4, 4), distortion=0.2, periodic=True)
    w = np.exp(0.2 * rng.normal(size=(4, box.size)))
    u = EULER.conservative(jnp.asarray(w, jnp.float32))
    problem = partial(_change, law=EULER, box=box, sides={})
    scale = jnp.asarray(unit, jnp.float32)
    np.testing.assert_allclose(
        problem(scale * u) / scale, problem(u), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda box: fv.mesh_problem(EULER, box, {}), "one condition for each"),
        (
            lambda box: fv.mesh_problem(EULER, box, {**_sides(Outflow()), "lid": 1}),
            r"\['lid'\] besides",
        ),
        (lambda box: fv.mesh_problem(EULER, box, _sides(0.0)), "a condition on 'left'"),
        (
            lambda box: fv.mesh_problem(fv.Euler, box, _sides(Outflow())),
            "an instance of such a class",
        ),
        (
            lambda box: fv.tendency(
                jnp.ones((4, box.size)),
                EULER,
                box,
                _sides(Outflow()),
                fv.Scheme(fv.WENO()),
            ),
            "use fv.Linear",
        ),
        (
            lambda box: fv.tendency(jnp.ones((4, 3)), EULER, box, _sides(Outflow())),
            r"\(channels, 4\)",
        ),
        (
            lambda box: fv.solve(
                jnp.ones((1, 4)), fv.Burgers(), box, Boundary(Outflow()), times=[1.0]
            ),
            "conditions by patch",
        ),
    ],
)
def test_bad_input_is_refused_by_name(make, message):
    box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (2, 1))
    with pytest.raises(ValueError, match=message):
        make(box)
