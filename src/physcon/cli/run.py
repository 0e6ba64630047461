"""`physcon run`: reproduce a published study."""

import dataclasses
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import yaml
from jsonargparse import ArgumentParser, Namespace

from physcon.cli.info import provenance
from physcon.cli.settings import from_options

HELP = "reproduce a published study"
_DESCRIPTION = """Run a study: get its data, train, predict, constrain, score.

Tables (text, JSON) and figures go to the run folder with the resolved settings. Every field of
the settings can be changed on the command line, e.g. --training.steps 2000 --seed 3. Examples:

  physcon run configs/stefan.yaml --preset quick
  physcon run configs/darcy_16.yaml --data FOLDER
"""


class Study(NamedTuple):
    """Where the settings (a dataclass and PRESETS) and `run` are, and which files `run` takes."""

    settings: str
    config: str
    module: str
    files: dict[str, str]


STUDIES = {
    "probconserv": Study(
        "physcon.studies.config",
        "StudyConfig",
        "physcon.studies.probconserv",
        {
            "weights": "trained ANP (.npz): no training",
            "soft_weights": "the same for SoftC",
            "test_tasks": "published test functions (.npz)",
        },
    ),
    "operator": Study(
        "physcon.studies.operator",
        "OperatorConfig",
        "physcon.studies.operator",
        {"data": "folder of the public data (.npz)"},
    ),
}
_DEFAULT = "probconserv"


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """The settings of the study, with the preset's defaults."""
    name = _study(arguments)
    study = STUDIES.get(name, STUDIES[_DEFAULT])
    settings = import_module(study.settings)
    run = ArgumentParser(description=_DESCRIPTION, usage="physcon run CONFIG [options]")
    run.add_argument("--config", action="config", help="YAML file of settings: the CONFIG")
    run.add_argument("--study", choices=sorted(STUDIES), default=_DEFAULT, help="which study")
    presets = settings.PRESETS
    run.add_argument("--preset", choices=sorted(presets), default="quick", help="size of the run")
    run.add_argument("--output", type=Path, default=None, help="run folder")
    run.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    for file, meaning in study.files.items():
        run.add_argument(f"--{file}", type=Path, default=None, help=meaning)
    run.add_argument("--quiet", action="store_true", help="no progress bars")
    run.add_class_arguments(getattr(settings, study.config))
    run.set_defaults(presets.get(_option(arguments, "--preset") or "quick", {}))
    return run


def main(options: Namespace) -> None:
    """Train, evaluate, write tables and figures, print the table."""
    from physcon.studies.folder import prepare_folder, write_json

    study = STUDIES[options.study]
    config = from_options(getattr(import_module(study.settings), study.config), options)
    prefix = "" if options.study == _DEFAULT else f"{options.study}-"
    folder = options.output or Path("runs") / f"{prefix}{config.problem}-{options.preset}"
    identity = json.loads(json.dumps(dataclasses.asdict(config)))
    prepare_folder(folder, identity, options.resume)
    seeds = {k: v for k, v in identity.items() if k in ("seed", "seeds")}
    write_json(folder / "provenance.json", provenance() | seeds)
    import_module(study.module).run(
        config,
        folder,
        identity=identity,
        resume=options.resume,
        progress=not options.quiet,
        **{file: options[file] for file in study.files},
    )
    if (folder / "truth.txt").is_file():
        print(f"truth by finite volumes:\n{(folder / 'truth.txt').read_text()}")
    print((folder / "table.txt").read_text(), end="")
    print(f"tables and figures: {folder}")


def _study(arguments: Sequence[str]) -> str:
    """The study that is asked for, on the command line or in the settings file.

    It must be known before the rest, which it defines.
    """
    path = _option(arguments, "--config")
    content = None
    if path is not None and Path(path).is_file():
        try:
            content = yaml.safe_load(Path(path).read_text())
        except yaml.YAMLError:
            content = None  # the parser's own reading reports it
    in_file = content.get("study", _DEFAULT) if isinstance(content, dict) else _DEFAULT
    return _option(arguments, "--study") or in_file


def _option(arguments: Sequence[str], name: str) -> str | None:
    """The word after an option, read before there is a parser."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == name:
            return following
        if word.startswith(name + "="):
            return word.partition("=")[2]
    return None
