"""Accuracy and training time on public data, compared with neuraloperator's FNO.

    python benchmarks/bench_operator_data.py --data FOLDER --torch-python PYTHON

PYTHON has torch and neuraloperator. Both networks have the same inputs, modes, width,
depth, fraction of padding, normalisation, loss (relative L2), Adam, schedule, number of
steps and batches, dtype (float32) and threads. Each library uses its own initial
weights and shuffling. They are trained in turn, seed by seed, and the same function
scores both on every test grid.

neuraloperator 2.0 keeps other modes on axes of odd padded length than on axes of even
length. Its convolution of a band-limited field on 21 and on 42 points differs by more
than its size, but on 21 and 63 points only by rounding. Its errors on grids whose
padded parity differs from the training grid show this.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import equinox as eqx
import jax
import numpy as np

from _record import measured_at, record
from physcon.studies.operators.settings import PRESETS, OperatorConfig
from physcon.studies.operators.study import (
    predict,
    relative_l2,
    trained,
    training_set,
    trials,
)
from physcon.studies.session import Session

QUIET = Session(progress=False)


def ours(config, seed, train, cases):
    """Train and predict with physcon; the time of compilation is reported too."""
    start = time.perf_counter()
    jax.block_until_ready(
        jax.tree.leaves(trained(replace(config, epochs=1), seed, train, QUIET))
    )
    short = time.perf_counter() - start
    start = time.perf_counter()
    fno = trained(config, seed, train, QUIET)
    jax.block_until_ready(jax.tree.leaves(fno))
    seconds = time.perf_counter() - start
    epoch = max(0.0, seconds - short) / max(1, config.epochs - 1)
    parameters = sum(
        x.size for x in jax.tree.leaves(eqx.filter(fno, eqx.is_inexact_array))
    )
    known = {
        "parameters": parameters,
        "training_s": seconds,
        "compile_s": short - epoch,
    }
    return known, [predict(fno, case.inputs) for case in cases]


def theirs(config, seed, train, cases, python, threads):
    """The same with neuraloperator, in a process of its own."""
    padding = (config.padding, 0.0 if config.problem == "burgers" else config.padding)
    settings = asdict(config) | {"seed": seed, "threads": threads, "padding": padding}
    with tempfile.TemporaryDirectory() as folder:
        arrays, found = Path(folder) / "arrays.npz", Path(folder) / "found.npz"
        tests = {f"test_{i}": case.inputs for i, case in enumerate(cases)}
        np.savez(arrays, inputs=train.inputs, answers=train.answers, **tests)
        (Path(folder) / "settings.json").write_text(json.dumps(settings))
        worker = Path(__file__).with_name("_torch_operator_worker.py")
        command = [python, worker, arrays, Path(folder) / "settings.json", found]
        known = json.loads(
            subprocess.run(command, check=True, capture_output=True).stdout
        )
        predictions = np.load(found)
        return known, [predictions[f"test_{i}"] for i in range(len(cases))]


def kept(output: Path, problems: list[str], with_torch: bool) -> list[dict]:
    """The results of an earlier file that are not measured again.

    Each run says at which commit it was measured.
    """
    if not output.is_file():
        return []
    content = json.loads(output.read_text())
    measured = measured_at(content)
    again = ("physcon", "neuraloperator") if with_torch else ("physcon",)
    for result in content["results"]:
        runs = [{"measured": measured, **run} for run in result["runs"]]
        if result["problem"] in problems:
            runs = [run for run in runs if run["library"] not in again]
        result["runs"] = runs
    return content["results"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--torch-python", help="interpreter that has torch and neuraloperator"
    )
    parser.add_argument(
        "--output", default="benchmarks/results/bench_operator_data.json"
    )
    parser.add_argument("--problems", nargs="+", default=["burgers", "darcy"])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="quick")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--seeds", type=int, nargs="+", default=None)
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep other problems and libraries of the output, with their commits",
    )
    args = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    changes = PRESETS[args.preset] | {
        k: v
        for k, v in (("epochs", args.epochs), ("seeds", args.seeds))
        if v is not None
    }
    results = []
    if args.keep:
        results = kept(Path(args.output), args.problems, bool(args.torch_python))
    for problem in args.problems:
        config = replace(OperatorConfig(), problem=problem, **changes)
        train, cases = training_set(config, args.data), list(trials(config, args.data))
        result = {
            "problem": problem,
            "config": asdict(config),
            "threads": threads,
            "runs": [],
        }
        earlier = [r for r in results if r["problem"] == problem]
        results = [r for r in results if r["problem"] != problem] + [result]
        result["runs"] += [run for r in earlier for run in r["runs"]]
        for seed in config.seeds:
            runs = {"physcon": ours(config, seed, train, cases)}
            if args.torch_python:
                runs["neuraloperator"] = theirs(
                    config, seed, train, cases, args.torch_python, threads
                )
            for name, (known, predictions) in runs.items():
                errors = {
                    f"{case.grid} {case.truth}": relative_l2(prediction, case)
                    for case, prediction in zip(cases, predictions, strict=True)
                }
                result["runs"].append(
                    {"library": name, "seed": seed, **known, "relative_l2": errors}
                )
                print(problem, name, seed, known, errors, flush=True)
            record("operator_data", results, args.output)


if __name__ == "__main__":
    main()
