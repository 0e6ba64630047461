"""Williamson's test case 5 on the cubed sphere: zonal flow over a mountain.

    python benchmarks/bench_sphere.py [--cells 10 20 40] [--days 15] [--output ...]

Prints how well mass and energy are conserved, and how far the height is from the one of
the next finer mesh, whose cells are nested in the coarser ones.

Source: Williamson, Drake, Hack, Jakob and Swarztrauber, J. Comput. Phys. 102 (1992)
211, sec. 3.5.
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from _record import record
from physcon import fv, mesh

RADIUS = 6.37122e6
GRAVITY = 9.80616
SPIN = 7.292e-5
DAY = 86_400.0


def case_5(n: int) -> tuple[mesh.Mesh, jax.Array, Any]:
    """The mesh, the initial averages, and the Coriolis force as a source."""
    ball = mesh.cubed_sphere(n, RADIUS)
    r = np.asarray(ball.centroid, float) / RADIUS
    wind = 20.0
    longitude = np.arctan2(r[:, 1], r[:, 0]) % (2 * np.pi)
    latitude = np.arcsin(np.clip(r[:, 2], -1, 1))
    reach = np.pi / 9
    far = np.hypot(longitude - 1.5 * np.pi, latitude - np.pi / 6)
    bed = 2000 * (1 - np.minimum(far, reach) / reach)
    drop = RADIUS * SPIN * wind + wind**2 / 2
    surface = 5960 - drop * r[:, 2] ** 2 / GRAVITY
    depth = surface - bed
    velocity = wind * np.stack([-r[:, 1], r[:, 0], 0 * r[:, 0]])
    u = jnp.asarray(np.vstack([depth, depth * velocity, bed]))
    up = jnp.asarray(r.T)
    coriolis = 2 * SPIN * jnp.asarray(r[:, 2])

    def source(u: jax.Array, t: jax.Array) -> jax.Array:
        turn = jnp.cross(up, u[1:4], axis=0)
        none = jnp.zeros_like(u[:1])
        return jnp.concatenate([none, -coriolis[None] * turn, none])

    return ball, u, source


def energy(ball: mesh.Mesh, u: jax.Array) -> float:
    """Kinetic and potential energy, per density."""
    depth, *momentum, bed = u
    kinetic = 0.5 * sum(m**2 for m in momentum) / depth
    potential = 0.5 * GRAVITY * ((depth + bed) ** 2 - bed**2)
    return float(ball.integrate(kinetic + potential))


def coarsened(fine: np.ndarray, volume: np.ndarray, n: int) -> np.ndarray:
    """Averages over the cells of the mesh with n in place of 2 n cells a side."""
    shape = (6, n, 2, n, 2)
    total = (fine * volume).reshape(shape).sum(axis=(2, 4))
    return (total / volume.reshape(shape).sum(axis=(2, 4))).ravel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="*", default=[10, 20, 40])
    parser.add_argument("--days", type=float, default=15.0)
    parser.add_argument("--output", default="benchmarks/results/bench_sphere.json")
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    law = fv.ShallowWater(GRAVITY, bed=True)
    scheme = fv.Scheme(fv.Linear("none"), fv.hllc, fv.ssp_rk2)
    rows = []
    before = None
    for n in args.cells:
        ball, u, source = case_5(n)
        began = time.perf_counter()
        found = fv.solve(
            u, law, ball, {}, scheme, times=[args.days * DAY], source=source
        )
        new = jax.block_until_ready(found.u[0])
        seconds = time.perf_counter() - began
        mass = float(ball.integrate(new[0])) / float(ball.integrate(u[0])) - 1
        row = {
            "n": n,
            "steps": int(found.steps),
            "mass": mass,
            "energy": energy(ball, new) / energy(ball, u) - 1,
        }
        height = np.asarray(new[0] + new[4])
        volume = np.asarray(ball.volume)
        if before is not None and n == 2 * before[0]:
            missed = coarsened(height, volume, before[0]) - before[1]
            weight = before[2] / before[2].sum()
            row["l2_to_coarser"] = float(
                np.sqrt(np.sum(weight * missed**2) / np.sum(weight * before[1] ** 2))
            )
        before = n, height, volume
        rows.append(row)
        print(row, f"{seconds:.1f} s", flush=True)
    record("sphere", {"settings": {"days": args.days}, "rows": rows}, args.output)


if __name__ == "__main__":
    main()
