"""Compute one solution from snapshot to snapshot, resumable, and draw it."""

import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import xarray as xr
from jax.sharding import Mesh

from physcon import fv, parallel, report
from physcon._checks import require
from physcon._files import write_text
from physcon._mesh import agreed, is_writer
from physcon._typing import Array
from physcon._wide import wide_jit
from physcon.fv._solve import integrate, prepared_run
from physcon.report.fields import written
from physcon.studies.session import Session
from physcon.studies.solver._assemble import Setup, assemble
from physcon.studies.solver.instants import instants
from physcon.studies.solver.mesh_files import draw, write_vtk
from physcon.studies.solver.settings import SolveConfig
from physcon.studies.solver.snapshot_files import combine
from physcon.studies.solver.snapshots import Files
from physcon.training.progress import progress_bar


@runtime_checkable
class Snapshots(Protocol):
    """The place where the snapshots of a run are kept, each complete or absent.

    It is `Files`, or `Shards` on a mesh.
    """

    folder: Path

    def prepare(self) -> None: ...
    def saved(self, times: np.ndarray) -> int: ...
    def initial(self) -> Array: ...
    def save(self, k: int, u: Array, t: float, steps: int) -> None: ...
    def load(self, k: int) -> tuple[Array, int]: ...
    def dataset(self, k: int) -> xr.Dataset: ...


def checked(config: SolveConfig, mesh: Mesh | None = None) -> Setup:
    """Assemble the problem, and try out its sides and shapes on an abstract solution.

    Raises:
        ValueError: for settings that do not fit, before anything is written.
        ImportError: for a mesh without orbax.
    """
    if mesh is not None:
        from physcon.studies.solver.shards import host

        host()
    with jax.enable_x64(config.dtype == "float64"):
        setup = assemble(config)
        length = instants(config).lengths[0]
        jax.eval_shape(
            lambda u: _interval(config, setup, mesh, u, length)[0], setup.state
        )
    return setup


def run(config: SolveConfig, setup: Setup, session: Session) -> None:
    """Solve and write `solution.nc`, the totals as table.txt, and figures.

    Snapshots that are already in the session's folder are kept. Each snapshot is
    complete or absent until all are done and joined in one file. Each interval starts
    from the state of the previous snapshot, so a resumed run takes the same steps.

    Args:
        config: the settings.
        setup: the assembled problem; see `checked`.
        session: its mesh divides the grid, one mesh axis per grid axis. All processes
            of the mesh call this function; process 0 writes the files at the end.

    Raises:
        FloatingPointError: if the solution fails; the message gives the time and a
            remedy.
    """
    folder = session.folder
    require(folder is not None, "a session with a folder", None, "pass Session(folder)")
    assert folder is not None
    whole = folder / "solution.nc"
    with jax.enable_x64(config.dtype == "float64"):
        kept = _kept(config, setup, folder, session)
        if not agreed(whole.is_file()):
            _step_through(config, setup, kept, session)
        if not is_writer():
            return
        if not whole.is_file():
            number = config.snapshots + 1
            combine(whole, (kept.dataset(k) for k in range(number)), number)
        shutil.rmtree(kept.folder, ignore_errors=True)
        with _opened(whole) as data:
            write_text(folder / "table.txt", totals_text(data))
            if setup.mesh is not None:
                write_vtk(folder, setup.mesh, data)
            _draw(config, setup, data, folder)


def _opened(path: Path) -> xr.Dataset:
    """Open the finished solution.

    Raises:
        ValueError: for a file that cannot be read.
    """
    try:
        return xr.open_dataset(path, engine="h5netcdf")
    except (OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ValueError(
            f"expected a finished solution in {path}, got a file that cannot be read "
            f"({reason}); remove it to solve again"
        ) from error


def totals_text(data: xr.Dataset) -> str:
    """Format the conserved totals at every snapshot as a table for the terminal."""
    names = [str(name) for name in data.data_vars if str(name).startswith("total_")]
    times = data["t"].values
    lines = [f"{'t':>12}" + "".join(f"{name:>20}" for name in names) + f"{'steps':>10}"]
    for k in range(data.sizes["t"]):
        at = data.isel(t=k)
        totals = "".join(f"{float(at[name]):>20.9g}" for name in names)
        lines.append(
            f"{written(times, float(at['t'])):>12}{totals}{int(at['steps']):>10d}"
        )
    return "\n".join(lines)


def _kept(
    config: SolveConfig, setup: Setup, folder: Path, session: Session
) -> Snapshots:
    of_one_device = folder / "snapshots"
    of_a_mesh = folder / "shards"
    identity = session.of(config).identity
    if session.mesh is None:
        ones = " 1" * len(config.grid.cells)
        require(
            not of_a_mesh.is_dir(),
            "a run that was on one device",
            f"{of_a_mesh}",
            f"resume with --mesh{ones}",
        )
        return Files(config, setup, folder, identity)
    require(
        not of_one_device.is_dir(),
        "a run that was divided",
        f"{of_one_device}",
        "resume without --mesh and --distributed",
    )
    from physcon.studies.solver.shards import Shards

    return Shards(config, setup, folder, identity, session.mesh)


def _interval(
    config: SolveConfig, setup: Setup, mesh: Mesh | None, u: Array, length: np.floating
) -> tuple[Array, ...]:
    """Advance from one snapshot to the next.

    Time is counted from the first of them: nothing in the settings depends on time.
    """
    scheme = config.scheme
    cfl = setup.time_step.cfl
    limits = {"cfl": cfl, "dt": scheme.dt, "max_steps": scheme.max_steps}
    return advance((setup.problem, {"times": np.array([length])} | limits, mesh), u)


@partial(wide_jit, donate_rest=True)
def advance(
    inputs: tuple[fv.Problem | fv.MeshProblem, dict[str, Any], Mesh | None], u: Array
) -> tuple[Array, ...]:
    """Advance the state over an interval, in the memory of `u`.

    The result includes the time, the number of steps and the status.
    """
    problem, clock, mesh = inputs
    if mesh is None:
        run = prepared_run(problem, u, clock["times"], 0.0, clock["cfl"], clock["dt"])
        found = integrate(problem, u, run, None, True, clock["max_steps"], "while")
    else:
        assert isinstance(problem, fv.Problem)
        where = {"mesh": mesh, "axes": mesh.axis_names}
        found = parallel.solve(u, *problem.parts(), **clock, **where, throw=False)
    return found.u[-1], found.t, found.steps, found.status


def _step_through(
    config: SolveConfig, setup: Setup, kept: Snapshots, session: Session
) -> None:
    """Save the snapshots that do not exist yet."""
    mesh = session.mesh
    kept.prepare()
    times, lengths = instants(config)
    done = kept.saved(times) - 1
    if done < 0:
        kept.save(0, kept.initial(), float(times[0]), 0)
        done = 0
    u, steps = kept.load(done)
    bar = progress_bar(len(times) - 1, done, enabled=session.progress, unit="snapshot")
    with bar:
        for k in range(done + 1, len(times)):
            began = time.perf_counter()
            u, t, taken, failed = _interval(config, setup, mesh, u, lengths[k - 1])
            if failed:
                reached = written(times, float(times[k - 1]) + float(t))
                raise FloatingPointError(
                    f"at t = {reached}: {fv.STATUS[int(failed)]}; snapshots until "
                    f"t = {written(times, times[k - 1])} are in {kept.folder}"
                )
            steps += int(taken)
            kept.save(k, u, float(times[k]), steps)
            seconds = time.perf_counter() - began
            rate = int(taken) * setup.problem.grid.size / seconds
            reached = written(times, times[k])
            bar.set_postfix_str(
                f"t = {reached}, {steps} steps, {rate:.2g} cell steps/s"
            )
            bar.update()


def _draw(config: SolveConfig, setup: Setup, data: xr.Dataset, folder: Path) -> None:
    if not (config.figure or config.animation):
        return
    if setup.mesh is not None:
        draw(folder / "solution.png", setup.mesh, setup.equation, data)
        return
    names = [variable.name for variable in setup.equation.primitive]
    fields = {name: np.asarray(data[name].values) for name in names}
    title = str(data.attrs["title"])
    coordinates = [
        np.asarray(data[axis].values) for axis in ("x", "y") if axis in data.coords
    ]
    times = np.asarray(data["t"].values)
    if config.figure:
        report.fields_figure(folder / "solution.png", coordinates, times, fields, title)
    if config.animation:
        report.fields_animation(
            folder / "solution.gif", coordinates, times, fields, title
        )
