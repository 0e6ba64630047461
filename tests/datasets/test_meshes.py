"""Laws on files of meshes: the areas of a file's own cells make the total."""

import meshio
import numpy as np
import pytest
import xarray

from physcon import cli, io, mesh


def _command(*words):
    return cli.main([str(word) for word in words])


LAWS = "laws:\n  - total: {of: heat, equals: 5.0}\nspread: {heat: 10%}\n"


@pytest.mark.parametrize("kind", ["plane", "sphere"])
def test_totals_over_a_ugrid_file(tmp_path, kind, rng):
    if kind == "plane":
        box = mesh.triangles((0.0, 0.0), (2.0, 1.0), (4, 3), distortion=0.2)
    else:
        box = mesh.cubed_sphere(3)
    values = rng.uniform(1, 2, box.size)
    source, target = tmp_path / "a.nc", tmp_path / "b.nc"
    io.write_mesh(source, box, {"heat": values, "other": values})
    radius = "" if kind == "plane" else "radius: 1.0\n"
    (tmp_path / "laws.yaml").write_text(LAWS + radius)
    _command("constrain", source, tmp_path / "laws.yaml", "-o", target)
    with xarray.open_dataset(target) as fixed:
        area = np.asarray(box.volume, float)
        assert abs(fixed["heat"].values @ area - 5) < 2e-6  # areas are in float32 here
        np.testing.assert_array_equal(fixed["other"].values, values)
    again = io.read_mesh(target)
    np.testing.assert_array_equal(again.corners, box.corners)


def test_totals_over_a_vtk_file_with_two_kinds_of_cells(tmp_path):
    points = np.array(
        [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0], [2, 1, 0]]
    )
    cells = [("triangle", [[0, 1, 2]]), ("quad", [[1, 4, 5, 2]]), ("line", [[0, 1]])]
    cells.append(("triangle", [[0, 2, 3]]))
    heat = [np.array([1.0]), np.array([3.0]), np.array([9.0]), np.array([2.0])]
    source, target = tmp_path / "a.vtu", tmp_path / "b.vtu"
    made = meshio.Mesh(points.astype(float), cells, cell_data={"heat": heat})
    made.point_data["height"] = points[:, 0] * 1.0
    made.write(source)
    (tmp_path / "laws.yaml").write_text(LAWS)
    _command("constrain", source, tmp_path / "laws.yaml", "-o", target)
    found = meshio.read(target)
    np.testing.assert_array_equal(found.point_data["height"], points[:, 0])
    first, quad, line, last = (part[0] for part in found.cell_data["heat"])
    assert line == 9.0
    total = 0.5 * first + quad + 0.5 * last
    np.testing.assert_allclose(total, 5.0, rtol=4e-16)
    # Shares by variance times area: σ = 10 % of each value.
    shares = np.array([first - 1, quad - 3, last - 2]) / [0.5 * 1, 1.0 * 9, 0.5 * 4]
    np.testing.assert_allclose(shares, shares[0], rtol=1e-6)


def test_data_on_nodes_are_no_averages(tmp_path):
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    path = tmp_path / "a.vtu"
    made = meshio.Mesh(np.pad(points, ((0, 0), (0, 1))), [("triangle", [[0, 1, 2]])])
    made.point_data["heat"] = np.ones(3)
    made.write(path)
    (tmp_path / "laws.yaml").write_text(LAWS)
    with pytest.raises(SystemExit) as error:
        _command("audit", path, tmp_path / "laws.yaml")
    assert "write averages of cells" in str(error.value)
