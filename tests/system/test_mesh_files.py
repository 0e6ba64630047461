"""Meshes survive files: gmsh groups become patches, UGRID and VTK read back equal."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from matplotlib.figure import Figure

import physcon as pc
from physcon import io, mesh, report
from physcon.io import read_mesh, write_mesh

GMSH = """$MeshFormat
2.2 0 8
$EndMeshFormat
$PhysicalNames
3
1 7 "inlet"
1 8 "wall"
2 9 "fluid"
$EndPhysicalNames
$Nodes
5
1 0 0 0
2 1 0 0
3 1 1 0
4 0 1 0
5 0.5 0.5 0
$EndNodes
$Elements
8
1 1 2 7 1 4 1
2 1 2 8 2 1 2
3 1 2 8 2 2 3
4 1 2 8 2 3 4
5 2 2 9 1 1 2 5
6 2 2 9 1 2 3 5
7 2 2 9 1 3 4 5
8 2 2 9 1 4 1 5
$EndElements
"""


def test_physical_groups_of_gmsh_are_patches(tmp_path):
    pytest.importorskip("meshio")
    (tmp_path / "square.msh").write_text(GMSH)
    square = read_mesh(tmp_path / "square.msh")
    np.testing.assert_allclose(square.volume, 0.25)
    assert square.patches == ("inlet", "wall")
    inlet = square.boundary_faces("inlet")
    np.testing.assert_allclose(square.normal[inlet], [[-1, 0]], atol=1e-7)
    assert square.boundary_faces("wall").size == 3


@pytest.mark.parametrize("name", ["box.vtu", "box.vtk", "box.msh", "box.nc"])
def test_a_mesh_and_its_fields_read_back_equal(tmp_path, name):
    pytest.importorskip("meshio")
    box = mesh.triangles((0.0, 0.0), (2.0, 1.0), (3, 2), distortion=0.2)
    field = np.arange(box.size, dtype=float)
    write_mesh(tmp_path / name, box, {"u": field})
    back = read_mesh(tmp_path / name)
    np.testing.assert_allclose(back.volume, box.volume, rtol=1e-6)
    np.testing.assert_allclose(back.centroid, box.centroid, rtol=1e-6)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    if name.endswith(".nc"):
        xarray = pytest.importorskip("xarray")
        with xarray.open_dataset(tmp_path / name) as data:
            np.testing.assert_array_equal(data["u"], field)
            assert data["u"].attrs["location"] == "face"


def test_a_sphere_in_degrees_reads_back_with_its_area(tmp_path):
    pytest.importorskip("xarray")
    sphere = mesh.cubed_sphere(4, radius=6_371_008.8)
    write_mesh(tmp_path / "sphere.nc", sphere)
    back = read_mesh(tmp_path / "sphere.nc")
    np.testing.assert_allclose(back.volume, sphere.volume, rtol=1e-5)


def test_nodes_counted_from_one_and_padded_are_understood(tmp_path):
    xarray = pytest.importorskip("xarray")
    topology = {
        "cf_role": "mesh_topology",
        "topology_dimension": 2,
        "node_coordinates": "x y",
        "face_node_connectivity": "nodes",
    }
    nodes = np.array([[1, 2, 3, 4], [2, 5, 3, -999]], np.int32)
    xarray.Dataset(
        {
            "mesh": ((), 0, topology),
            "x": ("n", [0.0, 1, 1, 0, 2]),
            "y": ("n", [0.0, 0, 1, 1, 0]),
            "nodes": (("f", "k"), nodes, {"start_index": 1, "_FillValue": -999}),
        }
    ).to_netcdf(tmp_path / "m.nc", engine="h5netcdf")
    np.testing.assert_allclose(read_mesh(tmp_path / "m.nc").volume, [1, 0.5])


def test_files_without_a_mesh_are_refused_in_a_sentence(tmp_path):
    xarray = pytest.importorskip("xarray")
    xarray.Dataset({"u": ("x", [1.0])}).to_netcdf(tmp_path / "u.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="mesh_topology"):
        read_mesh(tmp_path / "u.nc")
    with pytest.raises(ValueError, match="no file"):
        read_mesh(tmp_path / "absent.msh")
    box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (2, 2))
    with pytest.raises(ValueError, match="cells on its first axis, 8"):
        write_mesh(tmp_path / "box.vtu", box, {"u": np.zeros(3)})
    with pytest.raises(ValueError, match="suffix of a mesh format"):
        write_mesh(tmp_path / "box.unknown", box)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["u.nc"]


@pytest.mark.parametrize("kind", ["ESMF", "SCRIP"])
def test_a_fine_field_is_remapped_to_the_coarse_one(tmp_path, kind):
    """Four cells onto two by weights as ESMF and SCRIP write them."""
    share = np.array([0.25, 0.75, 0.5, 0.5])
    row, column = np.array([1, 1, 2, 2]), np.array([1, 2, 3, 4])
    if kind == "ESMF":
        variables = {"S": ("n_s", share), "row": ("n_s", row), "col": ("n_s", column)}
        variables |= {"area_a": ("n_a", np.ones(4)), "area_b": ("n_b", np.ones(2))}
    else:
        variables = {
            "remap_matrix": (("num_links", "num_wgts"), share[:, None]),
            "dst_address": ("num_links", row),
            "src_address": ("num_links", column),
            "src_grid_area": ("src_grid_size", np.ones(4)),
            "dst_grid_area": ("dst_grid_size", np.ones(2)),
        }
    path = tmp_path / "weights.nc"
    xarray.Dataset(variables).to_netcdf(path, engine="h5netcdf")
    law = pc.from_matrix(io.read_remapping(path), jnp.array([2.0, 3.0]))
    np.testing.assert_allclose(law.residual(jnp.array([2.0, 2.0, 1.0, 5.0])), 0)
    np.testing.assert_allclose(law.residual(jnp.array([6.0, 2.0, 1.0, 3.0])), [-1, 1])
    wrong = variables | {
        list(variables)[1]: (variables[list(variables)[1]][0], row + 2)
    }
    xarray.Dataset(wrong).to_netcdf(tmp_path / "wrong.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="rows from 1 to 2"):
        io.read_remapping(tmp_path / "wrong.nc")


def test_files_without_weights_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no file"):
        io.read_remapping(tmp_path / "none.nc")
    xarray.Dataset({"u": ("x", [1.0])}).to_netcdf(tmp_path / "u.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="a weight file of ESMF"):
        io.read_remapping(tmp_path / "u.nc")


def test_pictures_show_every_cell_face_and_patch():
    box = mesh.triangles((0.0, 0.0), (2.0, 1.0), (4, 2))
    axes = Figure().subplots(3)
    cells = report.plot_cells(axes[0], box, box.volume, "area (m²)", limits=(0.0, 1.0))
    assert len(cells.get_paths()) == box.size
    np.testing.assert_allclose(cells.get_array(), box.volume)
    assert axes[0].get_xlim()[0] <= 0 <= 2 <= axes[0].get_xlim()[1]
    arrows = report.plot_fluxes(axes[1], box, jnp.ones(box.face_count))
    np.testing.assert_allclose(arrows.U, box.normal[:, 0], atol=1e-6)
    report.plot_patches(axes[2], box)
    names = [text.get_text() for text in axes[2].get_legend().get_texts()]
    assert tuple(names) == box.patches
    with pytest.raises(ValueError, match="one value for each of 16 cells"):
        report.plot_cells(axes[0], box, jnp.ones(3), "")
    with pytest.raises(ValueError, match="a mesh in the plane"):
        report.plot_cells(axes[0], mesh.cubed_sphere(1), jnp.ones(6), "")
