"""The command line: `physcon constrain | run | report | info`."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from physcon._version import __version__

_CONSTRAIN = """Make the predictions of any model conserve an integral, and obey bounds.

Reads mean and std (or variance, or an ensemble of samples) with coordinates from an .npz, .h5 or
.nc file, conditions every time on the law, and writes the same layout. Example:

  physcon constrain predictions.npz -o conserved.npz --integral mass --lower 0
"""
_RUN = """Run a study of the ProbConserv article: sample tasks, train, predict, constrain, score.

Tables (text, CSV, JSON) and figures go to the run folder with the resolved settings. Every field of
the settings can be changed on the command line, e.g. --training.steps 2000 --seed 3. Example:

  physcon run configs/stefan.yaml --preset quick
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `physcon` command; errors of the user end with one clear line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if len(arguments) > 1 and arguments[0] == "run" and not arguments[1].startswith("-"):
        arguments.insert(1, "--config")  # jsonargparse has no positional configuration file
    chosen = _parser(_preset(arguments)).parse_args(arguments)
    options = chosen[chosen.subcommand]
    try:
        COMMANDS[chosen.subcommand](options)
    except (ValueError, FloatingPointError) as error:
        sys.exit(f"physcon {chosen.subcommand}: {error}")


def _parser(preset: str) -> ArgumentParser:
    from physcon.constrain import Law, Names
    from physcon.studies.config import PRESETS, StudyConfig

    parser = ArgumentParser(prog="physcon", description=__doc__, version=f"physcon {__version__}")
    commands = parser.add_subcommands(required=True)

    constrain = ArgumentParser(description=_CONSTRAIN)
    constrain.add_argument("predictions", type=Path, help="the model's predictions")
    constrain.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    constrain.add_class_arguments(Law)
    constrain.add_class_arguments(Names, "names")
    constrain.add_argument("--force", action="store_true", help="replace an existing output")
    commands.add_subcommand("constrain", constrain, help="make predictions conservative")

    run = ArgumentParser(description=_RUN, usage="physcon run CONFIG [options]")
    run.add_argument("--config", action="config", help="YAML file of settings: the CONFIG")
    run.add_argument("--preset", choices=sorted(PRESETS), default="quick", help="size of the run")
    run.add_argument("--output", type=Path, default=None, help="run folder")
    run.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    run.add_argument("--weights", type=Path, default=None, help="trained ANP (.npz): no training")
    run.add_argument("--soft_weights", type=Path, default=None, help="the same for SoftC")
    run.add_argument(
        "--test_tasks", type=Path, default=None, help="published test functions (.npz)"
    )
    run.add_argument("--quiet", action="store_true", help="no progress bars")
    run.add_class_arguments(StudyConfig)
    run.set_defaults(PRESETS.get(preset, {}))
    commands.add_subcommand("run", run, help="reproduce a published study")

    report = ArgumentParser(description="Print the table of a finished run.")
    report.add_argument("folder", type=Path, help="a run folder")
    commands.add_subcommand("report", report, help="print a run's table")

    info = ArgumentParser(description="Versions and devices, for bug reports.")
    commands.add_subcommand("info", info, help="versions and devices")
    return parser


def _preset(arguments: Sequence[str]) -> str:
    """The preset that is asked for: it must be known before the rest, whose defaults it sets."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == "--preset":
            return following
        if word.startswith("--preset="):
            return word.partition("=")[2]
    return "quick"


def _constrain(options: Namespace) -> None:
    from physcon.constrain import Law, Names, constrain_file

    fields = {f.name: options[f.name] for f in dataclasses.fields(Law)}
    names = Names(**{f.name: options.names[f.name] for f in dataclasses.fields(Names)})
    print(constrain_file(options.predictions, options.output, Law(**fields), names, options.force))
    print(f"written: {options.output}")


def _run(options: Namespace) -> None:
    from physcon.report import table_text
    from physcon.studies import probconserv
    from physcon.studies.config import StudyConfig

    instantiated = {f.name: options[f.name] for f in dataclasses.fields(StudyConfig)}
    config = _dataclass(StudyConfig, instantiated)
    folder = options.output or Path("runs") / f"{config.problem}-{options.preset}"
    identity = json.loads(json.dumps(dataclasses.asdict(config)))
    probconserv.prepare_folder(folder, identity, options.resume)
    probconserv.write_json(folder / "provenance.json", _provenance(config.seed))
    rows = probconserv.run(
        config,
        folder,
        identity=identity,
        weights=options.weights,
        soft_weights=options.soft_weights,
        test_tasks=options.test_tasks,
        resume=options.resume,
        progress=not options.quiet,
    )
    print(table_text(rows, _parameter(config.problem)))
    print(f"tables and figures: {folder}")


def _dataclass(kind: type, values: dict[str, Any]) -> Any:
    """A (nested) dataclass from jsonargparse's namespaces."""
    out = {}
    for f in dataclasses.fields(kind):
        value = values[f.name]
        nested = isinstance(value, Namespace)
        out[f.name] = _dataclass(f.type, vars(value)) if nested else value  # type: ignore[arg-type]
    return kind(**out)


def _parameter(problem: str) -> str:
    from physcon.problems import PROBLEMS

    return PROBLEMS[problem].settings.parameter


def _provenance(seed: int) -> dict[str, Any]:
    import jax

    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    return {
        "physcon": __version__,
        "commit": commit.stdout.strip() or None,
        "seed": seed,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "versions": {
            name: version(name) for name in ("jax", "jaxlib", "equinox", "optax", "numpy")
        },
    }


def _report(options: Namespace) -> None:
    from physcon._checks import require

    table = options.folder / "table.txt"
    require(table.is_file(), "a finished run", f"no {table}", "finish it: physcon run ... --resume")
    print(table.read_text(), end="")


def _info(options: Namespace) -> None:
    print(json.dumps(_provenance(0) | {"python": sys.version.split()[0]}, indent=2))


COMMANDS = {"constrain": _constrain, "run": _run, "report": _report, "info": _info}
