"""Schemes and problems whose throughput bench_fv.py measures."""

import jax.numpy as jnp

from physcon.boundary import Boundary, Outflow, Periodic
from physcon.fv import (
    MUSCL,
    WENO,
    Euler,
    Scheme,
    ShallowWater,
    godunov,
    hllc,
    muscl_hancock,
)
from physcon.grid import Grid

SCHEMES = {
    "muscl": Scheme(MUSCL(), hllc),
    "hancock": Scheme(MUSCL(), hllc, muscl_hancock),
    "weno5": Scheme(WENO(variables="primitive"), hllc),
    "weno5 characteristic": Scheme(WENO(variables="characteristic"), hllc),
    "scalar": Scheme(MUSCL(), godunov),
}


def sod(cells):
    grid = Grid.uniform(0.0, 1.0, cells)
    left = grid.coordinates[0] < 0.5
    zero = jnp.zeros(cells)
    w = jnp.stack([jnp.where(left, 1.0, 0.125), zero, jnp.where(left, 1.0, 0.1)])
    return Euler().conservative(w), Euler(), grid, Boundary(Outflow())


def quadrants(side):
    grid = Grid.uniform((0.0, 0.0), (1.0, 1.0), (side, side))
    right, upper = (x > 0.8 for x in grid.mesh())

    def by_quadrant(a, b, c, d):
        return jnp.where(upper, jnp.where(right, a, b), jnp.where(right, d, c))

    v = 1.206045378311055
    rho = by_quadrant(1.5, 0.532258064516129, 0.137992831541219, 0.532258064516129)
    p = by_quadrant(1.5, 0.3, 0.029032258064516, 0.3)
    w = jnp.stack([rho, by_quadrant(0.0, v, v, 0.0), by_quadrant(0.0, 0.0, v, v), p])
    return Euler().conservative(w), Euler(), grid, Boundary(Outflow(), Outflow())


def dam(side):
    grid = Grid.uniform((-2.5, -2.5), (2.5, 2.5), (side, side))
    x, y = grid.mesh()
    h = jnp.where(x**2 + y**2 < 0.25, 2.0, 1.0)
    zero = jnp.zeros_like(h)
    return (
        jnp.stack([h, zero, zero]),
        ShallowWater(1.0),
        grid,
        Boundary(Outflow(), Outflow()),
    )


def wave(cells, law):
    grid = Grid.uniform(0.0, 1.0, cells)
    u = 1.5 + jnp.sin(2 * jnp.pi * grid.coordinates[0])
    return u[None], law, grid, Boundary(Periodic())
