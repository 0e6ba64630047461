"""`physcon solve` on a divided grid: the numbers of one device, resumed on other
devices.
"""

import sys

import numpy as np
import pytest
import xarray as xr
import yaml
from groups import Group, shared

from physcon.cli import main
from physcon.studies.solver import _assemble as assemble

POND = {
    "law": {"name": "shallow_water"},
    "grid": {"lower": [0.0, 0.0], "upper": [2.0, 1.0], "cells": [16, 8]},
    "sides": {
        side: {"kind": "reflective"} for side in ("left", "right", "bottom", "top")
    },
    "initial": {
        "name": "disc",
        "inside": [2.0, 0.0, 0.0],
        "outside": [1.0, 0.0, 0.0],
        "radius": 0.4,
        "centre": [0.7, 0.4],
    },
    "scheme": {"reconstruction": "constant", "riemann": "rusanov", "step": "euler"},
    "end": 0.3,
    "snapshots": 12,
    "figure": False,
}
FIELDS = ("depth", "discharge_x", "discharge_y", "velocity_x", "velocity_y")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "pond.yaml"
    path.write_text(yaml.safe_dump(POND))
    return path


@pytest.fixture(scope="module")
def solved(config, tmp_path_factory):
    """`solved("--mesh", "4")`: the solution, each computed once."""
    folders = {}

    def solution(*options):
        if options not in folders:
            folders[options] = tmp_path_factory.mktemp("solve") / "whole"
            main(
                [
                    "solve",
                    str(config),
                    "--output",
                    str(folders[options]),
                    "--quiet",
                    *options,
                ]
            )
        return opened(folders[options])

    return solution


def opened(folder):
    left = {path.name for path in folder.iterdir()}
    assert left == {"settings.json", "provenance.json", "table.txt", "solution.nc"}
    return xr.load_dataset(folder / "solution.nc", engine="h5netcdf")


def same(got, expected):
    """The same solution up to rounding, with the same names, attributes, steps and
    totals.
    """
    assert got.attrs == expected.attrs
    assert set(got.variables) == set(expected.variables)
    for name in ("t", "x", "y", "steps"):
        np.testing.assert_array_equal(got[name].values, expected[name].values)
    for name in FIELDS:
        np.testing.assert_allclose(
            got[name].values, expected[name].values, rtol=0, atol=2e-5
        )
    volume = got["total_depth"].values[0]  # walls: the water stays, to rounding
    rounding = float(np.finfo(np.float32).eps * got["steps"].values[-1])
    np.testing.assert_allclose(got["total_depth"].values, volume, rtol=rounding)


def cut_after(number, monkeypatch, command):
    """Run until the given number of snapshots; the next one is left half-written."""
    from physcon.studies.solver.shards import Shards

    save = Shards.save

    def cut(self, k, u, t, steps):
        if k == number:
            (self.folder / f"{k:05d}.orbax-checkpoint-tmp").mkdir()
            raise KeyboardInterrupt
        save(self, k, u, t, steps)

    with monkeypatch.context() as patch:
        patch.setattr(Shards, "save", cut)
        with pytest.raises(SystemExit, match="130"):
            main(command)


def test_a_divided_grid_has_the_solution_of_one_device(solved, monkeypatch):
    made = []
    averages = assemble.initial_averages

    def recorded(*args):
        def block(index):
            u = averages(*args)(index)
            made.append(u.shape)
            return u

        return block

    monkeypatch.setattr(assemble, "initial_averages", recorded)
    got = solved("--mesh")  # the eight devices of conftest.py
    assert set(made) == {
        (3, 1, 1),
        (3, 4, 4),
    }  # one cell to check the settings; blocks, 4 x 2
    same(got, solved())


def test_a_resumed_run_is_that_of_its_mesh_bit_by_bit(
    solved, config, tmp_path, monkeypatch
):
    folder = tmp_path / "cut"
    command = ["solve", str(config), "--output", str(folder), "--quiet", "--mesh"]
    cut_after(5, monkeypatch, command)
    assert {p.name for p in (folder / "shards").iterdir()} == {
        "00000", "00001", "00002", "00003", "00004", "00005.orbax-checkpoint-tmp"
    }  # fmt: skip
    with pytest.raises(SystemExit, match="resume with --mesh 1"):
        main([*command[:-1], "--resume"])
    main([*command, "--resume"])
    assert opened(folder).identical(solved("--mesh"))


def distributed(config, folder, *options):
    command = ["solve", str(config), "--output", str(folder), "--quiet", *options]
    return shared(["-W", "error", "-m", "physcon"], command)


def test_two_processes_go_on_with_what_eight_devices_began(
    solved, config, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    cut_after(
        9,
        monkeypatch,
        ["solve", str(config), "--output", str(folder), "--quiet", "--mesh"],
    )
    with Group(2, distributed(config, folder, "--resume")) as group:
        codes, outputs = group.finish()
    assert codes == [0, 0], outputs
    assert "total_depth" in outputs[0]
    assert "total_depth" not in outputs[1]  # one writer
    same(opened(folder), solved())


def test_a_killed_process_ends_the_run_which_one_device_resumes(
    solved, config, tmp_path
):
    folder = tmp_path / "run"
    with Group(2, distributed(config, folder)) as group:
        codes, outputs = group.killed(1, folder / "shards" / "00003")
    assert codes[0] not in (0, None)
    assert (
        "expected all 2 processes to stay" in outputs[0]
        or "another task died" in outputs[0]
    )
    assert not (folder / "solution.nc").exists()
    main(
        [
            "solve",
            str(config),
            "--output",
            str(folder),
            "--quiet",
            "--resume",
            "--mesh",
            "1",
            "1",
        ]
    )
    same(opened(folder), solved())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--grid.cells=[15,9]", "--mesh"],
            r"that 8 devices divide evenly, got \(15, 9\)",
        ),
        (
            ["--mesh", "3", "2"],
            "axis 0 that 3 devices divide evenly, got 16; take 15 or 18",
        ),
        (["--mesh", "4"], "each of 2 axes"),
        (["--mesh", "4", "4"], "at most 8 devices, got 4 x 4 = 16"),
        (
            ["--mesh", "8", "1", "--scheme.reconstruction=weno5"],
            "at least 3 cells on axis 0",
        ),
        (
            ["--mesh", "--scheme.max_steps=1"],
            "max_steps was reached; raise it; snapshots until",
        ),
        (["--processes", "2"], "expected --distributed with them"),
    ],
)
def test_what_cannot_be_divided_is_explained(config, tmp_path, options, message):
    folder = tmp_path / "run"
    with pytest.raises(SystemExit, match=message):
        main(["solve", str(config), "--output", str(folder), "--quiet", *options])
    assert folder.exists() == (
        "--scheme.max_steps=1" in options
    )  # only a run that had begun


def test_a_run_begun_on_one_device_stays_there(config, tmp_path):
    (tmp_path / "snapshots").mkdir()
    with pytest.raises(SystemExit, match="resume without --mesh"):
        main(
            [
                "solve",
                str(config),
                "--output",
                str(tmp_path),
                "--resume",
                "--mesh",
                "2",
                "1",
            ]
        )


def test_without_orbax_the_extra_is_named(config, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "physcon.studies.solver.shards", raising=False)
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    with pytest.raises(SystemExit, match=r"pip install 'physcon\[distributed\]'"):
        main(["solve", str(config), "--output", str(tmp_path / "run"), "--mesh"])
    assert not (tmp_path / "run").exists()
