"""Williamson's test case 5 on the cubed sphere: zonal flow over a mountain.

    python benchmarks/bench_sphere.py [--cells 10 20 40] [--days 15] [--truncation 63]

For every mesh it records how well mass, energy and potential enstrophy are conserved,
and how far the free surface is from the one of a spectral transform model, which shares
nothing with physcon (`_spectral_sphere.py`); ``--figure`` draws both.

Source: Williamson, Drake, Hack, Jakob and Swarztrauber, J. Comput. Phys. 102 (1992)
211, sec. 3.5, norms in eq. 82 to 84.
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.spatial import cKDTree

from _record import record
from _spectral_sphere import GRAVITY, RADIUS, SPIN, Flow, over_mountain
from physcon import fv, mesh

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


def potential_enstrophy(problem: fv.MeshProblem, u: jax.Array) -> float:
    """∫ (ζ + f)² / 2h, with ζ from the least-squares gradients of the velocity."""
    ball, tables = problem.grid, problem.tables
    velocity = u[1:4] / u[0]
    change = velocity[:, tables.cell] - velocity[:, None]
    slope = jnp.einsum("kdn,ckn->cdn", tables.weights, change)
    curl = [
        slope[2, 1] - slope[1, 2],
        slope[0, 2] - slope[2, 0],
        slope[1, 0] - slope[0, 1],
    ]
    up = jnp.asarray(ball.centroid).T / RADIUS
    total = jnp.sum(up * jnp.stack(curl), axis=0) + 2 * SPIN * up[2]
    return float(ball.integrate(0.5 * total**2 / u[0]))


def averages(flow: Flow, n: int, within: int = 3) -> np.ndarray:
    """Cell averages of the spectral model's free surface, by nested smaller cells."""
    fine = mesh.cubed_sphere(n * within)
    r = np.asarray(fine.centroid, float)
    r = r / np.linalg.norm(r, axis=1)[:, None]
    longitude = np.concatenate([flow.longitude - 2 * np.pi, flow.longitude])
    longitude = np.concatenate([longitude, flow.longitude + 2 * np.pi])
    smooth = RectBivariateSpline(flow.latitude, longitude, np.tile(flow.surface, 3))
    latitude = np.clip(np.arcsin(np.clip(r[:, 2], -1, 1)), *flow.latitude[[0, -1]])
    values = smooth(latitude, np.arctan2(r[:, 1], r[:, 0]) % (2 * np.pi), grid=False)
    volume = np.asarray(fine.volume, float)
    shape = (6, n, within, n, within)
    total = (values * volume).reshape(shape).sum(axis=(2, 4))
    return (total / volume.reshape(shape).sum(axis=(2, 4))).ravel()


def draw(path: str, ball: mesh.Mesh, u: np.ndarray, exact: np.ndarray) -> None:
    """The free surface over the mountain, and how far it is from the reference."""
    import matplotlib.pyplot as plt

    longitude = np.arange(0.25, 360, 0.5)
    latitude = np.arange(-89.75, 90, 0.5)
    a, b = np.meshgrid(np.radians(longitude), np.radians(latitude))
    places = np.stack([np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)], -1)
    _, cell = cKDTree(np.asarray(ball.centroid) / RADIUS).query(places)
    surface = u[0] + u[4]
    missed = surface - exact
    figure, axes = plt.subplots(2, 1, figsize=(7, 6.4), layout="constrained")
    far = np.abs(missed).max()
    panels = (
        (surface, "free surface (m)", "viridis", (None, None)),
        (missed, "minus the spectral model's (m)", "RdBu_r", (-far, far)),
    )
    for ax, (values, label, cmap, limits) in zip(axes, panels, strict=True):
        low, high = limits
        shown = ax.pcolormesh(
            longitude, latitude, values[cell], cmap=cmap, vmin=low, vmax=high
        )
        ring = np.linspace(0, 2 * np.pi, 100)
        ax.plot(270 + 20 * np.cos(ring), 30 + 20 * np.sin(ring), "k--", lw=1)
        ax.set(ylabel="latitude (°)")
        figure.colorbar(shown, ax=ax, label=label)
    axes[1].set_xlabel("longitude (°)")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def solved(n: int, days: float, exact: np.ndarray) -> tuple[dict, mesh.Mesh, Any]:
    """The figures of one mesh, the mesh, and its final state."""
    law = fv.ShallowWater(GRAVITY, bed=True)
    scheme = fv.Scheme(fv.Linear("none"), fv.hllc, fv.ssp_rk2)
    ball, u, source = case_5(n)
    problem = fv.mesh_problem(law, ball, {}, scheme)
    began = time.perf_counter()
    found = fv.solve(u, law, ball, {}, scheme, times=[days * DAY], source=source)
    new = jax.block_until_ready(found.u[0])
    seconds = time.perf_counter() - began
    missed = np.asarray(new[0] + new[4]) - exact
    weight = np.asarray(ball.volume, float) / float(jnp.sum(ball.volume))
    enstrophy = potential_enstrophy(problem, u)
    row = {
        "n": n,
        "steps": int(found.steps),
        "mass": float(ball.integrate(new[0])) / float(ball.integrate(u[0])) - 1,
        "energy": energy(ball, new) / energy(ball, u) - 1,
        "enstrophy": potential_enstrophy(problem, new) / enstrophy - 1,
        "l2": float(np.sqrt(np.sum(weight * missed**2) / np.sum(weight * exact**2))),
        "l_inf": float(np.abs(missed).max() / np.abs(exact).max()),
    }
    print(row, f"{seconds:.1f} s", flush=True)
    return row, ball, new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="*", default=[10, 20, 40])
    parser.add_argument("--days", type=float, default=15.0)
    parser.add_argument("--truncation", type=int, default=63)
    parser.add_argument("--figure")
    parser.add_argument("--output", default="benchmarks/results/bench_sphere.json")
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    coarse = over_mountain(args.truncation * 2 // 3, args.days, 900.0)
    flow = over_mountain(args.truncation, args.days, 720.0)
    known = averages(coarse, 20) - averages(flow, 20)
    uncertain = float(np.sqrt(np.mean(known**2)) / np.mean(flow.surface))
    print(f"the references differ by {uncertain:.1e}", flush=True)
    rows = []
    for n in args.cells:
        exact = averages(flow, n)
        row, ball, new = solved(n, args.days, exact)
        rows.append(row)
        if args.figure and n == args.cells[-1]:
            draw(args.figure, ball, np.asarray(new), exact)
    settings = {"days": args.days, "truncation": args.truncation}
    found = {"settings": settings, "l2_of_references": uncertain, "rows": rows}
    record("sphere", found, args.output)


if __name__ == "__main__":
    main()
