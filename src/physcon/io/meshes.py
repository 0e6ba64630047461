"""Mesh files: gmsh, VTK and others through meshio, and UGRID NetCDF."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from physcon._extras import needs
from physcon._files import atomic_path
from physcon._require import require
from physcon.io.ugrid import is_ugrid, read_ugrid, write_ugrid
from physcon.mesh import Mesh, from_cells

#: meshio's names of the cells that fill a domain, by its dimension.
FILLING = {
    2: ("triangle", "quad", "polygon"),
    3: ("tetra", "pyramid", "wedge", "hexahedron"),
}
#: meshio's name -> nodes of a cell.
_NODES = {4: "tetra", 5: "pyramid", 6: "wedge", 8: "hexahedron"}
_NETCDF = (".nc", ".nc4", ".cdf")


def read_mesh(path: str | os.PathLike) -> Mesh:
    """The mesh in a file.

    UGRID NetCDF (``.nc``), a plane in metres or a sphere in degrees; else what meshio
    reads: gmsh (``.msh``), VTK (``.vtk``, ``.vtu``), Abaqus, XDMF and others. Groups of
    boundary faces with a name (gmsh's physical groups) become patches of that name.

    Raises:
        ValueError: no such file, no cells, or node positions that are not finite.
        ImportError: meshio (or xarray) is missing; the message names the extra.
    """
    path = Path(path)
    require(path.is_file(), f"a mesh file at {path}", "no file", "check the path")
    if path.suffix.lower() in _NETCDF or is_ugrid(path):
        return read_ugrid(path)
    with needs("data"):
        import meshio

    found = meshio.read(path)
    blocks = {block.type: [] for block in found.cells}
    for block in found.cells:
        blocks[block.type].append(np.asarray(block.data))
    solid = any(kind in blocks for kind in FILLING[3])
    dimension = 3 if solid else 2
    filling = [block for kind in FILLING[dimension] for block in blocks.get(kind, ())]
    require(
        len(filling) > 0,
        f"cells of the kinds {', '.join(FILLING[2] + FILLING[3])} in {path}",
        f"only {sorted(blocks)}",
        "export the mesh with its cells, in first order",
    )
    widest = max(block.shape[1] for block in filling)
    cells = np.concatenate([widened(block, widest) for block in filling])
    points = np.asarray(found.points, np.float64)
    if dimension == 2:
        points = planar(points, path)
    return from_cells(points, cells, _patches(found, dimension))


def write_mesh(
    path: str | os.PathLike,
    mesh: Mesh,
    cell_data: Mapping[str, np.ndarray | jax.Array] | None = None,
) -> None:
    """Write a mesh with cell averages to VTK, gmsh or UGRID NetCDF, by the suffix.

    Args:
        cell_data: name -> cell averages, ``(c)`` or ``(c, components)``.

    The file is whole or absent.
    """
    path = Path(path)
    data = {name: np.asarray(u) for name, u in (cell_data or {}).items()}
    for name, u in data.items():
        require(
            u.shape[:1] == (mesh.size,),
            f"{name} with the cells on its first axis, {mesh.size} of them",
            u.shape,
            "move the axis of the cells to the front",
        )
    if path.suffix.lower() in _NETCDF:
        write_ugrid(path, mesh, data)
        return
    with needs("data"):
        import meshio

    kind = file_format(path, meshio.extension_to_filetypes)
    points = np.asarray(mesh.points, np.float64)
    points = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    corners = np.asarray(mesh.corners)
    count = (corners >= 0).sum(axis=1)
    flat = mesh.ndim == 2 or _is_surface(mesh)
    kinds, order = [], []
    for nodes in np.unique(count).tolist():
        chosen = np.flatnonzero(count == nodes)
        polygon = {3: "triangle", 4: "quad"}.get(nodes, "polygon")
        kinds.append((polygon if flat else _NODES[nodes], corners[chosen, :nodes]))
        order.append(chosen)
    blocks: Any = {n: [u[chosen] for chosen in order] for n, u in data.items()}
    with atomic_path(path) as partial:
        # meshio chooses the format by the suffix, which a temporary name lacks.
        meshio.write(
            partial,
            meshio.Mesh(points, kinds, cell_data=blocks),
            file_format=kind,
        )


def widened(cells: np.ndarray, width: int) -> np.ndarray:
    """Cells padded with -1 to a number of nodes."""
    absent = ((0, 0), (0, width - cells.shape[1]))
    return np.pad(cells.astype(np.int64), absent, constant_values=-1)


def file_format(path: Path, known: Mapping[str, list[str]]) -> str:
    """meshio's name of the format that a suffix stands for."""
    suffix = path.suffix.lower()
    kinds = known.get(suffix, [])
    require(
        len(kinds) > 0,
        "a file name with the suffix of a mesh format, such as .vtu, .vtk or .nc",
        path.name,
        "change the suffix",
    )
    return "gmsh" if "gmsh" in kinds else kinds[0]


def _is_surface(mesh: Mesh) -> bool:
    """Whether cells are polygons in space: each has as many faces as nodes."""
    faces = np.asarray(mesh.faces[0] >= 0).sum()
    return mesh.ndim == 3 and bool(faces == np.asarray(mesh.corners[0] >= 0).sum())


def planar(points: np.ndarray, path: Path) -> np.ndarray:
    """Points in a plane of constant z, as (x, y)."""
    if points.shape[1] == 2:
        return points
    height = points[:, 2]
    size = np.ptp(points[:, :2], axis=0).max()
    require(
        bool(np.ptp(height) <= 1e-9 * size),
        f"polygons in one plane z = constant in {path}",
        f"z from {height.min():.4g} to {height.max():.4g}",
        "use from_sphere for a sphere, or export the volume cells",
    )
    return points[:, :2]


def _patches(found: Any, dimension: int) -> dict[str, np.ndarray]:
    """The named groups of faces one dimension below the cells."""
    kinds = ("line",) if dimension == 2 else ("triangle", "quad")
    numbers = found.cell_data.get("gmsh:physical")
    if numbers is None:
        return {}
    names = {
        int(tag): name
        for name, (tag, rank) in found.field_data.items()
        if int(rank) == dimension - 1
    }
    groups: dict[str, list[list[int]]] = {}
    for block, tags in zip(found.cells, numbers, strict=True):
        if block.type not in kinds:
            continue
        for nodes, tag in zip(block.data, tags, strict=True):
            name = names.get(int(tag), f"patch {int(tag)}")
            padding = [-1] * (dimension + 1 - len(nodes)) if dimension == 3 else []
            groups.setdefault(name, []).append([*map(int, nodes), *padding])
    return {name: np.asarray(faces) for name, faces in groups.items()}
