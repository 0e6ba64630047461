"""`physcon run`: reproduce a published study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from physcon._page import check_path
from physcon.cli import distributed
from physcon.cli.info import provenance
from physcon.cli.parsers import SuggestingParser
from physcon.cli.ranges import judged, show_ranges
from physcon.studies import catalogue

_DESCRIPTION = """Run a study: get its data, train, predict, constrain, score.

CONFIG is a settings file, or the name of one that is part of physcon (stefan,
boon_wave, ...). Tables (text, JSON) and figures go to the run folder with the resolved
settings. Every field of the settings can be changed on the command line, such as
--training.steps 2000 --seed 3. Examples:

  physcon run stefan --preset quick
  physcon run darcy_16 --data FOLDER
  physcon run boon_wave
  physcon run inverse_stefan --noise_std 0.1 --report stefan.html

With --distributed, start the same command once per process, with a run folder that all
of them see. Under Slurm, Open MPI or Kubernetes nothing else is needed; elsewhere give
the address of process 0, the number of processes, and the number of each process:

  physcon run stefan --distributed --coordinator host:1234 --processes 2 --process_id 0
"""
_DEFAULT = "probconserv"


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """The settings of the study, with the preset's defaults."""
    content = _content(arguments)
    studies = catalogue.studies()
    name = _option(arguments, "--study") or content.get("study", _DEFAULT)
    study = studies.get(name, studies[_DEFAULT])
    run = SuggestingParser(
        description=_DESCRIPTION, usage="physcon run CONFIG [options]"
    )
    run.add_argument(
        "--config", action="config", help="YAML file of settings: the CONFIG"
    )
    run.add_argument(
        "--study", choices=sorted(studies), default=_DEFAULT, help="which study"
    )
    run.add_argument(
        "--preset",
        choices=sorted(study.presets),
        default="quick",
        help="size of the run",
    )
    run.add_argument(
        "--presets",
        type=dict,
        default={},
        help="in CONFIG: what each preset changes there",
    )
    run.add_argument("--output", type=Path, default=None, help="run folder")
    run.add_argument(
        "--resume", action="store_true", help="continue the run in that folder"
    )
    distributed.add_options(run, "the training")
    for file, meaning in study.files.items():
        run.add_argument(f"--{file}", type=Path, default=None, help=meaning)
    run.add_argument("--quiet", action="store_true", help="show no progress")
    run.add_argument(
        "--report", type=Path, default=None, help="write a page for a browser (.html)"
    )
    run.add_class_arguments(study.settings)
    show_ranges(run, study.settings)
    if "law" in content:
        run.error(
            "expected the settings of a study, got the settings of a solution; "
            "run physcon solve with this file"
        )
    preset = _option(arguments, "--preset") or content.get("preset", "quick")
    run.set_defaults(study.presets.get(preset, {}))
    own = content.get("presets", {})
    try:
        run.set_defaults(own.get(preset, {}))
    except (AttributeError, KeyError) as error:
        run.error(f"presets of the settings file, {preset}: {error}")
    return run


def main(options: Namespace) -> None:
    """Train, evaluate, write tables and figures, print the table."""
    from physcon._mesh import is_writer
    from physcon.parallel import processes
    from physcon.studies.folder import run_folder
    from physcon.studies.session import Session, identity

    if options.report is not None:
        check_path(options.report)
    study = catalogue.find(options.study)
    config = judged(study.settings, options)
    settings = identity(config)
    files = {file: options[file] for file in study.files}
    given = [path for path in files.values() if path is not None]
    several = distributed.joined(options, settings, given)
    mesh = processes.mesh_of_all() if several else None
    default = getattr(config, "problem", options.study)
    name = Path(str(options.config[0])).stem if options.config else default
    folder = options.output or Path("runs") / f"{name}-{options.preset}"
    with processes.ending_together():
        inputs = study.inputs(config, **files)
        seeds = {k: v for k, v in settings.items() if k in ("seed", "seeds")}
        about = provenance() | seeds
        with run_folder(folder, settings, about, options.resume):
            session = Session(
                folder=folder,
                identity=settings,
                resume=options.resume,
                progress=not options.quiet and is_writer(),
                mesh=mesh,
            )
            study.run(config, session, **inputs)
    if not is_writer():
        return
    if settings.get("truth") == "fv":
        print(f"truth by finite volumes:\n{(folder / 'truth.txt').read_text()}")
    if options.report is not None:
        from physcon.studies.pages import study_page

        study_page(folder, f"{name}, {options.preset}").write(options.report)
    print((folder / "table.txt").read_text(), end="")
    print(f"tables and figures: {folder}")


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
