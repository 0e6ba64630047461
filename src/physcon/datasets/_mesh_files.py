"""Files of meshio (VTK, gmsh, XDMF and others) as datasets, and back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._files import atomic_path
from physcon._require import require
from physcon.io.meshes import FILLING, file_format, planar, widened
from physcon.mesh.build import cell_sizes, padded

with needs("data"):
    import xarray as xr

#: The dimension of the cells, and the variable of their sizes.
CELL = "cell"
SIZE = "cell_size"


def is_mesh_file(path: Path) -> bool:
    """Whether the suffix belongs to a format that meshio reads and writes."""
    with needs("data"):
        import meshio

    return path.suffix.lower() in meshio.extension_to_filetypes


def mesh_dataset(path: Path) -> Any:
    """Return the cell data of a mesh file, with the size of every cell.

    Variables are ``(cell,)`` or ``(cell, NAME_component)``, in the order of the file.

    Raises:
        ValueError: no cells that fill the domain, or no data on them.
    """
    with needs("data"):
        import meshio

    found = meshio.read(path)
    blocks, dimension = _filling(found, path)
    cells = [np.asarray(found.cells[k].data) for k in blocks]
    width = max(c.shape[1] for c in cells)
    rows = [widened(block, width) for block in cells]
    points = np.asarray(found.points, np.float64)
    flat = points.shape[1] == 2 or not np.ptp(points[:, 2])
    points = planar(points, path) if dimension == 2 and flat else points
    sizes = cell_sizes(points, padded(np.concatenate(rows)), solid=dimension == 3)
    require(
        len(found.cell_data) > 0,
        f"data on the cells of {path}",
        f"data on {sorted(found.point_data) or 'nothing'}",
        "write averages of cells: laws of conservation hold for cells",
    )
    variables: dict[str, Any] = {SIZE: (CELL, sizes)}
    for name, parts in found.cell_data.items():
        values = np.concatenate([np.asarray(parts[k]) for k in blocks])
        dims = (CELL, *(f"{name}_component_{k}" for k in range(values.ndim - 1)))
        variables[name] = (dims, values, {"cell_measures": f"area: {SIZE}"})
    return xr.Dataset(variables)


def write_mesh_file(path: Path, output: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a mesh file again with other cell data; the file is whole or absent."""
    with needs("data"):
        import meshio

    found = meshio.read(path)
    blocks, _ = _filling(found, path)
    for name, values in arrays.items():
        start = 0
        for k in blocks:
            old = np.asarray(found.cell_data[name][k])
            found.cell_data[name][k] = values[start : start + len(old)]
            start += len(old)
    kind = file_format(output, meshio.extension_to_filetypes)
    with atomic_path(output) as partial:
        meshio.write(partial, found, file_format=kind)


def _filling(found: Any, path: Path) -> tuple[list[int], int]:
    """Positions of the blocks of cells that fill the domain, and its dimension."""
    for dimension in (3, 2):
        blocks = [k for k, b in enumerate(found.cells) if b.type in FILLING[dimension]]
        if blocks:
            return blocks, dimension
    raise ValueError(
        f"expected cells that fill the domain in {path}, got "
        f"{sorted({b.type for b in found.cells})}; export triangles, quadrilaterals, "
        "or polyhedra"
    )
