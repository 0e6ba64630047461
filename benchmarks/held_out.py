"""Score the preset `best` on held-out functions, and calibrate its intervals there.

    python benchmarks/held_out.py --runs runs

loads the networks of `physcon run NAME --preset best` from the folders NAME-best of all
equations, or trains those that are missing. Functions of the training range, which no
table shows, give each method one factor on its standard deviations, with which 95 %
intervals hold 95 % of the nodes behind the front. The scores before and after are
written to benchmarks/results/evidence/held_out.json, for these functions and for the
test functions of the tables.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from _record import RESULTS, _processor, write
from physcon import metrics
from physcon.cli import run as command
from physcon.cli.info import provenance
from physcon.cli.ranges import judged
from physcon.models import Prediction
from physcon.problems import (
    PROBLEMS,
    Task,
    evaluation_problems,
    sample_tasks,
    training_problems,
)
from physcon.studies.probconserv.evaluate import Models, profiles
from physcon.studies.probconserv.fitting import train
from physcon.studies.probconserv.settings import StudyConfig
from physcon.studies.session import Session, identity

ROOT = Path(__file__).parents[1]
EQUATIONS = ("stefan", "pme", "advection", "burgers", "heat")
#: Number of held-out functions, and the seed of their parameters and observations.
FUNCTIONS = 40
SEED = 77


def config_of(name: str, options: list[str]) -> StudyConfig:
    """The settings of `physcon run NAME --preset best`."""
    words = ["--config", str(ROOT / "configs" / f"{name}.yaml"), "--preset", "best"]
    words += options
    return judged(StudyConfig, command.parser(words).parse_args(words))


def networks(config: StudyConfig, folder: Path) -> list[Models]:
    """The networks of a run folder, which are trained if they are not there."""
    keys = jax.random.split(jax.random.key(config.seed), 4)
    network_keys = [keys[2]]
    for k in range(1, config.repeats):
        network_keys.append(jax.random.fold_in(keys[2], k))
    session = Session(folder, identity(config), resume=True, progress=False)
    return train(config, keys[0], network_keys, session)


def held_out(config: StudyConfig) -> Task:
    """Functions of the training range."""
    key, point_key = jax.random.split(jax.random.key(SEED))
    problems = training_problems(key, PROBLEMS[config.problem], FUNCTIONS)
    return sample_tasks(point_key, problems, config.tasks.context, config.tasks.target)


def tested(config: StudyConfig) -> Task:
    """The test functions of the tables."""
    key = jax.random.split(jax.random.key(config.seed), 4)[1]
    family = PROBLEMS[config.problem]
    number = config.tasks.per_parameter * len(family.settings.test)
    problems = evaluation_problems(family, number)
    return sample_tasks(key, problems, config.tasks.context, config.tasks.target)


def predicted(
    config: StudyConfig, each: list[Models], tasks: Task
) -> tuple[dict[str, Prediction], np.ndarray, np.ndarray]:
    """Predictions of every method, ``(networks, functions, nodes)``, with the exact
    solution and whether a node lies behind the front, ``(functions, nodes)``."""
    settings = PROBLEMS[config.problem].settings
    t = jnp.asarray(settings.evaluation_time)
    x = jnp.linspace(*settings.x, config.evaluation.nx)
    key = jax.random.split(jax.random.key(config.seed), 4)[3]
    truth = jax.vmap(lambda problem: problem.solution(t, x))(tasks.problem)
    behind = np.ones(truth.shape, bool)
    if settings.has_front:
        fronts = jax.vmap(lambda problem: problem.front(t))(tasks.problem)
        behind = np.asarray(x <= fronts[:, None])

    def of(models: Models) -> Any:
        found = []
        for k in range(truth.shape[0]):
            task = jax.tree.map(lambda leaf, k=k: leaf[k], tasks)
            own_key = jax.random.fold_in(key, k)
            found.append(profiles(models, task, t, own_key, config.evaluation))
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)

    every = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(of, each))
    return every, np.asarray(truth), behind


@eqx.filter_jit
def _scores(mean: Any, std: Any, truth: Any, behind: Any) -> dict[str, Any]:
    """Scores of one network: over all nodes, and over those behind the front."""

    def pointwise(score: Any) -> Any:
        return jax.vmap(jax.vmap(score))(mean, std, truth)

    covered = pointwise(metrics.interval_coverage)
    crps = pointwise(metrics.gaussian_crps)
    likelihood = pointwise(metrics.gaussian_log_likelihood)

    def within(values: Any) -> Any:
        return jnp.mean(jnp.sum(values * behind, 1) / jnp.sum(behind, 1))

    return {
        "mean_squared_error": metrics.mean_squared_error(mean, truth),
        "crps": jnp.mean(crps),
        "coverage_behind": within(covered),
        "crps_behind": within(crps),
        "log_likelihood_behind": within(likelihood),
    }


def scores(
    prediction: Prediction,
    truth: np.ndarray,
    behind: np.ndarray,
    chosen: np.ndarray,
    factor: float = 1.0,
) -> dict[str, list[float]]:
    """The scores of every network on the chosen functions, with a factor on the std."""
    each = []
    for mean, std in zip(*prediction, strict=True):
        given = (mean[chosen], factor * std[chosen], truth[chosen], behind[chosen])
        each.append(jax.device_get(_scores(*given)))
    return {name: [float(one[name]) for one in each] for name in each[0]}


def rows_of(config: StudyConfig, each: list[Models]) -> list[dict[str, Any]]:
    """The scores of every method, on the held-out functions and for every parameter."""
    known, truth, behind = predicted(config, each, held_out(config))
    tasks = tested(config)
    given, exact, inside = predicted(config, each, tasks)
    parameters = np.asarray(tasks.problem.parameter)
    everyone = np.ones(truth.shape[0], bool)
    rows = []
    for method in config.evaluation.methods:
        mean, std = known[method]
        at = np.broadcast_to(behind, mean.shape)
        seen = jnp.broadcast_to(truth, mean.shape)
        factor = float(metrics.calibration_factor(mean[at], std[at], seen[at]))
        row = {"problem": config.problem, "method": method, "factor": factor}
        held = (known[method], truth, behind, everyone)
        cases = {"held out": held}
        for value in np.unique(parameters).tolist():
            cases[f"{value:.3g}"] = (given[method], exact, inside, parameters == value)
        for functions, case in cases.items():
            own = {"before": scores(*case), "after": scores(*case, factor)}
            rows.append(row | {"functions": functions} | own)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--equations", nargs="+", default=EQUATIONS, choices=EQUATIONS)
    path = RESULTS / "evidence" / "held_out.json"
    parser.add_argument("--output", type=Path, default=path)
    args, options = parser.parse_known_args()
    earlier = []
    if args.output.exists():
        earlier = json.loads(args.output.read_text())["results"]
    for name in args.equations:
        config = config_of(name, options)
        new = rows_of(config, networks(config, args.runs / f"{name}-best"))
        earlier = [row for row in earlier if row["problem"] != name] + new
        about = provenance() | {"seeds": {"networks": config.seed, "functions": SEED}}
        del about["commit"]  # of a working branch, which need not exist later
        content = {
            "command": "python benchmarks/held_out.py",
            "processor": _processor(),
            "provenance": about,
            "results": earlier,
        }
        write(content, args.output)
        print(f"{name}: written to {args.output}", flush=True)


if __name__ == "__main__":
    main()
