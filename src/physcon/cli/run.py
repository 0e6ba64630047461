"""`physcon run`: reproduce a published study."""

import dataclasses
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonargparse import ArgumentParser, Namespace

from physcon.cli import distributed
from physcon.cli.info import provenance
from physcon.cli.settings import from_options

HELP = "reproduce a published study"
_DESCRIPTION = """Run a study: get its data, train, predict, constrain, score.

Tables (text, JSON) and figures go to the run folder with the resolved settings. Every field of
the settings can be changed on the command line, e.g. --training.steps 2000 --seed 3. Examples:

  physcon run configs/stefan.yaml --preset quick
  physcon run configs/darcy_16.yaml --data FOLDER
  physcon run configs/boon_wave.yaml
  physcon run configs/inverse_stefan.yaml --noise_std 0.1

With --distributed start the same command once per process, with a run folder that all of them see.
Under Slurm, Open MPI or Kubernetes nothing else is needed; elsewhere say who is who:

  physcon run configs/stefan.yaml --distributed --coordinator host:1234 --processes 2 --process_id 0
"""


class Study(NamedTuple):
    """Where the settings (a dataclass, PRESETS if any) and `run` are; the files that it
    takes.
    """

    settings: str
    config: str
    module: str
    files: dict[str, str]


def _inverse(name: str, config: str) -> Study:
    module = f"physcon.studies.inverse.{name}"
    return Study(module, config, module, {})


STUDIES = {
    "probconserv": Study(
        "physcon.studies.probconserv.settings",
        "StudyConfig",
        "physcon.studies.probconserv.study",
        {
            "weights": "trained ANP (.npz): no training",
            "soft_weights": "the same for SoftC",
            "test_tasks": "published test functions (.npz)",
        },
    ),
    "operator": Study(
        "physcon.studies.operators.settings",
        "OperatorConfig",
        "physcon.studies.operators.study",
        {"data": "folder of the public data (.npz)"},
    ),
    "boon": Study(
        "physcon.studies.boon.settings", "BoonConfig", "physcon.studies.boon.study", {}
    ),
    "inverse_assimilation": _inverse("assimilation", "AssimilationConfig"),
    "inverse_cavity": Study(
        "physcon.studies.inverse.cavity_flows",
        "InverseCavityConfig",
        "physcon.studies.inverse.cavity",
        {},
    ),
    "inverse_conductivity": _inverse("conductivity", "ConductivityConfig"),
    "inverse_porous_medium": _inverse("porous_medium", "PorousMediumConfig"),
    "inverse_stefan": _inverse("stefan", "InverseStefanConfig"),
}
_DEFAULT = "probconserv"


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """The settings of the study, with the preset's defaults."""
    content = _content(arguments)
    name = _option(arguments, "--study") or content.get("study", _DEFAULT)
    study = STUDIES.get(name, STUDIES[_DEFAULT])
    settings = import_module(study.settings)
    run = ArgumentParser(description=_DESCRIPTION, usage="physcon run CONFIG [options]")
    run.add_argument(
        "--config", action="config", help="YAML file of settings: the CONFIG"
    )
    run.add_argument(
        "--study", choices=sorted(STUDIES), default=_DEFAULT, help="which study"
    )
    presets = getattr(
        settings, "PRESETS", {"quick": {}}
    )  # a study of one size has none
    run.add_argument(
        "--preset", choices=sorted(presets), default="quick", help="size of the run"
    )
    run.add_argument(
        "--presets",
        type=dict,
        default={},
        help="in CONFIG: what each preset changes there",
    )
    run.add_argument("--output", type=Path, default=None, help="run folder")
    run.add_argument(
        "--resume", action="store_true", help="go on with the run in that folder"
    )
    distributed.add_options(run, "the training")
    for file, meaning in study.files.items():
        run.add_argument(f"--{file}", type=Path, default=None, help=meaning)
    run.add_argument("--quiet", action="store_true", help="no progress bars")
    run.add_class_arguments(getattr(settings, study.config))
    if "law" in content:
        run.error(
            "expected the settings of a study, got those of one solution; physcon solve"
        )
    preset = _option(arguments, "--preset") or content.get("preset", "quick")
    run.set_defaults(presets.get(preset, {}))
    own = content.get("presets", {})
    try:
        run.set_defaults(own.get(preset, {}))
    except (AttributeError, KeyError) as error:
        run.error(f"presets of the settings file, {preset}: {error}")
    return run


def main(options: Namespace) -> None:
    """Train, evaluate, write tables and figures, print the table."""
    from physcon._files import write_json
    from physcon._mesh import is_writer
    from physcon.parallel import processes
    from physcon.studies.folder import prepare_folder

    study = STUDIES[options.study]
    mesh = _mesh(options)
    config = from_options(getattr(import_module(study.settings), study.config), options)
    default = getattr(config, "problem", options.study)
    name = Path(str(options.config[0])).stem if options.config else default
    folder = options.output or Path("runs") / f"{name}-{options.preset}"
    identity = json.loads(json.dumps(dataclasses.asdict(config)))
    prepare_folder(folder, identity, options.resume)
    seeds = {k: v for k, v in identity.items() if k in ("seed", "seeds")}
    shared = {} if mesh is None else {"mesh": mesh}
    if is_writer():
        write_json(folder / "provenance.json", provenance() | seeds)
    with processes.ending_together():
        import_module(study.module).run(
            config,
            folder,
            identity=identity,
            resume=options.resume,
            progress=not options.quiet and is_writer(),
            **{file: options[file] for file in study.files},
            **shared,
        )
    if not is_writer():
        return
    if identity.get("truth") == "fv":
        print(f"truth by finite volumes:\n{(folder / 'truth.txt').read_text()}")
    print((folder / "table.txt").read_text(), end="")
    print(f"tables and figures: {folder}")


def _mesh(options: Namespace) -> Any:
    """The mesh over all processes, once this one has joined them; None for a run by
    itself.
    """
    if not distributed.joined(options):
        return None
    from physcon.parallel import processes

    return processes.mesh_of_all()


def _content(arguments: Sequence[str]) -> dict[str, Any]:
    """The settings file, read before there is a parser, which it shapes: its study and
    presets.
    """
    path = _option(arguments, "--config")
    try:
        content = yaml.safe_load(Path(path).read_text()) if path else None
    except (OSError, ValueError, yaml.YAMLError):
        content = None  # the parser's own reading reports it
    return content if isinstance(content, dict) else {}


def _option(arguments: Sequence[str], name: str) -> str | None:
    """The word after an option, read before there is a parser."""
    for word, following in zip(arguments, [*arguments, ""][1:], strict=True):
        if word == name:
            return following
        if word.startswith(name + "="):
            return word.partition("=")[2]
    return None
