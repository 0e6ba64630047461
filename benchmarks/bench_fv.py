"""Finite-volume throughput in million cell steps per second.

    taskset -c 0 python benchmarks/bench_fv.py [--parts rates batch] [--dtypes float64]

The CFL reduction is part of every step, and the compile time is reported. A
hand-written C loop of the same MUSCL-HLLC scheme (euler_muscl.c, compiled on the spot)
runs for comparison, and its result is compared with ours. Then follow the gradient of
500 steps in 1-D and of 50 in 2-D relative to the solve, 64 problems by vmap and by map
relative to 64 solves, and 2-D runs on one core and on two. If clawpack can be imported
(`pip install clawpack`, which needs gfortran), its SharpClaw and classic solvers run
the same problems in float64, as whole solves with their own CFL control, interleaved
with ours; otherwise the file says so. Pin this to one core (`taskset -c 0`): rates are
cell steps per second of processor time, so that other programs on the machine disturb
them little; the file records the load. The runs on two cores use the second core by
themselves and count seconds of the clock, which needs a quiet machine. Parts and
precisions that are not run keep their earlier results, with the commit that these were
measured at.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from _clawpack import pyclaw
from _euler_c import c_loop
from _fv_problems import SCHEMES, dam, quadrants, sod, wave
from _fv_transforms import WIDE, batch, gradient, second_core
from _record import RESULTS, interleaved, measured_at, record
from physcon import parallel
from physcon.fv import Advection, Burgers, solve

PARTS = ("rates", "gradient", "batch", "second_core")
DTYPES = ("float64", "float32")


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
    options: dict[str, Any] = {"times": jnp.asarray([end]), "cfl": cfl, "throw": False}
    solver = solve
    if jax.device_count() > 1:
        mesh = jax.make_mesh((jax.device_count(),), ("x",))
        axes = (*(None,) * (grid.ndim - 1), "x")
        u = parallel.shard(u, mesh, jax.P(None, *axes))
        options |= {"mesh": mesh, "axes": axes}
        solver = parallel.solve

    @jax.jit
    def run(u):
        return solver(u, law, grid, boundary, SCHEMES[scheme], **options)

    start = time.perf_counter()
    compiled = run.lower(u).compile(compiler_options=WIDE)
    seconds = time.perf_counter() - start

    def call():
        out = jax.block_until_ready(compiled(u))
        assert int(out.status) == 0
        return grid.size * int(out.steps)

    return call, seconds


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
    for name, seconds in interleaved(calls, repeats, clock=time.process_time).items():
        rate = cell_steps[name] / seconds["run_s"] / 1e6
        row = {"case": name, "dtype": dtype, "million_cell_steps_per_s": rate}
        row["best"] = cell_steps[name] / seconds["run_min_s"] / 1e6
        row["compile_s"] = compile_seconds.get(name)
        row["largest_difference_from_ours"] = finals.get(name)
        rows.append(row)
        print(f"{name:38s} {dtype} {rate:8.2f} (best {row['best']:8.2f})", flush=True)
    return rows, absent


def worker(side: int, cores: list[int]) -> None:
    """Best rates of 2-D cases on the given cores and all devices, as JSON."""
    os.sched_setaffinity(0, cores)  # before XLA starts its threads
    chosen = {
        name: case for name, case in cases(100, side).items() if "2d muscl" in name
    }
    calls = {name: ours(*case)[0] for name, case in chosen.items()}
    cell_steps = {name: call() for name, call in calls.items()}
    times = interleaved(calls, 3)
    best = {name: cell_steps[name] / times[name]["run_min_s"] / 1e6 for name in calls}
    print(json.dumps(best))


def kept(path: Path, parts: list[str], dtypes: list[str]) -> dict[str, Any]:
    """The results of an earlier file that are not measured again."""
    content = json.loads(path.read_text()) if path.is_file() else {"results": {}}
    before = content["results"]
    about = {"measured": measured_at(content)} if before else {}

    def others(part: str, rows: list[dict]) -> list[dict]:
        again = dtypes if part in parts else []
        return [about | row for row in rows if row["dtype"] not in again]

    found: dict[str, Any] = {
        name: others("rates" if name == "rows" else name, before.get(name, []))
        for name in ("rows", "gradient", "batch")
    }
    pairs = before.get("second_core", {})
    again = dtypes if "second_core" in parts else []
    found["second_core"] = {k: about | v for k, v in pairs.items() if k not in again}
    return found


def measure(options: argparse.Namespace, dtype: str, results: dict[str, Any]) -> None:
    """Add the chosen parts in one precision to the results."""
    repeats = options.repeats
    with jax.enable_x64(dtype == "float64"):
        if "rates" in options.parts:
            rows, absent = rates(options.cells, options.side, dtype, repeats)
            results["rows"] += rows
            results["not_installed"] = absent or results["not_installed"]
        if "gradient" in options.parts:
            for problem, steps in ((sod(1000), 500), (quadrants(64), 50)):
                row = gradient(problem, SCHEMES["muscl"], repeats, steps)
                results["gradient"].append({"dtype": dtype, **row})
        if "batch" in options.parts:
            row = batch(sod(1000), SCHEMES["muscl"], repeats)
            results["batch"].append({"dtype": dtype, **row})
    if "second_core" in options.parts:
        arguments = ["--dtype", dtype, "--side", str(2 * options.side)]
        results["second_core"][dtype] = second_core(Path(__file__), arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default=str(RESULTS / "bench_fv.json"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", default="float32", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        with jax.enable_x64(options.dtype == "float64"):
            return worker(options.side, options.cores)
    results = {"cells": options.cells, "side": options.side, "not_installed": []}
    results |= kept(Path(options.output), options.parts, options.dtypes)
    for dtype in options.dtypes:
        measure(options, dtype, results)
    for name in ("gradient", "batch", "second_core"):
        print(name, json.dumps(results[name], indent=1))
    record("fv", results, options.output)


if __name__ == "__main__":
    main()
