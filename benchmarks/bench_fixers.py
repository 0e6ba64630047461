"""The fixers of published emulators as laws with a metric, and with a better spread.

    pip install fme miles-credit
    python benchmarks/bench_fixers.py --output benchmarks/results/bench_fixers.json

Runs the dry-air, moisture, energy and ocean heat fixers of fme, and the mass, water and
energy fixers of miles-credit, on one step of synthetic states. Compares their results
with physcon's in float32, and scores an ensemble's spread against the metric of each
fixer on held-out months. Prints the table of docs/metrics.md. Without the packages,
their results are those that ship with the tests, which `--write` makes.
"""

import argparse
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from _fixer_laws import CASES, ours
from _fixer_scores import scores, winters
from _fixer_states import Arrays, states
from _record import record

ARRAYS = Path(__file__).parents[1] / "tests" / "reference" / "data" / "fixers.npz"
EPS = float(np.finfo(np.float32).eps)


def with_published(s: Arrays) -> Arrays:
    """Return states, cell areas, and the results of the published fixers."""
    from _published_fixers import published

    lat = np.deg2rad(s["lat"])
    area = np.float32(np.cos(lat))[:, None] * np.ones((1, len(s["lon"])), np.float32)
    s = s | {"area": area.astype(np.float64)}
    return s | published(s)


def stored(path: Path) -> Arrays:
    """Return states and published results that were written before."""
    with np.load(path, allow_pickle=False) as data:
        return {name: data[name].astype(np.float64) for name in data.files}


def compare(s: Arrays) -> dict[str, dict[str, Any]]:
    """Return the largest difference of each fixer, in float32 roundings, and scores."""
    found = {}
    for name, (package, spread, variable, _) in CASES.items():
        theirs = s[name]
        mine = ours(name, s)
        inside = ~np.isnan(theirs)
        assert (np.isnan(mine) == ~inside).all()
        scale = np.abs(theirs[inside]).max()
        difference = np.abs(mine - theirs)[inside].max()
        moved = np.abs(theirs - s[variable])[inside]
        found[name] = {
            "package": package,
            "version": _version(package),
            "spread": spread,
            "difference_over_eps": float(difference / scale / EPS),
            "correction_over_eps": float(moved.max() / scale / EPS),
        }
        if spread != "residual":  # one column: there is nothing to share
            found[name] |= scores(variable, spread)
    return found


def _version(package: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the table of the page "Which metric is my fixer?", in Markdown."""
    head = ("fixer", "`spread`", "difference", "correction", "CRPS", "metric")
    lines = ["| " + " | ".join((*head, "climatology", "ensemble")) + " |"]
    lines.append("|" + " --- |" * 8)
    for name, r in results.items():
        title = f"{r['package']}: {name.partition('_')[2].replace('_', ' ')}"
        cells = [title, f"`{r['spread']}`", f"{r['difference_over_eps']:.1f} eps"]
        if "crps_before" in r:
            share = r["correction_ensemble"] / r["correction_metric"]
            before = r["crps_before"]
            cells += [f"× {share:.2f}", f"{before:.3g}"]
            kinds = ("metric", "climatology", "ensemble")
            cells += [f"{100 * (r[f'crps_{k}'] / before - 1):+.0f} %" for k in kinds]
        else:
            cells += [""] * 5
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the comparison, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--arrays", type=Path, help="results of the published fixers")
    parser.add_argument("--write", type=Path, help="where to write such results")
    parser.add_argument("--show", type=Path, help="print the table of a JSON file")
    parser.add_argument("--winters", type=Path, help="sst_ndjfm_anom.nc of eofs")
    args = parser.parse_args()
    if args.winters:
        print(json.dumps(winters(args.winters, "uniform"), indent=2))
        return
    if args.show:
        print(table(json.loads(args.show.read_text())["results"]))
        return
    try:
        s = stored(args.arrays) if args.arrays else with_published(states())
    except ImportError as error:
        print(f"{error}: taking the published results from {ARRAYS.name}")
        s = stored(ARRAYS)
    if args.write:
        small = {n: x if n in CASES else np.float32(x) for n, x in s.items()}
        np.savez_compressed(args.write, **small)
    results = compare(s)
    print(table(results))
    if args.output:
        record("fixers", results, args.output)


if __name__ == "__main__":
    main()
