"""`physcon solve`: one equation, from settings to a file and a figure."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from physcon._page import check_path
from physcon.cli import distributed
from physcon.cli.info import provenance
from physcon.cli.parsers import SuggestingParser
from physcon.cli.ranges import judged, show_ranges

_DESCRIPTION = """Solve a conservation law or a diffusion equation in time.

CONFIG is a settings file, or the name of one that is part of physcon (fv_sod,
fv_quadrants, ...). Snapshots go to the run folder as solution.nc (NetCDF, opened by
xarray), with a figure, the conserved totals and the resolved settings. A killed run
continues with --resume, and gives the same numbers. Every field of the settings can be
changed on the command line, such as --grid.cells [400]:

  physcon solve fv_sod --scheme.reconstruction weno5 --report sod.html

--mesh divides the grid among the devices of this process, and --distributed among the
devices of several processes (`physcon run --help` explains their options). A run
resumes on any number of processes and devices.

  physcon solve fv_quadrants --mesh 4 2

grid.path names a mesh file (gmsh, VTK, UGRID) in place of a box. The conditions of its
boundary patches are given by their names, in the settings file:

  grid: {path: channel.msh}
  patches:
    inlet: {kind: dirichlet, value: [1.0, 3.0, 0.0, 1.0]}
    wall: {kind: reflective}

solution.nc is then a UGRID file, and solution.pvd opens the snapshots in ParaView.
"""


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """The settings of one solution."""
    from physcon.studies.solver.settings import SolveConfig

    solve = SuggestingParser(
        description=_DESCRIPTION, usage="physcon solve CONFIG [options]"
    )
    solve.add_argument(
        "--config", action="config", help="YAML file of settings: the CONFIG"
    )
    solve.add_argument("--output", type=Path, default=None, help="run folder")
    solve.add_argument(
        "--resume", action="store_true", help="continue the run in that folder"
    )
    solve.add_argument(
        "--mesh",
        type=int,
        nargs="*",
        default=None,
        help="number of devices for each axis of the grid; without numbers, all devices"
        " are used",
    )
    distributed.add_options(solve, "the grid")
    solve.add_argument("--quiet", action="store_true", help="no progress bar")
    solve.add_argument(
        "--report", type=Path, default=None, help="write a page for a browser (.html)"
    )
    solve.add_class_arguments(SolveConfig)
    show_ranges(solve, SolveConfig)
    return solve


def main(options: Namespace) -> None:
    """Solve, write, draw, and print the conserved totals."""
    from physcon._checks import require
    from physcon._mesh import is_writer
    from physcon.parallel import processes
    from physcon.studies.folder import run_folder
    from physcon.studies.session import Session, identity
    from physcon.studies.solver._run import checked, run
    from physcon.studies.solver.division import divided
    from physcon.studies.solver.settings import SolveConfig

    if options.report is not None:
        check_path(options.report)
    config = judged(SolveConfig, options)
    path = config.initial.path
    files = [] if path is None else [Path(path)]
    several = distributed.joined(options, identity(config), files)
    alone = not several and options.mesh is None
    require(
        alone or config.grid.path is None,
        "a mesh file on one device",
        "--mesh or --distributed",
        "leave them out",
    )
    with processes.ending_together():
        mesh = None if alone else divided(config.grid.cells, options.mesh or ())
        setup = checked(config, mesh)
    folder = options.output or Path("runs") / f"{config.law.name}-{config.initial.name}"
    session = Session(
        folder=folder,
        identity=identity(config),
        resume=options.resume,
        progress=not options.quiet and is_writer(),
        mesh=mesh,
    )
    about = provenance() | {"seed": config.seed}
    with (
        processes.ending_together(),
        run_folder(folder, session.identity, about, options.resume),
    ):
        run(config, setup, session)
    if is_writer():
        if options.report is not None:
            _write_page(folder, options.report)
        print(setup.time_step.sentence())
        print((folder / "table.txt").read_text(), end="")
        print(f"solution and figures: {folder}")


def _write_page(folder: Path, path: Path) -> None:
    import xarray as xr

    from physcon.studies.pages import solution_page

    with xr.open_dataset(folder / "solution.nc", engine="h5netcdf") as data:
        solution_page(folder, data).write(path)
