"""One solution: stepped from snapshot to snapshot, resumable, then drawn."""

import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from tqdm import tqdm

from physcon import fv, report
from physcon._files import write_text
from physcon._typing import Array
from physcon.studies.solver.assemble import Setup, assemble
from physcon.studies.solver.settings import SolveConfig
from physcon.studies.solver.snapshots import combine, conserved, read, snapshot, write


def checked(config: SolveConfig) -> Setup:
    """The assembled problem, its sides and shapes tried out on an abstract step.

    Raises: ValueError for settings that do not fit, before anything is written.
    """
    with jax.enable_x64(config.dtype == "float64"):
        setup = assemble(config)
        problem = setup.problem
        t = jnp.zeros((), setup.u.dtype)
        jax.eval_shape(lambda u, t: problem.scheme.step(problem, u, t, t), setup.u, t)
    return setup


def run(config: SolveConfig, setup: Setup, folder: Path, progress: bool = True) -> xr.Dataset:
    """Solve and write `solution.nc`, the totals as table.txt, and figures into `folder`.

    What is there already is kept. Every snapshot is a file of its own, whole or absent, until all
    are there. Each interval starts from the state of the snapshot before it: a resumed run takes
    the very same steps.

    Raises: FloatingPointError where the solution fails, with the time and a remedy.
    """
    whole, parts = folder / "solution.nc", folder / "snapshots"
    with jax.enable_x64(config.dtype == "float64"):
        if whole.is_file():
            data = read(whole)
        else:
            _step_through(config, setup, parts, progress)
            data = combine(whole, _files(config, parts))
        for path in _files(config, parts):
            path.unlink(missing_ok=True)
        if parts.is_dir():
            parts.rmdir()
        write_text(folder / "table.txt", totals_text(data))
        _draw(config, setup, data, folder)
    return data


def totals_text(data: xr.Dataset) -> str:
    """The conserved totals at every snapshot, as a table for the terminal."""
    names = [str(name) for name in data.data_vars if str(name).startswith("total_")]
    lines = [f"{'t':>12}" + "".join(f"{name:>20}" for name in names) + f"{'steps':>10}"]
    for k in range(data.sizes["t"]):
        at = data.isel(t=k)
        totals = "".join(f"{float(at[name]):>20.9g}" for name in names)
        lines.append(f"{float(at['t']):>12.6g}{totals}{int(at['steps']):>10d}")
    return "\n".join(lines)


def _files(config: SolveConfig, parts: Path) -> list[Path]:
    return [parts / f"{k:05d}.nc" for k in range(config.snapshots + 1)]


def _step_through(config: SolveConfig, setup: Setup, parts: Path, progress: bool) -> None:
    """Write the snapshots that are not there yet."""
    parts.mkdir(exist_ok=True)
    for left in parts.glob("*.partial"):  # of a run that was killed
        left.unlink()
    files = _files(config, parts)
    times = np.linspace(config.start, config.end, config.snapshots + 1).astype(config.dtype)
    if not files[0].is_file():
        write(files[0], snapshot(setup, config, setup.u, float(times[0]), 0))
    done = max(k for k, file in enumerate(files) if file.is_file())
    u, _, steps = conserved(setup, read(files[done]))
    scheme = config.scheme
    bar = tqdm(total=len(times) - 1, initial=done, disable=not progress, unit="snapshot")
    with bar:
        for k in range(done + 1, len(times)):
            began = time.perf_counter()
            problem = setup.problem
            settings = {"cfl": scheme.cfl, "dt": scheme.dt, "max_steps": scheme.max_steps}
            clock = {"start": times[k - 1], "times": times[k : k + 1]} | settings
            u, t, taken, failed = advance((problem, clock), u)
            if failed:
                raise FloatingPointError(
                    f"at t = {float(t):.6g}: {fv.STATUS[int(failed)]}; "
                    f"snapshots until t = {times[k - 1]:.6g} are in {parts}"
                )
            steps += int(taken)
            write(files[k], snapshot(setup, config, u, float(times[k]), steps))
            seconds = time.perf_counter() - began
            rate = int(taken) * problem.grid.size / seconds
            bar.set_postfix_str(f"t = {times[k]:.4g}, {steps} steps, {rate:.2g} cell steps/s")
            bar.update()


@eqx.filter_jit(donate="all-except-first")
def advance(inputs: tuple[fv.Problem, dict[str, Any]], u: Array) -> tuple[Array, ...]:
    """The state one snapshot later, in the memory of `u`; time, steps and status with it."""
    problem, clock = inputs
    solution = fv.solve(u, *problem.parts(), **clock, source=problem.source, throw=False)
    return solution.u[-1], solution.t, solution.steps, solution.status


def _draw(config: SolveConfig, setup: Setup, data: xr.Dataset, folder: Path) -> None:
    if not (config.figure or config.animation):
        return
    names = [variable.name for variable in setup.equation.primitive]
    fields = {name: np.asarray(data[name].values) for name in names}
    title = str(data.attrs["title"])
    coordinates = [np.asarray(data[axis].values) for axis in ("x", "y") if axis in data.coords]
    times = np.asarray(data["t"].values)
    if config.figure:
        report.fields_figure(folder / "solution.png", coordinates, times, fields, title)
    if config.animation:
        report.fields_animation(folder / "solution.gif", coordinates, times, fields, title)
