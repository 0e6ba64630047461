"""UGRID 1.0: unstructured meshes in NetCDF, in a plane or on a sphere.

Source: UGRID Conventions, version 1.0 (https://ugrid-conventions.github.io).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from physcon._extras import needs
from physcon._files import atomic_path
from physcon._require import require
from physcon.mesh import Mesh, from_cells, from_sphere
from physcon.sphere import directions

#: Mean radius of the Earth in metres (Moritz 2000, Geodetic Reference System 1980).
EARTH = 6_371_008.8


def is_ugrid(path: str | os.PathLike) -> bool:
    """Whether a file begins as NetCDF-4 or NetCDF-3 files do."""
    with Path(path).open("rb") as file:
        start = file.read(4)
    return start in (b"\x89HDF", b"CDF\x01", b"CDF\x02", b"CDF\x05")


def read_ugrid(path: str | os.PathLike, radius: float = EARTH) -> Mesh:
    """The first mesh of two dimensions in a UGRID file.

    Node coordinates in degrees make a mesh on a sphere of the given `radius` (metres);
    others make a mesh in the plane.

    Raises:
        ValueError: no mesh topology of dimension 2, or a variable that it names is
            missing.
    """
    with needs("data"):
        import xarray

    with xarray.open_dataset(path, decode_cf=False) as data:
        polygons = ugrid_polygons(data, _topology(data, path), path)
    if polygons.on_sphere:
        return from_sphere(polygons.points, polygons.cells, radius)
    return from_cells(polygons.points, polygons.cells)


class Polygons(NamedTuple):
    """Nodes and cells of a mesh: positions in a plane, or directions on a sphere."""

    points: np.ndarray  # (p, 2) or (p, 3)
    cells: np.ndarray  # (c, q), padded with -1

    @property
    def on_sphere(self) -> bool:
        """Whether `points` are directions."""
        return self.points.shape[1] == 3


def ugrid_polygons(data: Any, topology: Any, path: str | os.PathLike) -> Polygons:
    """The polygons of a mesh topology of dimension 2 in an open dataset."""
    names = str(topology.attrs.get("node_coordinates", "")).split()
    axes = [_named(data, name, path) for name in names]
    require(
        len(axes) == 2,
        "two node_coordinates in the mesh topology",
        names,
        "name the variables of the x and y (or longitude and latitude) of nodes",
    )
    cells = _connectivity(data, topology, path)
    first, second = (np.asarray(a.values, np.float64) for a in axes)
    if not any("degree" in str(a.attrs.get("units", "")) for a in axes):
        return Polygons(np.stack([first, second], axis=1), cells)
    north = ["north" in str(a.attrs.get("units", "")) for a in axes]
    latitude, longitude = (first, second) if north[0] else (second, first)
    return Polygons(directions(longitude, latitude), cells)


def write_ugrid(
    path: str | os.PathLike, mesh: Mesh, cell_data: Mapping[str, np.ndarray]
) -> None:
    """Write polygons and their cell averages; spherical meshes in degrees."""
    with needs("data"):
        import xarray

    variables = ugrid_variables(mesh)
    for name, u in cell_data.items():
        place = {"mesh": "mesh2d", "location": "face"}
        extra = tuple(f"{name}_axis_{k}" for k in range(1, u.ndim))
        variables[name] = (("mesh2d_nFaces", *extra), u, place)
    data = xarray.Dataset(variables, attrs={"Conventions": "CF-1.11 UGRID-1.0"})
    with atomic_path(path) as partial:
        data.to_netcdf(partial, engine="h5netcdf")


def ugrid_variables(mesh: Mesh) -> dict[str, Any]:
    """The topology of polygons, as variables of an xarray dataset."""
    points = np.asarray(mesh.points, np.float64)
    corners = np.asarray(mesh.corners)
    sphere = mesh.ndim == 3
    if sphere:
        unit = points / np.linalg.norm(points, axis=1)[:, None]
        first = np.rad2deg(np.arctan2(unit[:, 1], unit[:, 0]))
        second = np.rad2deg(np.arcsin(np.clip(unit[:, 2], -1, 1)))
        units = ("degrees_east", "degrees_north")
        names = ("longitude", "latitude")
    else:
        first, second = points.T
        units = ("m", "m")
        names = ("projection_x_coordinate", "projection_y_coordinate")
    variables: dict[str, Any] = {
        "mesh2d": (
            (),
            np.int32(0),
            {
                "cf_role": "mesh_topology",
                "topology_dimension": 2,
                "node_coordinates": "mesh2d_node_x mesh2d_node_y",
                "face_node_connectivity": "mesh2d_face_nodes",
            },
        ),
        "mesh2d_face_nodes": (
            ("mesh2d_nFaces", "mesh2d_nMax_face_nodes"),
            corners.astype(np.int32),
            {
                "cf_role": "face_node_connectivity",
                "start_index": np.int32(0),
                "_FillValue": np.int32(-1),
            },
        ),
    }
    for axis, values, unit_name, name in zip(
        "xy", (first, second), units, names, strict=True
    ):
        attributes = {"units": unit_name, "standard_name": name}
        variables[f"mesh2d_node_{axis}"] = ("mesh2d_nNodes", values, attributes)
    return variables


def _topology(data: Any, path: str | os.PathLike) -> Any:
    for variable in data.variables.values():
        role = variable.attrs.get("cf_role")
        if role == "mesh_topology" and variable.attrs.get("topology_dimension") == 2:
            return variable
    raise ValueError(
        f"expected a variable with cf_role = 'mesh_topology' and topology_dimension = 2"
        f" in {path}, got none; convert the file to the UGRID conventions"
    )


def _named(data: Any, name: str, path: str | os.PathLike) -> Any:
    require(
        name in data.variables,
        f"the variable {name!r}, which the mesh topology names, in {path}",
        f"{list(data.variables)[:8]}",
        "add it, or correct the topology's attributes",
    )
    return data.variables[name]


def _connectivity(data: Any, topology: Any, path: str | os.PathLike) -> np.ndarray:
    """The nodes of each face, counted from 0 and padded with -1."""
    name = str(topology.attrs.get("face_node_connectivity", ""))
    variable = _named(data, name, path)
    nodes = np.asarray(variable.values)
    fill = variable.attrs.get("_FillValue")
    absent = ~np.isfinite(nodes) if nodes.dtype.kind == "f" else np.zeros(1, bool)
    if fill is not None:
        absent = absent | (nodes == fill)
    start = int(variable.attrs.get("start_index", 0))
    cells = np.where(absent, -1, np.where(absent, 0, nodes).astype(np.int64) - start)
    face_first = topology.attrs.get("face_dimension", variable.dims[0])
    return cells if variable.dims[0] == face_first else cells.T
