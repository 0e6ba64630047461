"""Finite-volume throughput in million cell steps per second.

    python benchmarks/bench_fv.py --output out/bench_fv.json [--repeats 5]

The CFL reduction is part of every step, and the compile time is reported. A
hand-written C loop of the same MUSCL-HLLC scheme (euler_muscl.c, compiled on the spot)
runs for comparison, and its result is compared with ours. Then follow the gradient of
500 steps in 1-D and of 50 in 2-D relative to the solve, 64 problems by vmap and by map
relative to 64 solves, and 2-D runs on one core and on two. If clawpack can be imported
(`pip install clawpack`, which needs gfortran), its SharpClaw and classic solvers run
the same problems in float64, as whole solves with their own CFL control, interleaved
with ours; otherwise the file says so. Run this on a quiet machine, pinned to one core
(`taskset -c 0`); the file records the load. The runs on two cores use the second core
by themselves.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from _euler_c import c_loop
from _fv_transforms import WIDE, batch, gradient, second_core
from _record import interleaved, record
from physcon.boundary import Boundary, Outflow, Periodic
from physcon.fv import (
    MUSCL,
    WENO,
    Advection,
    Burgers,
    Euler,
    Scheme,
    ShallowWater,
    godunov,
    hllc,
    muscl_hancock,
    solve,
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


def cases(cells, side):
    """Name: (problem, scheme, end time, CFL number): some hundred steps each."""
    return {
        "euler 1d muscl-hllc": (sod(cells), "muscl", 40 / cells, 0.4),
        "euler 1d hancock-hllc": (sod(cells), "hancock", 80 / cells, 0.8),
        "euler 1d weno5-hllc": (sod(cells), "weno5", 40 / cells, 0.4),
        "euler 1d weno5-hllc char": (
            sod(cells),
            "weno5 characteristic",
            20 / cells,
            0.4,
        ),
        "burgers 1d muscl": (wave(cells, Burgers()), "scalar", 40 / cells, 0.4),
        "advection 1d muscl": (wave(cells, Advection(1.0)), "scalar", 100 / cells, 0.4),
        "euler 2d muscl-hllc": (quadrants(side), "muscl", 3 / side, 0.4),
        "euler 2d hancock-hllc": (quadrants(side), "hancock", 6 / side, 0.8),
        "euler 2d weno5-hllc": (quadrants(side), "weno5", 3 / side, 0.4),
        "shallow water 2d muscl-hllc": (dam(side), "muscl", 30 / side, 0.4),
    }


def ours(
    problem, scheme: str, end: float, cfl: float
) -> tuple[Callable[[], int], float]:
    """A function that runs one solve and returns its cell steps; the compile time."""
    u, law, grid, boundary = problem

    @jax.jit
    def run(u):
        options = {"times": jnp.asarray([end]), "cfl": cfl, "throw": False}
        return solve(u, law, grid, boundary, SCHEMES[scheme], **options)

    start = time.perf_counter()
    compiled = run.lower(u).compile(compiler_options=WIDE)
    seconds = time.perf_counter() - start

    def call():
        out = jax.block_until_ready(compiled(u))
        assert int(out.status) == 0
        return grid.size * int(out.steps)

    return call, seconds


def pyclaw(
    dimensions: int, size: int, end: float, sharp: bool, limiter: int | None = None
) -> Callable[[], int] | None:
    """The Euler cases with clawpack, float64; None where it is not installed."""
    try:
        from clawpack import pyclaw, riemann
    except ImportError:
        return None
    if sharp:
        tool = pyclaw.SharpClawSolver1D if dimensions == 1 else pyclaw.SharpClawSolver2D
    else:
        tool = pyclaw.ClawSolver1D if dimensions == 1 else pyclaw.ClawSolver2D
    names = {1: riemann.euler_hlle_1D, 2: riemann.euler_4wave_2D}
    u = np.asarray((sod if dimensions == 1 else quadrants)(size)[0], np.float64)

    def call():
        solver = tool(names[dimensions])
        if sharp:
            solver.time_integrator, solver.lim_type = "SSP33", limiter
            solver.weno_order, solver.char_decomp = 5, 0
            solver.cfl_desired, solver.cfl_max = 0.4, 0.5
        else:
            solver.limiters = pyclaw.limiters.tvd.MC
            solver.cfl_desired, solver.cfl_max = (0.8, 0.9)
            if dimensions == 2:
                solver.dimensional_split = True
        solver.all_bcs = pyclaw.BC.extrap
        domain = pyclaw.Domain(
            [0.0] * dimensions, [1.0] * dimensions, [size] * dimensions
        )
        state = pyclaw.State(domain, solver.num_eqn)
        state.problem_data.update(gamma=1.4, gamma1=0.4, efix=True)
        state.q[: len(u)] = u
        if solver.num_eqn > len(u):
            state.q[len(u) :] = 0
        solver.dt_initial = 0.1 / size
        solver.max_steps = 10**6
        solution = pyclaw.Solution(state, domain)
        solver.setup(solution)
        solver.evolve_to_time(solution, end)
        return size**dimensions * solver.status["numsteps"]

    return call


def rates(
    cells: int, side: int, dtype: str, repeats: int
) -> tuple[list[dict], list[str]]:
    """A row per case of ours, of the C loop and, in float64, of clawpack; and what is
    absent.
    """
    calls, compile_seconds, finals, absent = {}, {}, {}, []
    for name, case in cases(cells, side).items():
        calls[name], compile_seconds[name] = ours(*case)
    for name in ("euler 1d muscl-hllc", "euler 2d muscl-hllc"):
        (u, law, grid, boundary), scheme, end, cfl = cases(cells, side)[name]
        loop = c_loop(np.asarray(u), end, cfl)
        if loop is None:
            absent.append(f"C loop: {name}")
            continue
        calls[f"C loop: {name}"], finals[f"C loop: {name}"] = loop
        loop[0]()
        options = {"times": jnp.asarray([end]), "cfl": cfl}
        mine = solve(u, law, grid, boundary, SCHEMES[scheme], **options).u[0]
        finals[f"C loop: {name}"] = float(np.max(np.abs(mine - loop[1])))
    if dtype == "float64":
        n = cells
        rivals = {
            "clawpack: euler 1d sharpclaw tvd": pyclaw(1, n, 40 / n, True, 1),
            "clawpack: euler 1d sharpclaw weno5": pyclaw(1, n, 40 / n, True, 2),
            "clawpack: euler 1d classic hlle": pyclaw(1, n, 80 / n, False),
            "clawpack: euler 2d sharpclaw tvd": pyclaw(2, side, 3 / side, True, 1),
            "clawpack: euler 2d classic split": pyclaw(2, side, 6 / side, False),
        }
        absent += [name for name, call in rivals.items() if call is None]
        calls.update({name: call for name, call in rivals.items() if call is not None})
    cell_steps = {name: call() for name, call in calls.items()}
    rows = []
    for name, seconds in interleaved(calls, repeats).items():
        rate = cell_steps[name] / seconds["run_s"] / 1e6
        row = {"case": name, "dtype": dtype, "million_cell_steps_per_s": rate}
        row["best"] = cell_steps[name] / seconds["run_min_s"] / 1e6
        row["compile_s"] = compile_seconds.get(name)
        row["largest_difference_from_ours"] = finals.get(name)
        rows.append(row)
        print(f"{name:38s} {dtype} {rate:8.2f} (best {row['best']:8.2f})", flush=True)
    return rows, absent


def worker(side: int, cores: list[int]) -> None:
    """2-D cases on the given cores: best rates, as JSON on the last line."""
    os.sched_setaffinity(0, cores)  # before XLA starts its threads
    chosen = {
        name: case for name, case in cases(100, side).items() if "2d muscl" in name
    }
    calls = {name: ours(*case)[0] for name, case in chosen.items()}
    cell_steps = {name: call() for name, call in calls.items()}
    times = interleaved(calls, 5)
    best = {name: cell_steps[name] / times[name]["run_min_s"] / 1e6 for name in calls}
    print(json.dumps(best))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="out/bench_fv.json")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", default="float32", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        with jax.enable_x64(options.dtype == "float64"):
            return worker(options.side, options.cores)
    results = {
        "cells": options.cells,
        "side": options.side,
        "not_installed": [],
        "rows": [],
    }
    results.update(gradient=[], batch=[], second_core={})
    for dtype in ("float64", "float32"):
        with jax.enable_x64(dtype == "float64"):
            rows, absent = rates(options.cells, options.side, dtype, options.repeats)
            results["rows"] += rows
            results["not_installed"] += absent
            for problem, steps in ((sod(1000), 500), (quadrants(64), 50)):
                row = gradient(problem, SCHEMES["muscl"], options.repeats, steps)
                results["gradient"].append({"dtype": dtype, **row})
            row = batch(sod(1000), SCHEMES["muscl"], options.repeats)
            results["batch"].append({"dtype": dtype, **row})
        arguments = ["--dtype", dtype, "--side", str(options.side)]
        results["second_core"][dtype] = second_core(Path(__file__), arguments)
    for name in ("gradient", "batch", "second_core"):
        print(name, json.dumps(results[name], indent=1))
    record("fv", results, options.output)


if __name__ == "__main__":
    main()
