"""Laws with many rows, compared with what people use for them today.

    python -m pip install '.[bench]'
    python benchmarks/bench_rows.py [--missing] [--only blocks,ky10] [--repeats 9]

Each time is the median of interleaved calls on one core in one process, after
compilation. Everything is in float64 unless the name says otherwise. A result is
written as soon as it is measured, so that a run that was stopped continues with
``--missing``. A peer that is not installed is left out of its row, with a message.
"""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from _rows_plants import Missing

#: Name of a row -> the module with the function of that name.
CASES = {
    "blocks": "_rows_disjoint",
    "blocks_gradient": "_rows_disjoint",
    "blocks_positive": "_rows_disjoint",
    "field_with_variance": "_rows_disjoint",
    "regions": "_rows_disjoint",
    "species": "_rows_disjoint",
    "ky10": "_rows_sparse",
    "net6": "_rows_sparse",
    "triangles": "_rows_sparse",
    "pressures": "_rows_sparse",
    "flux_balance": "_rows_programs",
    "hierarchy": "_rows_programs",
    "quadratic_programs": "_rows_programs",
    "gross_error": "_rows_gross_error",
}

OUTPUT = Path(__file__).parent / "results" / "bench_rows.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--missing", action="store_true", help="skip measured rows")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=5.0, help="at most, per peer")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    done = _known(given.output)
    for name in given.only.split(","):
        if given.missing and name in done:
            continue
        try:
            done[name] = _measured(name, given.repeats, given.seconds)
        except Missing as missing:
            print(f"{name}: {missing}", file=sys.stderr)
            continue
        print(json.dumps(done[name], ensure_ascii=False), flush=True)
        _write(done, given.output)


def _known(path: Path) -> dict[str, Any]:
    """The rows that an earlier run has written, by name."""
    if not path.exists():
        return {}
    return {row["case"]: row for row in json.loads(path.read_text())["results"]}


def _measured(name: str, repeats: int, seconds: float) -> dict[str, Any]:
    """One row, on one core; JAX is imported after the choice of the core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import jax
    import numpy as np

    from _record import environment
    from _rows_base import measure

    jax.config.update("jax_enable_x64", True)
    work = getattr(importlib.import_module(CASES[name]), name)
    row = measure(work(np.random.default_rng(0)), repeats, seconds)
    where = environment()
    return {"case": name, **row, "date": where["date"], "commit": where["commit"]}


def _write(done: dict[str, Any], path: Path) -> None:
    from _record import record

    rows = [done[name] for name in CASES if name in done]
    record("rows", rows, path)


if __name__ == "__main__":
    main()
