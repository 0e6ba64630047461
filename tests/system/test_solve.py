"""`physcon solve`: the solver's own numbers in a file, resumed bit by bit, refused when
wrong.
"""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
import yaml
from jsonargparse import ArgumentParser

from physcon import fv
from physcon.boundary import Boundary, Reflective
from physcon.cli import main
from physcon.cli.settings import from_options
from physcon.grid import Grid
from physcon.studies.solver import _run as solver
from physcon.studies.solver import snapshots
from physcon.studies.solver._assemble import assemble
from physcon.studies.solver.settings import SolveConfig

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("fv_*.yaml"))
TUBE = {
    "law": {"name": "euler"},
    "grid": {"cells": [40]},
    "sides": {"left": {"kind": "reflective"}, "right": {"kind": "reflective"}},
    "initial": {"name": "riemann", "left": [1.0, 0.0, 1.0], "right": [0.125, 0.0, 0.1]},
    "scheme": {"reconstruction": "constant", "step": "ssp_rk2"},
    "end": 0.4,
    "snapshots": 4,
}


def opened(folder):
    return xr.load_dataset(folder / "solution.nc", engine="h5netcdf")


def settings(content):
    parser = ArgumentParser()
    parser.add_class_arguments(SolveConfig)
    return from_options(SolveConfig, parser.parse_object(content))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tube.yaml"
    path.write_text(yaml.safe_dump(TUBE))
    return path


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("solve") / "whole"
    main(
        [
            "solve",
            str(config),
            "--output",
            str(folder),
            "--quiet",
            "--animation",
            "true",
            "--report",
            str(folder.with_name("page.html")),
        ]
    )
    return folder


def test_the_file_holds_the_solvers_numbers_with_names_and_totals(finished, capsys):
    data = opened(finished)
    law, grid = fv.Euler(), Grid.uniform(0.0, 1.0, 40)
    x = grid.coordinates[0]
    w = jnp.where(
        x < 0.5, *(jnp.array(s)[:, None] for s in ((1, 0.0, 1), (0.125, 0, 0.1)))
    )
    scheme = fv.Scheme(fv.Constant(), fv.hllc, fv.ssp_rk2)
    times = np.linspace(0, 0.4, 5)[1:]
    u = law.conservative(w)
    direct = fv.solve(u, law, grid, Boundary(Reflective()), scheme, times=times)
    saved = np.stack(
        [data[name].values for name in ("density", "momentum_x", "energy")], 1
    )
    np.testing.assert_array_equal(saved[1:], np.asarray(direct.u))
    np.testing.assert_array_equal(data["x"].values, np.asarray(x))
    np.testing.assert_allclose(data["t"].values, [0, *times], rtol=1e-7)
    np.testing.assert_array_equal(
        data["pressure"].values[2], law.primitive(direct.u[1])[2]
    )
    assert int(data["steps"][-1]) == int(direct.steps)
    # Walls: mass and energy stay, to one rounding a step.
    rounding = float(np.finfo(np.float32).eps * data["steps"][-1])
    for name, total in (("density", 0.5625), ("energy", 1.375)):
        np.testing.assert_allclose(data[f"total_{name}"].values, total, rtol=rounding)
    assert data.attrs["law"] == "euler"
    assert "hllc" in data.attrs["scheme"]
    assert data["x"].attrs["units"] == "1"
    assert data["momentum_x"].attrs["long_name"]
    left = {path.name for path in finished.iterdir()}
    assert left == {
        "settings.json", "provenance.json", "table.txt", "solution.nc", "solution.png",
        "solution.gif",
    }  # fmt: skip
    main(["report", str(finished)])
    assert "total_energy" in capsys.readouterr().out


def test_a_page_shows_the_fields_and_the_totals(finished):
    text = finished.with_name("page.html").read_text()
    data = opened(finished)
    totals, density, *_ = json.loads(re.search(r'id="numbers">(.*?)</script>', text)[1])
    mass = data["total_density"].values.astype(np.float64)
    change = totals["charts"][0]["curves"][0]["values"]
    np.testing.assert_allclose(change, mass - mass[0], rtol=1e-4)
    assert density["sliders"][0]["labels"] == [f"{t:.6g}" for t in data["t"].values]
    start, moving = density["charts"][0]["curves"]
    values = data["density"].values
    np.testing.assert_allclose(start["values"], values[0], rtol=1e-4)
    np.testing.assert_allclose(moving["values"], values, rtol=1e-4)
    assert "initial.left" in text  # the settings


def test_an_interrupted_run_resumes_to_the_same_bits(
    finished, config, tmp_path, monkeypatch
):
    folder = tmp_path / "cut"
    command = [
        "solve",
        str(config),
        "--output",
        str(folder),
        "--quiet",
        "--figure",
        "false",
    ]
    written = []

    def cut(path, data):
        if len(written) == 3:  # killed within the fourth file
            path.with_name(path.name + ".partial").write_bytes(b"half a snapshot")
            raise KeyboardInterrupt
        written.append(path)
        write(path, data)

    write = snapshots.write
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "write", cut)
        with pytest.raises(SystemExit, match="130"):
            main(command)
    assert {p.name for p in (folder / "snapshots").iterdir()} == {
        "00000.nc", "00001.nc", "00002.nc", "00003.nc.partial"
    }  # fmt: skip
    with pytest.raises(SystemExit, match="--resume"):
        main(command)
    with pytest.raises(SystemExit, match="scheme"):
        main([*command, "--resume", "--scheme.cfl", "0.4"])
    solved = []

    def counted(inputs, u):
        # A trial of the settings is abstract: it has no numbers.
        solved.append(not isinstance(u, jax.core.Tracer))
        return advance(inputs, u)

    def noted(path, data):
        written.append(path.name)
        write(path, data)

    advance = solver.advance
    monkeypatch.setattr(solver, "advance", counted)
    monkeypatch.setattr(snapshots, "write", noted)
    written.clear()
    main([*command, "--resume"])
    assert solved == [False, True, True]  # the last two intervals
    assert written == ["00003.nc", "00004.nc"]
    one, other = opened(folder), opened(finished)
    assert one.identical(other)
    assert not (folder / "snapshots").exists()
    main([*command, "--resume"])  # finished: not solved again
    assert solved[3:] == [False]
    assert len(written) == 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_may_start_at_any_time(config, finished, tmp_path, dtype):
    """Nothing in the settings depends on time: the states are those of start 0."""
    start = 1.7e9  # seconds since 1970, whose neighbours in float32 are 128 s away
    span = ["--start", f"{start}", "--end", f"{start + 0.5}", "--snapshots", "4"]
    options = ["--dtype", dtype, "--quiet", "--figure", "false"]
    folders = tmp_path / "late", tmp_path / "early"
    main(["solve", str(config), "--output", str(folders[0]), *options, *span])
    early = ["--end", "0.5", "--snapshots", "4"]
    main(["solve", str(config), "--output", str(folders[1]), *options, *early])
    late, early = (opened(folder) for folder in folders)
    np.testing.assert_array_equal(late["t"].values, start + early["t"].values)
    np.testing.assert_array_equal(late["t"].values, start + np.arange(5) / 8)
    for name in ("density", "momentum_x", "energy", "steps"):
        np.testing.assert_array_equal(late[name].values, early[name].values)
    moved = np.abs(late["density"].values[-1] - late["density"].values[0]).max()
    assert moved > 0.1
    assert "1700000000.125" in (folders[0] / "table.txt").read_text()


def test_times_that_no_float64_tells_apart_are_refused(config, tmp_path):
    span = ["--start", "1.7e9", "--end", "1700000000.000001", "--snapshots", "50"]
    folder = tmp_path / "run"
    with pytest.raises(SystemExit, match="times that differ in float64"):
        main(["solve", str(config), "--output", str(folder), "--quiet", *span])
    assert not folder.exists()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_kept_configurations_fit_together(path):
    setup = assemble(settings(yaml.safe_load(path.read_text())))
    assert setup.u.shape == (len(setup.equation.conserved), *setup.problem.grid.shape)
    assert bool(jnp.isfinite(setup.u).all())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--law.threshold=0.3"], "parameters of euler"),
        (["--initial.radius=1"], "settings of initial.name riemann"),
        (["--initial.left=null"], "no left"),
        (["--initial.left=[1.0,0.0]"], "3 numbers in left"),
        (["--sides.left.kind=periodic"], "both sides"),
        (["--sides.top.kind=periodic"], "left and right in 1-D"),
        (["--scheme.riemann=godunov"], "use hllc"),
        (["--scheme.step=sdirk2"], "scheme.dt"),
        (["--scheme.step=sdirk2", "--scheme.dt=0.1"], "a Diffusion"),
        (["--end=-1"], "end > start"),
        (["--scheme.dt=0.3"], "smaller CFL number"),
    ],
)
def test_settings_that_do_not_fit_are_explained(config, tmp_path, options, message):
    folder = tmp_path / "run"
    with pytest.raises(SystemExit, match=message):
        main(["solve", str(config), "--output", str(folder), "--quiet", *options])
    assert folder.exists() == (
        "--scheme.dt=0.3" in options
    )  # only a run that had begun


def test_unknown_settings_are_refused(config, capsys):
    with pytest.raises(SystemExit):
        main(["solve", str(config), "--scheme.slope", "minmod"])
    assert "slope" in capsys.readouterr().err


def initial(name, cells=(40,), law="heat", **more):
    box = {
        "lower": [-2.0] * len(cells),
        "upper": [2.0] * len(cells),
        "cells": list(cells),
    }
    content = {"law": {"name": law}, "grid": box, "initial": {"name": name, **more}}
    setup = assemble(settings(content))
    return setup.problem.grid, np.asarray(setup.u, float)


def test_the_output_and_the_file_name_the_time_step(config, tmp_path, capsys):
    folder = tmp_path / "run"
    options = ["--scheme.step=null", "--scheme.reconstruction=muscl", "--end=0.1"]
    quick = ["--snapshots=1", "--figure=false", "--quiet", "--output", str(folder)]
    main(["solve", str(config), *options, *quick])
    assert "time step: hancock, CFL number 0.9" in capsys.readouterr().out
    assert opened(folder).attrs["scheme"] == "muscl, hllc, hancock"


def test_initial_states_are_cell_averages():
    _, u = initial("sine", amplitude=[2.0], state=[1.0], waves=[3])
    faces = np.linspace(-2, 2, 41)  # three waves on a length of 4
    primitive = faces - 2 * np.cos(1.5 * np.pi * faces) / (1.5 * np.pi)
    sign = np.cos(3 * np.pi)  # the wave starts at the lower end
    exact = 1 + sign * (np.diff(primitive) / 0.1 - 1)
    np.testing.assert_allclose(u[0], exact, atol=3e-6)
    # The mass of the Barenblatt profile with m = 2 in 2-D is the same at all times:
    masses = [
        initial("barenblatt", (40, 40), "pme", time=t)[1].mean() * 16
        for t in (0.05, 0.2)
    ]
    # t^(-2α) (1 - r²/R²)^(1/m) over a disc of R² = 2 t^(2α)/(α m): π R² t^(-2α) m/(m +
    # 1).
    np.testing.assert_allclose(masses, np.pi * 2 / (1 / 6 * 2) * 2 / 3, rtol=2e-3)
    _, u = initial("gaussian", amplitude=[1.0], width=0.2, centre=[0.0])
    assert u.sum() * 0.1 == pytest.approx(0.2 * np.sqrt(2 * np.pi), rel=1e-6)
    _, u = initial("disc", (40, 40), inside=[3.0], outside=[1.0], radius=1.0)
    assert (u.mean() - 1) / 2 * 16 == pytest.approx(np.pi, rel=5e-3)


def test_quadrants_and_blast_are_where_they_should_be():
    states = [[1.0], [2.0], [3.0], [4.0]]
    _, u = initial("quadrants", (4, 4), states=states, position=[0.0])
    assert u[0, 3, 3] == 1
    assert u[0, 0, 3] == 2
    assert u[0, 0, 0] == 3
    assert u[0, 3, 0] == 4
    _, u = initial("blast", (4,), "euler", inside=[10.0], outside=[0.1], radius=1.0)
    np.testing.assert_allclose(u[2], [0.25, 25, 25, 0.25], rtol=1e-6)


def test_random_states_follow_their_seed_and_files_are_read_back(finished):
    content = {
        "grid": {"cells": [64]},
        "initial": {"name": "random", "amplitude": [0.5]},
    }
    draws = [
        np.asarray(assemble(settings({**content, "seed": k})).u) for k in (1, 1, 2)
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert np.abs(draws[0] - draws[2]).max() > 0.1
    many = [np.asarray(assemble(settings({**content, "seed": k})).u) for k in range(12)]
    assert np.std(many) == pytest.approx(0.5, rel=0.2)

    again = {**TUBE, "initial": {"name": "file", "path": str(finished / "solution.nc")}}
    with jax.enable_x64(False):
        u = np.asarray(assemble(settings(again)).u)
    last = opened(finished).isel(t=-1)
    np.testing.assert_array_equal(
        u, [last[n].values for n in ("density", "momentum_x", "energy")]
    )
    with pytest.raises(ValueError, match=r"set grid\.cells"):
        assemble(settings({**again, "grid": {"cells": [41]}}))
