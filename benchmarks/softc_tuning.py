"""Choose the weight of SoftC's fine-tuning, on functions that no table shows.

    python benchmarks/softc_tuning.py --runs runs

loads the plain networks of `physcon run stefan` from the folder stefan-quick, or trains
them if they are not there. It continues from them with several weights and rates, and
scores each result on functions of the training range. It is the measurement behind the
weight in configs/stefan.yaml. Every result is written as soon as it is there, to
benchmarks/results/evidence/softc_tuning.json; the same command continues.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from _record import RESULTS, _processor, write
from physcon.cli import run as command
from physcon.cli.info import provenance
from physcon.cli.ranges import judged
from physcon.models import NeuralProcess
from physcon.models.anp import ANP
from physcon.problems import PROBLEMS, Task, sample_tasks, training_problems
from physcon.studies.probconserv import fitting
from physcon.studies.probconserv.evaluate import Models, profiles, score
from physcon.studies.probconserv.settings import Method, StudyConfig
from physcon.studies.session import Session, identity
from physcon.studies.sharing import fit_tasks
from physcon.studies.side_by_side import (
    each_alone,
    side_by_side,
    stacked,
    unstacked,
)

ROOT = Path(__file__).parents[1]
#: Weights at the rate of the settings, and one weight at four times this rate.
CASES = ((0.0, 1), (0.0032, 1), (0.032, 1), (0.32, 1), (3.2, 1), (0.032, 4))
FUNCTIONS = 8
LATENT_SAMPLES = 50
SCORES = ("crps", "log_likelihood", "mean_squared_error", "conservation_error")


def config_of(options: Sequence[str]) -> StudyConfig:
    """The settings of `physcon run stefan`."""
    words = ["--config", str(ROOT / "configs" / "stefan.yaml"), *options]
    return judged(StudyConfig, command.parser(words).parse_args(words))


def scored_with(config: StudyConfig, *methods: Method) -> StudyConfig:
    """The same settings with other methods, and fewer draws."""
    evaluation = dataclasses.replace(
        config.evaluation, methods=methods, latent_samples=LATENT_SAMPLES
    )
    return dataclasses.replace(config, evaluation=evaluation)


def softened(
    config: StudyConfig, plain: list[ANP], key: jax.Array, weight: float, rate: float
) -> list[ANP]:
    """The plain networks after the steps of SoftC with a weight and a peak rate."""
    settings = config.training
    steps = settings.soft_steps or 0
    found = fit_tasks(
        side_by_side(partial(fitting._soft, weight=weight / settings.batch)),
        stacked(plain),
        each_alone(fitting._optimizer(settings, steps, rate)),
        fitting.training_tasks(config, key, None),
        settings.batch,
        steps,
        key,
        Session(progress=False),
        "anp_soft",
        save_every=steps,
    )
    return unstacked(found.params, len(plain))


def scores(
    config: StudyConfig, models: Models, tasks: Task, key: jax.Array
) -> dict[str, dict[str, float]]:
    """Means over the functions; of the conservation error, its size."""
    t = jnp.asarray(PROBLEMS[config.problem].settings.evaluation_time)
    x = jnp.linspace(*PROBLEMS[config.problem].settings.x, config.evaluation.nx)
    each = []
    for k in range(FUNCTIONS):
        task = jax.tree.map(lambda leaf, k=k: leaf[k], tasks)
        own_key = jax.random.fold_in(key, k)
        found = profiles(models, task, t, own_key, config.evaluation)
        truth = task.problem.solution(t, x)
        scored = score(found, task.problem, t, truth, config.evaluation)
        each.append(jax.device_get(scored))
    means = {}
    for method in each[0]:
        every = {name: np.array([one[method][name] for one in each]) for name in SCORES}
        every["conservation_error"] = np.abs(every["conservation_error"])
        means[method] = {name: float(v.mean()) for name, v in every.items()}
    return means


def plain_networks(
    config: StudyConfig, keys: jax.Array, folder: Path
) -> list[NeuralProcess]:
    """The networks of `physcon run stefan` before SoftC."""
    network_keys = [keys[2]]
    for k in range(1, config.repeats):
        network_keys.append(jax.random.fold_in(keys[2], k))
    session = Session(folder, identity(config), resume=True, progress=False)
    only_plain = scored_with(config, "unconstrained")
    trained = fitting.train(only_plain, keys[0], network_keys, session)
    return [
        NeuralProcess(cast(NeuralProcess, models.plain).network) for models in trained
    ]


def measured(config: StudyConfig, folder: Path, done: int) -> Iterator[dict[str, Any]]:
    """Scores of the plain networks and of SoftC in every case that is not done."""
    keys = jax.random.split(jax.random.key(config.seed), 4)
    plain = plain_networks(config, keys, folder)
    scored = scored_with(config, "unconstrained", "soft")
    held_key = jax.random.fold_in(keys[1], 99)
    family = PROBLEMS[config.problem]
    problems = training_problems(held_key, family, FUNCTIONS)
    sizes = config.tasks
    point_key = jax.random.fold_in(held_key, 1)
    tasks = sample_tasks(point_key, problems, sizes.context, sizes.target)
    for weight, faster in CASES[done:]:
        rate = faster * config.training.soft_rate * config.training.learning_rate
        networks = [one.network for one in plain]
        soft = map(NeuralProcess, softened(config, networks, keys[0], weight, rate))
        pairs = zip(plain, soft, strict=True)
        each = [scores(scored, Models(*pair), tasks, keys[3]) for pair in pairs]
        found = {
            method: {name: [one[method][name] for one in each] for name in SCORES}
            for method in ("unconstrained", "soft")
        }
        case = {"weight": weight, "rate": rate, "steps": config.training.soft_steps}
        yield {"plain": found["unconstrained"], "result": case | found["soft"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    path = RESULTS / "evidence" / "softc_tuning.json"
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=path)
    args, options = parser.parse_known_args()
    config = config_of(options)
    about = provenance() | {"seed": config.seed}
    del about["commit"]  # of a working branch, which need not exist later
    results = []
    if args.output.exists():
        results = json.loads(args.output.read_text())["results"]
    for found in measured(config, args.runs / "stefan-quick", len(results)):
        results.append(found["result"])
        content = {
            "command": "python benchmarks/softc_tuning.py",
            "processor": _processor(),
            "provenance": about,
            "settings": identity(config),
            "plain": found["plain"],
            "results": results,
        }
        write(content, args.output)
        print(results[-1], flush=True)


if __name__ == "__main__":
    main()
