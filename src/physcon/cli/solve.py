"""`physcon solve`: one equation, from settings to a file and a figure."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from physcon.cli.info import provenance
from physcon.cli.settings import from_options

HELP = "solve one equation by finite volumes"
_DESCRIPTION = """Solve a conservation law or a diffusion equation from an initial state.

Snapshots go to the run folder as solution.nc (NetCDF, opened by xarray), with a figure, the
conserved totals and the resolved settings. A killed run goes on with --resume, to the same numbers.
Every field of the settings can be changed on the command line, e.g. --grid.cells [400]. Example:

  physcon solve configs/fv_sod.yaml --scheme.reconstruction weno5
"""


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """The settings of one solution."""
    from physcon.studies.solver.settings import SolveConfig

    solve = ArgumentParser(description=_DESCRIPTION, usage="physcon solve CONFIG [options]")
    solve.add_argument("--config", action="config", help="YAML file of settings: the CONFIG")
    solve.add_argument("--output", type=Path, default=None, help="run folder")
    solve.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    solve.add_argument("--quiet", action="store_true", help="no progress bar")
    solve.add_class_arguments(SolveConfig)
    return solve


def main(options: Namespace) -> None:
    """Solve, write, draw, and print the conserved totals."""
    from physcon._files import write_json
    from physcon.studies.folder import prepare_folder
    from physcon.studies.solver.run import checked, run, totals_text
    from physcon.studies.solver.settings import SolveConfig

    config = from_options(SolveConfig, options)
    setup = checked(config)
    folder = options.output or Path("runs") / f"{config.law.name}-{config.initial.name}"
    prepare_folder(folder, json.loads(json.dumps(dataclasses.asdict(config))), options.resume)
    write_json(folder / "provenance.json", provenance() | {"seed": config.seed})
    data = run(config, setup, folder, progress=not options.quiet)
    print(totals_text(data))
    print(f"solution and figures: {folder}")
