"""Error against time to solution of every finite-volume scheme, in float64.

    python benchmarks/bench_fv_accuracy.py [--only sod wave ...] [--output FILE]

Each scheme solves each problem on two grids. The error is the mean absolute error of
the density (or depth) at the end, against an exact solution where there is one, else
against a solution on a much finer grid, which the command computes and keeps in the
folder of --fine. Another scheme is run on the same fine grid: the mean absolute
difference of the two bounds how far an error depends on which of them is the
reference. The time is the processor time of one core for the whole solve, compiled
beforehand. The page on finite volumes shows the time that each scheme needs for the
error of `DEFAULT`, by its order between the two grids.

With --only and --scheme the other rows in the output file are kept.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from _fv_cases import CASES, Case, Fine, coarsened, fine_solution
from _fv_transforms import WIDE
from _record import RESULTS, measured_at, record
from physcon.fv import (
    MUSCL,
    STATUS,
    WENO,
    Constant,
    Scheme,
    forward_euler,
    hll,
    hllc,
    limiter,
    muscl_hancock,
    roe,
    rusanov,
    solve,
    ssp_rk2,
    ssp_rk3,
    ssp_rk43,
)

#: What `physcon solve` does; the others are compared with its error and time.
DEFAULT = "muscl mc, hllc, hancock"
_LIMITERS = ("minmod", "van_leer", "mc", "superbee", "koren")


def schemes() -> dict[str, tuple[Scheme, float]]:
    """Name: scheme and CFL number."""
    found = {}
    for name in _LIMITERS:
        muscl = MUSCL(getattr(limiter, name))
        found[f"muscl {name}, hllc, ssp_rk3"] = Scheme(muscl, hllc), 0.45
    for name in _LIMITERS:
        muscl = MUSCL(getattr(limiter, name))
        found[f"muscl {name}, hllc, hancock"] = Scheme(muscl, hllc, muscl_hancock), 0.9
    muscl = MUSCL(limiter.van_leer)
    for riemann in (rusanov, hll, roe):
        found[f"muscl van_leer, {riemann.__name__}, ssp_rk3"] = (
            Scheme(muscl, riemann),
            0.45,
        )
    for step, cfl in ((ssp_rk2, 0.45), (ssp_rk3, 0.9), (ssp_rk43, 0.9)):
        found[f"muscl van_leer, hllc, {step.__name__}, cfl {cfl}"] = (
            Scheme(muscl, hllc, step),
            cfl,
        )
    for variables in ("conservative", "characteristic"):
        muscl = MUSCL(limiter.van_leer, variables)
        found[f"muscl van_leer {variables}, hllc, ssp_rk3"] = Scheme(muscl, hllc), 0.45
        found[f"muscl van_leer {variables}, hllc, hancock"] = (
            Scheme(muscl, hllc, muscl_hancock),
            0.9,
        )
    for order, weights, variables in (
        (3, "z", "primitive"),
        (5, "js", "primitive"),
        (5, "z", "primitive"),
        (5, "z", "conservative"),
        (5, "js", "characteristic"),
        (5, "z", "characteristic"),
        (7, "z", "characteristic"),
    ):
        weno = WENO(order, weights, variables)
        found[f"weno{order}-{weights} {variables}, hllc, ssp_rk3"] = (
            Scheme(weno, hllc),
            0.45,
        )
    found["constant, hllc, forward_euler"] = (
        Scheme(Constant(), hllc, forward_euler),
        0.9,
    )
    return found


def measured(
    name: str, case: Case, folder: Path, chosen: list[str]
) -> Iterator[dict[str, Any]]:
    """A row per scheme: its errors, and its seconds, on both grids."""
    fine = None if case.scheme is None else _kept_fine(name, case, case.scheme, folder)
    for label in chosen:
        scheme, cfl = schemes()[label]
        row = {"scheme": label, "cells": list(case.sizes), "errors": [], "seconds": []}
        for cells in case.sizes:
            exact = case.exact(cells) if fine is None else coarsened(fine, cells)
            error, seconds, outcome = _one(case, cells, scheme, cfl, exact)
            row["errors"].append(error)
            row["seconds"].append(seconds)
        if None in row["errors"]:
            row["outcome"] = outcome
        print(f"{name:10s} {label:45s} {error} {seconds:9.4f} s {outcome}", flush=True)
        yield row


def _one(case: Case, cells: int, scheme: Scheme, cfl: float, exact: np.ndarray):
    """Error, processor time of a compiled solve, and its outcome."""
    with jax.enable_x64(True):
        u, law, grid, boundary = case.start(cells)

        @jax.jit
        def run(u):
            options = {"times": jnp.asarray([case.end]), "cfl": cfl, "throw": False}
            return solve(u, law, grid, boundary, scheme, **options)

        compiled = run.lower(u).compile(compiler_options=WIDE)
        seconds: list[float] = []
        while sum(seconds) < 0.5 and len(seconds) < 7:
            start = time.process_time()
            out = jax.block_until_ready(compiled(u))
            seconds.append(time.process_time() - start)
    solved = int(out.status) == 0
    error = float(np.mean(np.abs(np.asarray(out.u[0, 0]) - exact))) if solved else None
    return error, min(seconds), STATUS[int(out.status)]


def compared(name: str, case: Case, folder: Path) -> dict[str, Any] | None:
    """How far two schemes differ on the fine grid, as the errors are measured."""
    if case.scheme is None or case.check is None:
        return None
    one, other = (_kept_fine(name, case, f, folder) for f in (case.scheme, case.check))
    differences = [
        float(np.mean(np.abs(coarsened(one, cells) - coarsened(other, cells))))
        for cells in case.sizes
    ]
    names = {"scheme": case.scheme.label, "check": case.check.label}
    return {"cells": case.fine, "dtype": case.dtype, **names, "difference": differences}


def _kept_fine(name: str, case: Case, chosen: Fine, folder: Path) -> np.ndarray:
    """The solution of a scheme on the fine grid, computed once."""
    scheme = chosen.label.replace(" ", "_").replace(",", "")
    path = folder / f"fine_{name}_{case.fine}_{scheme}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        start = time.process_time()
        np.save(path, fine_solution(case, chosen))
        print(f"{name}: fine grid in {time.process_time() - start:.0f} s", flush=True)
    return np.load(path)


def _kept(path: Path) -> dict[str, Any]:
    """The results of an earlier file, its rows with the commit of each."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text())
    measured = measured_at(content)
    problems = {
        name: [{"measured": measured, **row} for row in rows]
        for name, rows in content["results"]["problems"].items()
    }
    return content["results"] | {"problems": problems}


def main() -> None:
    """Run the chosen problems, and write or update the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default=str(RESULTS / "bench_fv_accuracy.json"))
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument(
        "--quick", action="store_true", help="coarse grids, for a trial"
    )
    parser.add_argument("--note", help="a remark; without it the earlier one is kept")
    parser.add_argument("--fine", default="out/fine", help="folder of fine solutions")
    parser.add_argument(
        "--scheme",
        nargs="+",
        default=[""],
        help="only schemes with such a text in the name",
    )
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # before XLA starts its threads
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    path = Path(options.output)
    known = _kept(path)
    results = known.get("problems", {})
    references = known.get("references", {})
    note = known.get("note", "") if options.note is None else options.note

    def save() -> None:
        ordered = {k: results[k] for k in CASES if k in results}
        content = {"default": DEFAULT, "note": note, "references": references}
        record("fv_accuracy", content | {"problems": ordered}, path)

    for name in options.only:
        case = CASES[name]
        if options.quick:
            case = case._replace(sizes=(32, 64), fine=128 if case.fine else 0)
        found = compared(name, case, Path(options.fine))
        if found is not None:
            references[name] = found
            save()
        chosen = [
            label
            for label in schemes()
            if any(text in label for text in options.scheme)
        ]
        for row in measured(name, case, Path(options.fine), chosen):
            rows = {r["scheme"]: r for r in results.get(name, [])} | {
                row["scheme"]: row
            }
            results[name] = [rows[label] for label in schemes() if label in rows]
            save()


if __name__ == "__main__":
    main()
