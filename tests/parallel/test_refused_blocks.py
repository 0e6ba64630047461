"""What a divided grid refuses, and that it says why."""

import jax
import jax.numpy as jnp
import pytest
from meshes import LINE, same

import physcon as pc
from physcon import fv, parallel
from physcon.fv.semidiscrete import DEFAULT


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
            jnp.ones((1, n)),
            law,
            pc.Grid.uniform(0.0, 1.0, n),
            boundary,
            scheme,
            **where,
        )

    with pytest.raises(
        ValueError, match="axis 0 that 8 devices divide evenly, got 20; take 16 or 24"
    ):
        cells(20, **where)
    with pytest.raises(
        ValueError, match="at least 3 cells on axis 0 of each device, got 2"
    ):
        cells(16, fv.Scheme(fv.WENO(5)), **where)
    implicit, sides = fv.Scheme(step=fv.implicit_euler), pc.Boundary(pc.Neumann())
    heat = fv.Heat(), pc.Grid.uniform(0.0, 1.0, 8), sides, implicit
    with pytest.raises(
        ValueError, match="2 or more cells on each device, got 1; divide"
    ):
        parallel.solve(jnp.ones((1, 8)), *heat, times=[0.1], dt=0.1, **where)
    with pytest.raises(ValueError, match="different axes of the mesh"):
        cells(16, mesh=LINE, axes=("z",))
    with pytest.raises(ValueError, match="for each of 1 axes"):
        cells(16, mesh=LINE, axes=("x", None))


def lax_friedrichs(u_left, u_right, law, axis):
    """With the largest speed of all faces."""
    fastest = jnp.max(
        jnp.maximum(law.max_speed(u_left, axis), law.max_speed(u_right, axis))
    )
    mean = 0.5 * (law.flux(u_left, axis) + law.flux(u_right, axis))
    return mean - 0.5 * fastest * (u_right - u_left)


class Drag(fv.Law):
    """A law with an array over the faces that no one cuts."""

    speed: jax.Array

    def flux(self, u, axis=0):
        return self.speed * u


def test_what_a_block_cannot_know_is_refused():
    grid, u = pc.Grid.uniform(0.0, 1.0, 16), jnp.ones((1, 16))
    rest = fv.Burgers(), grid, pc.Boundary(pc.Periodic()), DEFAULT, 0.0

    def forced(source):
        return parallel.tendency(u, *rest, source, mesh=LINE, axes=("x",))

    for source in SOURCES_ALONG_SPACE:
        with pytest.raises(
            ValueError, match=r"a source that acts point by point.*on_block"
        ):
            forced(source)
    with pytest.raises(ValueError, match=r"acts on the block \(1, 2\).*on_block"):
        forced(lambda u, t: grid.coordinates[0][None] * u)
    for source in SOURCES_POINT_BY_POINT:
        same(forced(source), fv.tendency(u, *rest, source), 1e-6)
    scheme = fv.Scheme(riemann=lax_friedrichs)
    with pytest.raises(ValueError, match="a Riemann solver that acts point by"):
        parallel.tendency(u, *rest[:3], scheme, mesh=LINE, axes=("x",))
    with pytest.raises(
        ValueError, match=r"a law .* acts on the block \(1, 3\).*on_block"
    ):
        parallel.tendency(u, Drag(jnp.ones((1, 17))), *rest[1:], mesh=LINE, axes=("x",))


SOURCES_ALONG_SPACE = [
    lambda u, t: u - jnp.mean(u),
    lambda u, t: jnp.roll(u, 1, -1),
    lambda u, t: jnp.gradient(u, axis=-1),
    lambda u, t: jnp.cumsum(u, -1),
    lambda u, t: u @ jnp.ones((2, 2)),
    lambda u, t: u[:, ::-1],
    lambda u, t: u.at[:, 0].set(0),
    lambda u, t: jnp.linspace(0, 1, u.shape[-1])[None],
    lambda u, t: jax.random.normal(jax.random.key(0), u.shape),
]
SOURCES_POINT_BY_POINT = [
    lambda u, t: jnp.stack([jnp.sin(t) * jnp.where(u[0] > 0, u[0] ** 2, 0)]),
    lambda u, t: jnp.zeros_like(u).at[0].add(-9.8 * u[0]),
    lambda u, t: jax.vmap(lambda v: jnp.tanh(jnp.ones((1, 1)) @ v), 1, 1)(u),
    lambda u, t: jax.lax.cond(t > 1, lambda u: u, lambda u: -u, u),
]
