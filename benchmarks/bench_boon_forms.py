"""Which boundary correction trains best: every form, same data, batches, steps and seeds.

    python benchmarks/bench_boon_forms.py --steps 400 --problems stokes heat

A small budget, one step in time, 65 nodes, width 16, 3 seeds. Errors are means over test functions
and seeds; compare them within a problem, not with published ones.
"""

import argparse
import time
from dataclasses import asdict, replace

from _record import record
from physcon.studies.boon import FAMILIES, METHODS, BoonConfig, run, table

TIMES = {
    "heat": 0.5,
    "stokes": 1.2,
    "burgers-riemann": 1.2,
    "burgers-periodic": 1.0,
    "wave": 1.3,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="benchmarks/results/bench_boon_forms.json")
    parser.add_argument("--problems", nargs="+", choices=sorted(FAMILIES), default=list(TIMES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--nodes", type=int, default=65)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--reach", type=float, default=BoonConfig().reach)
    args = parser.parse_args()
    base = BoonConfig(
        nodes=args.nodes, train=200, test=50, modes=12, width=args.width, steps=args.steps,
        reach=args.reach,
    )  # fmt: skip
    results = []
    for problem in args.problems:
        config = replace(base, problem=problem, time=TIMES[problem])
        result = {"problem": problem, "config": asdict(config), "table": []}
        results.append(result)
        for method in args.methods:
            start = time.perf_counter()
            rows = table(run(replace(config, methods=(method,)), progress=False))
            for row in rows:
                result["table"].append(row | {"seconds": time.perf_counter() - start})
                print(f"{problem:16s} {method:12s} {row['relative_l2']:.4f} "
                      f"± {row['relative_l2_std']:.4f}   boundary {row['boundary_error']:.1e}",
                      flush=True)  # fmt: skip
            record("boon_forms", results, args.output)


if __name__ == "__main__":
    main()
