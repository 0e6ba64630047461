"""`physcon run`: reproduce a published study."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonargparse import ArgumentParser, Namespace

from physcon.cli.info import provenance
from physcon.studies import boon_config, config

HELP = "reproduce a published study"
_DESCRIPTION = """Run a published study: sample, train, predict, constrain, score.

Tables (text, CSV, JSON) and figures go to the run folder with the resolved settings. Every field of
the settings can be changed on the command line, e.g. --seed 3; `physcon run CONFIG --help` lists
those of the study that CONFIG names. Example:

  physcon run configs/stefan.yaml --preset quick
"""


class Study(NamedTuple):
    """Settings of a study, what its presets change, its module, and further options.

    The module's ``main(settings, folder, identity, options)`` runs it and returns a table as text.
    """

    settings: type
    presets: dict[str, dict[str, Any]]
    module: str
    add_options: Callable[[ArgumentParser], None] = lambda parser: None


def _probconserv_options(run: ArgumentParser) -> None:
    run.add_argument("--weights", type=Path, default=None, help="trained ANP (.npz): no training")
    run.add_argument("--soft_weights", type=Path, default=None, help="the same for SoftC")
    run.add_argument(
        "--test_tasks", type=Path, default=None, help="published test functions (.npz)"
    )


#: By the key `study` of a configuration file.
STUDIES = {
    "probconserv": Study(
        config.StudyConfig, config.PRESETS, "physcon.studies.probconserv", _probconserv_options
    ),
    "boon": Study(boon_config.BoonConfig, boon_config.PRESETS, "physcon.studies.boon"),
}


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """The settings of the study, with the preset's defaults."""
    content = _peeked(arguments)
    name = _word(arguments, "--study") or content.get("study", "probconserv")
    study = STUDIES.get(name, STUDIES["probconserv"])
    preset = _word(arguments, "--preset") or content.get("preset", "quick")
    run = ArgumentParser(description=_DESCRIPTION, usage="physcon run CONFIG [options]")
    run.add_argument("--config", action="config", help="YAML file of settings: the CONFIG")
    run.add_argument("--study", choices=sorted(STUDIES), default=name, help="which settings")
    run.add_argument(
        "--preset", choices=sorted(study.presets), default="quick", help="size of the run"
    )
    run.add_argument(
        "--presets", type=dict, default={}, help="in CONFIG: what each preset changes there"
    )
    run.add_argument("--output", type=Path, default=None, help="run folder")
    run.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    run.add_argument("--quiet", action="store_true", help="no progress bars")
    study.add_options(run)
    run.add_class_arguments(study.settings)
    run.set_defaults(study.presets.get(preset, {}))
    run.set_defaults((content.get("presets") or {}).get(preset, {}))
    return run


def main(options: Namespace) -> None:
    """Train, evaluate, write tables and figures, print the table."""
    from physcon.studies.folder import prepare_folder, write_json

    study = STUDIES[options.study]
    chosen = {f.name: options[f.name] for f in dataclasses.fields(study.settings)}
    settings = _dataclass(study.settings, chosen)
    folder = options.output or Path("runs") / f"{_stem(options)}-{options.preset}"
    identity = json.loads(json.dumps(dataclasses.asdict(settings)))
    prepare_folder(folder, identity, options.resume)
    write_json(folder / "provenance.json", provenance())
    print(import_module(study.module).main(settings, folder, identity, vars(options)))
    print(f"tables and figures: {folder}")


def _stem(options: Namespace) -> str:
    """A name for the run folder: that of the configuration file, or of the problem."""
    return Path(str(options.config[0])).stem if options.config else options.problem


def _word(arguments: Sequence[str], option: str) -> str | None:
    """An option that must be known before the rest, since it decides their defaults."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == option:
            return following
        if word.startswith(option + "="):
            return word.partition("=")[2]
    return None


def _peeked(arguments: Sequence[str]) -> dict[str, Any]:
    """The configuration file's content, or nothing: its faults are reported when it is parsed."""
    path = _word(arguments, "--config")
    try:
        content = yaml.safe_load(Path(path).read_text()) if path else None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _dataclass(kind: type, values: dict[str, Any]) -> Any:
    """A (nested) dataclass from jsonargparse's namespaces."""
    out = {}
    for f in dataclasses.fields(kind):
        value = values[f.name]
        nested = isinstance(value, Namespace)
        out[f.name] = _dataclass(f.type, vars(value)) if nested else value  # type: ignore[arg-type]
    return kind(**out)
