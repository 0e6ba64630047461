"""`physcon solve` on a mesh file: patches by name, snapshots in UGRID and VTK."""

import meshio
import numpy as np
import pytest
import xarray as xr
import yaml

from physcon import fv, io, mesh
from physcon.boundary import Dirichlet, Outflow, Reflective
from physcon.cli import main
from physcon.studies.solver import snapshots

SETTINGS = {
    "law": {"name": "euler"},
    "patches": {
        "inlet": {"kind": "dirichlet", "value": [1.0, 0.5, 0.0, 1.0]},
        "outlet": {"kind": "outflow"},
        "wall": {"kind": "reflective"},
    },
    "scheme": {"reconstruction": "constant", "step": "euler"},
    "initial": {
        "name": "gaussian",
        "state": [1.0, 0.5, 0.0, 1.0],
        "amplitude": [0.5, 0.0, 0.0, 0.0],
        "centre": [0.6, 0.4],
        "width": 0.2,
    },
    "end": 0.2,
    "snapshots": 2,
}


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    """A channel of triangles in gmsh's format, and settings that name it."""
    folder = tmp_path_factory.mktemp("channel")
    box = mesh.triangles((0.0, 0.0), (2.0, 1.0), (6, 3), distortion=0.2)
    nodes = np.asarray(box.points, float)
    corners = np.asarray(box.corners)
    edges = np.sort(corners[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    outer = edges[count == 1]
    middle = nodes[outer].mean(axis=1)[:, 0]
    tag = np.where(middle == 0, 1, np.where(middle == 2, 2, 3))
    tags = [tag, np.full(len(corners), 4)]
    content = meshio.Mesh(
        np.pad(nodes, ((0, 0), (0, 1))),
        [("line", outer), ("triangle", corners)],
        cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
        field_data={
            "inlet": np.array([1, 1]),
            "outlet": np.array([2, 1]),
            "wall": np.array([3, 1]),
            "gas": np.array([4, 2]),
        },
    )
    path = folder / "channel.msh"
    meshio.write(path, content, file_format="gmsh22", binary=False)
    settings = folder / "channel.yaml"
    settings.write_text(yaml.safe_dump(SETTINGS | {"grid": {"path": str(path)}}))
    return path, settings


@pytest.fixture(scope="module")
def finished(channel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("solve") / "whole"
    page = folder.with_name("page.html")
    _solve(channel, folder, "--report", str(page))
    return folder


def _solve(channel, folder, *more):
    main(["solve", str(channel[1]), "--output", str(folder), "--quiet", *more])


def test_the_numbers_are_those_of_the_solver(channel, finished):
    with xr.open_dataset(finished / "solution.nc", engine="h5netcdf") as data:
        data = data.load()
    box = io.read_mesh(channel[0])
    u = np.stack(
        [data[n].values for n in ("density", "momentum_x", "momentum_y", "energy")], 1
    )
    law = fv.Euler()
    inflow = np.array([1.0, 0.5, 0.0, 2.625], np.float32)
    sides = {"inlet": Dirichlet(inflow), "outlet": Outflow(), "wall": Reflective()}
    scheme = fv.Scheme(fv.Constant(), fv.hllc, fv.forward_euler)
    expected = fv.solve(u[0], law, box, sides, scheme, times=[0.1]).u[0]
    np.testing.assert_allclose(u[1], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        data["total_density"][0], 2 + 0.5 * 2 * np.pi * 0.2**2, rtol=5e-3
    )


def test_the_snapshots_open_as_ugrid_and_vtk(channel, finished):
    box = io.read_mesh(channel[0])
    again = io.read_mesh(finished / "solution.nc")
    np.testing.assert_allclose(again.volume, box.volume, rtol=1e-6)
    with xr.open_dataset(finished / "solution.nc", engine="h5netcdf") as data:
        pressure = data["pressure"]
        assert pressure.attrs["location"] == "face"
        last = meshio.read(finished / "vtk" / "solution_00002.vtu")
        np.testing.assert_array_equal(last.cell_data["pressure"][0], pressure[2])
    assert (finished / "solution.pvd").read_text().count("timestep") == 3
    assert (finished / "solution.png").stat().st_size > 10_000
    assert "total_energy" in (finished / "table.txt").read_text()
    assert "total_energy" in finished.with_name("page.html").read_text()


def test_a_killed_run_resumes_to_the_same_bits(
    channel, finished, tmp_path, monkeypatch
):
    write = snapshots.write

    def cut(path, data):
        if path.name == "00002.nc":
            path.with_name(path.name + ".partial").write_bytes(b"half a snapshot")
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(snapshots, "write", cut)
    with pytest.raises(SystemExit, match="130"):
        _solve(channel, tmp_path / "cut", "--figure", "false")
    monkeypatch.setattr(snapshots, "write", write)
    _solve(channel, tmp_path / "cut", "--figure", "false", "--resume")
    for name in ("solution.nc", "solution.pvd", "vtk/solution_00002.vtu"):
        got = (tmp_path / "cut" / name).read_bytes()
        assert got == (finished / name).read_bytes()


@pytest.mark.parametrize("more", [("--mesh", "1"), ("--mesh",)])
def test_a_mesh_file_is_for_one_device(channel, tmp_path, more):
    with pytest.raises(SystemExit, match="a mesh file on one device"):
        _solve(channel, tmp_path / "run", *more)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patches": {"inlet": {"kind": "outflow"}}}, r"none for \['wall', 'outlet'\]"),
        ({"scheme": {"reconstruction": "weno5"}}, "constant or muscl"),
        ({"scheme": {"limiter": "superbee"}}, "multidimensional"),
        ({"sides": {"left": {"kind": "reflective"}}}, "`patches` with a mesh file"),
        ({"grid": {"cells": [40], "path": "x.msh"}}, "grid.path alone"),
        ({"grid": {"path": "absent.msh"}}, "no file"),
    ],
)
def test_settings_that_do_not_fit_are_named(channel, tmp_path, change, message):
    settings = yaml.safe_load(channel[1].read_text()) | change
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(SystemExit, match=message):
        main(["solve", str(path), "--output", str(tmp_path / "run")])
