"""Training through the constraint compared with conditioning afterwards.

    python benchmarks/bench_through_constraint.py [--model anp] [--seeds 0 1 2]

Four predictors per problem and seed differ only in the objective: the score (negative
log likelihood or CRPS) of the network's own prediction, or of the conditioned one. Each
is the quick study, `physcon run PROBLEM --model MODEL --training.score
SCORE --training.through_constraint BOOL`. All are conditioned on the mass when they are
used, so all conserve. Finished runs are kept in a folder, and the command continues
after an interruption. On one core a run takes 45 s for the ensemble and two minutes for
the neural process.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from _record import record
from physcon.cli import main as physcon

OBJECTIVES = {
    f"{score}, {name}": (
        "--training.score",
        score,
        "--training.through_constraint",
        through,
    )
    for score in ("nll", "crps")
    for name, through in (("post-hoc", "false"), ("through", "true"))
}
#: Only what the tables need: two methods, hardly any figures.
EVALUATION = [
    "--evaluation.nt=2",
    "--evaluation.shock_samples=100",
    '--evaluation.methods=["unconstrained","probconserv"]',
]
SCORES = (
    "log_likelihood",
    "crps",
    "mean_squared_error",
    "coverage",
    "conservation_error",
)
BETTER = {"log_likelihood": 1, "crps": -1, "mean_squared_error": -1}


def trained(
    problem: str, objective: str, seed: int, folder: Path, more: list[str]
) -> list[dict]:
    """Rows of the table of one run, which is made or completed if it has to be."""
    run = folder / f"{problem} {objective} {seed}".replace(", ", "-").replace(" ", "-")
    table = run / "table.json"
    if not table.is_file():
        config = Path(__file__).parents[1] / "configs" / f"{problem}.yaml"
        arguments = ["run", str(config), "--output", str(run), "--resume", "--quiet"]
        # One network per run and the preset's training, also for Stefan's problem.
        arguments += ["--repeats", "1", "--training.learning_rate", "1e-3"]
        arguments += ["--training.steps", "1600"]
        arguments += ["--seed", str(seed), *OBJECTIVES[objective], *EVALUATION, *more]
        physcon(arguments)
    return json.loads(table.read_text())


def summary(runs: dict[str, list[list[dict]]]) -> dict:
    """Per parameter, objective and method: mean over seeds of each score, and its
    standard error; per score, in how many seeds training through the constraint beat
    its post-hoc twin.
    """
    out: dict = {}
    for row in next(iter(runs.values()))[0]:
        parameter, method = row["parameter"], row["method"]
        place = out.setdefault(f"{parameter:g}", {}).setdefault(method, {})
        found = {
            objective: {
                s: np.array([_of(table, parameter, method)[s] for table in tables])
                for s in SCORES
            }
            for objective, tables in runs.items()
        }
        for objective, scores in found.items():
            place[objective] = {
                s: {"mean": v.mean(), "standard_error": _error(v)}
                for s, v in scores.items()
            }
        for score in ("nll", "crps"):
            through, after = found[f"{score}, through"], found[f"{score}, post-hoc"]
            place[f"{score}: seeds in which through wins"] = {
                s: int(np.sum(sign * (through[s] - after[s]) > 0))
                for s, sign in BETTER.items()
            }
    return out


def _of(table: list[dict], parameter: float, method: str) -> dict[str, float]:
    return next(
        r for r in table if (r["parameter"], r["method"]) == (parameter, method)
    )["mean"]


def _error(values: np.ndarray) -> float:
    return (
        float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else 0.0
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--problems", nargs="+", default=["stefan", "advection"])
    parser.add_argument("--model", choices=["ensemble", "anp"], default="ensemble")
    parser.add_argument(
        "--folder", type=Path, help="default: runs/through_constraint/MODEL"
    )
    parser.add_argument(
        "--output", default="benchmarks/results/through_constraint.json"
    )
    options, more = parser.parse_known_args()
    folder = options.folder or Path("runs/through_constraint") / options.model
    more = ["--model", options.model, *more]
    runs: dict = {
        p: {objective: [] for objective in OBJECTIVES} for p in options.problems
    }
    for seed in options.seeds:  # so that a run cut short has whole comparisons
        for problem, tables in runs.items():
            for objective in OBJECTIVES:
                tables[objective].append(
                    trained(problem, objective, seed, folder, more)
                )
    results = {problem: summary(tables) for problem, tables in runs.items()}
    for problem, by_parameter in results.items():
        for parameter, methods in by_parameter.items():
            print(f"\n{problem}, {parameter}, conditioned")
            print("mean ± standard error over seeds")
            for objective in OBJECTIVES:
                cells = (
                    f"{s} {v['mean']:.4g} ± {v['standard_error']:.1g}"
                    for s, v in methods["probconserv"][objective].items()
                )
                print(f"  {objective:<16} " + "  ".join(cells))
    settings = {"seeds": options.seeds, "options": more}
    record("through_constraint", {"settings": settings, **results}, options.output)


if __name__ == "__main__":
    main()
