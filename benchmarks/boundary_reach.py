"""Compare correlation lengths of the lift: the measurement behind its default.

    python benchmarks/boundary_reach.py

trains the quick presets of two studies with values and two with slopes, on other
functions and from other seeds than the tables of docs/boundary_forms.md, so that the
default is not chosen by their scores. Every result is written as soon as it is there,
to benchmarks/results/evidence/boundary/reach.json; the same command continues.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import jax
import numpy as np

import boundary_forms
from _record import RESULTS, _processor, write
from physcon.cli.info import provenance
from physcon.studies.boon import settings
from physcon.studies.boon.data import samples, study_grid
from physcon.studies.boon.networks import evaluated, trained
from physcon.studies.session import Session

#: The seeds of the weights by study. Heat varies most between seeds.
SEEDS = {
    "stokes": (10, 11),
    "burgers_riemann": (10, 11),
    "heat": (10, 11, 12, 13, 14, 15),
    "wave": (10, 11),
}
REACHES = (0.03, 0.1, 0.3)


def config_of(study: str) -> settings.BoonConfig:
    """The quick preset with functions of its own."""
    quick = boundary_forms.config_of(study, "quick")
    return dataclasses.replace(quick, seeds=SEEDS[study], data_seed=1)


def errors(config: settings.BoonConfig, method: settings.Method) -> list[float]:
    """The relative L2 error of every seed."""
    grid = study_grid(config)
    keys = jax.random.split(jax.random.key(config.data_seed), 3)
    train = samples(keys[0], config, config.train)
    test = samples(keys[1], config, config.test)
    quiet = Session(progress=False)
    found = trained(method, config, grid, train, keys[2], quiet)
    scores, _ = evaluated(found.params, method, config, grid, test)
    return np.asarray(scores.relative_l2).mean(1).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    path = RESULTS / "evidence" / "boundary" / "reach.json"
    parser.add_argument("--output", type=Path, default=path)
    args = parser.parse_args()
    rows = []
    if args.output.exists():
        rows = json.loads(args.output.read_text())["results"]
    done = {(row["study"], row["method"], row["reach"]) for row in rows}
    about = provenance() | {"seeds": SEEDS}
    del about["commit"]  # of a working branch, which need not exist later
    for study in SEEDS:
        cases: list[tuple[settings.Method, float | None]] = [("overwrite", None)]
        cases += [("lift", reach) for reach in REACHES]
        cases += [("basis", reach) for reach in REACHES]
        for method, reach in cases:
            if (study, method, reach) in done:
                continue
            config = dataclasses.replace(config_of(study), reach=reach)
            row = {"study": study, "method": method, "reach": reach}
            rows.append(row | {"relative_l2": errors(config, method)})
            content = {
                "command": "python benchmarks/boundary_reach.py",
                "processor": _processor(),
                "provenance": about,
                "results": rows,
            }
            write(content, args.output)
            print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
