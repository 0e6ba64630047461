"""`physcon run`: reproduce a published study."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from physcon._checks import require
from physcon.cli.info import provenance
from physcon.cli.settings import from_options

HELP = "reproduce a published study"
_DESCRIPTION = """Run a study of the ProbConserv article: sample, train, predict, constrain, score.

Tables (text, CSV, JSON) and figures go to the run folder with the resolved settings. Every field of
the settings can be changed on the command line, e.g. --training.steps 2000 --seed 3. Example:

  physcon run configs/stefan.yaml --preset quick

With --distributed start the same command once per process, with a run folder that all of them see.
Under Slurm, Open MPI or Kubernetes nothing else is needed; elsewhere say who is who:

  physcon run configs/stefan.yaml --distributed --coordinator host:1234 --processes 2 --process_id 0
"""


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """The settings of the study, with the preset's defaults."""
    from physcon.studies.config import PRESETS, StudyConfig

    run = ArgumentParser(description=_DESCRIPTION, usage="physcon run CONFIG [options]")
    run.add_argument("--config", action="config", help="YAML file of settings: the CONFIG")
    run.add_argument("--preset", choices=sorted(PRESETS), default="quick", help="size of the run")
    run.add_argument("--output", type=Path, default=None, help="run folder")
    run.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    run.add_argument("--weights", type=Path, default=None, help="trained ANP (.npz): no training")
    run.add_argument("--soft_weights", type=Path, default=None, help="the same for SoftC")
    run.add_argument(
        "--test_tasks", type=Path, default=None, help="published test functions (.npz)"
    )
    run.add_argument(
        "--distributed", action="store_true", help="share the training among several processes"
    )
    run.add_argument("--coordinator", default=None, help="host:port of process 0")
    run.add_argument("--processes", type=int, default=None, help="number of processes")
    run.add_argument("--process_id", type=int, default=None, help="number of this one, from 0")
    run.add_argument("--quiet", action="store_true", help="no progress bars")
    run.add_class_arguments(StudyConfig)
    run.set_defaults(PRESETS.get(_preset(arguments), {}))
    return run


def main(options: Namespace) -> None:
    """Train, evaluate, write tables and figures, print the table."""
    from physcon._mesh import is_writer
    from physcon.parallel import processes
    from physcon.report import table_text
    from physcon.studies import probconserv
    from physcon.studies.config import StudyConfig
    from physcon.studies.folder import prepare_folder, write_json

    mesh = _mesh(options)
    config = from_options(StudyConfig, options)
    folder = options.output or Path("runs") / f"{config.problem}-{options.preset}"
    identity = json.loads(json.dumps(dataclasses.asdict(config)))
    prepare_folder(folder, identity, options.resume)
    if is_writer():
        write_json(folder / "provenance.json", provenance() | {"seed": config.seed})
    with processes.ending_together():
        rows = probconserv.run(
            config,
            folder,
            identity=identity,
            weights=options.weights,
            soft_weights=options.soft_weights,
            test_tasks=options.test_tasks,
            resume=options.resume,
            progress=not options.quiet and is_writer(),
            mesh=mesh,
        )
    if is_writer():
        if config.truth == "fv":
            print(f"truth by finite volumes:\n{(folder / 'truth.txt').read_text()}")
        print(table_text(rows, _parameter(config.problem)))
        print(f"tables and figures: {folder}")


def _mesh(options: Namespace) -> Any:
    """The mesh over all processes, once this one has joined them; None for a run by itself."""
    given = [options.coordinator, options.processes, options.process_id]
    if not options.distributed:
        require(given == [None] * 3, "--distributed with them", given, "add --distributed")
        return None
    from physcon.parallel import processes

    processes.start(*given)
    return processes.mesh_of_all()


def _preset(arguments: Sequence[str]) -> str:
    """The preset that is asked for: it must be known before the rest, whose defaults it sets."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == "--preset":
            return following
        if word.startswith("--preset="):
            return word.partition("=")[2]
    return "quick"


def _parameter(problem: str) -> str:
    from physcon.problems import PROBLEMS

    return PROBLEMS[problem].settings.parameter
