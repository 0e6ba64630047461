"""The variables of a mesh in solution.nc (UGRID), the VTK files, and the figure."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from physcon import report
from physcon._extras import needs
from physcon._files import write_text
from physcon.io import write_mesh
from physcon.io.ugrid import ugrid_variables
from physcon.mesh import Mesh
from physcon.report.fields import written
from physcon.report.figures import save_figure
from physcon.studies.solver.equations import AXES, Equation

with needs("report"):
    from matplotlib.figure import Figure

#: The dimension of the cells, as UGRID files name it.
CELLS = "mesh2d_nFaces"


def is_flat(mesh: Mesh) -> bool:
    """Whether the cells are polygons, which UGRID can describe."""
    return mesh.ndim == 2 or mesh.is_surface


def cell_centres(mesh: Mesh, length: str) -> dict[str, tuple]:
    """The centroids as variables of a dataset."""
    names = AXES[: mesh.ndim]
    return {
        f"mesh2d_face_{name}": (
            CELLS,
            np.asarray(x),
            {"long_name": f"centroid of the cell along {name}", "units": length},
        )
        for name, x in zip(names, mesh.centroid.T, strict=True)
    }


def about_cells(mesh: Mesh) -> dict[str, str]:
    """Attributes of a variable on the cells."""
    return {"mesh": "mesh2d", "location": "face"} if is_flat(mesh) else {}


def with_topology(data: xr.Dataset, mesh: Mesh) -> xr.Dataset:
    """The dataset with the nodes and cells of polygons, as UGRID describes them."""
    if not is_flat(mesh):
        return data
    data = data.assign(ugrid_variables(mesh))
    return data.assign_attrs(Conventions="CF-1.11 UGRID-1.0")


def write_vtk(folder: Path, mesh: Mesh, data: xr.Dataset) -> None:
    """Write ``vtk/solution_k.vtu`` for each snapshot, and ``solution.pvd`` with times.

    ParaView opens the latter as a series.
    """
    series = folder / "vtk"
    series.mkdir(exist_ok=True)
    names = [str(name) for name in data.data_vars if data[name].dims == ("t", CELLS)]
    lines = ['<?xml version="1.0"?>', '<VTKFile type="Collection" version="0.1">']
    lines.append("  <Collection>")
    for k, t in enumerate(data["t"].values.tolist()):
        path = series / f"solution_{k:05d}.vtu"
        fields = {name: np.asarray(data[name].values[k]) for name in names}
        write_mesh(path, mesh, fields)
        lines.append(f'    <DataSet timestep="{t!r}" file="vtk/{path.name}"/>')
    lines += ["  </Collection>", "</VTKFile>", ""]
    write_text(folder / "solution.pvd", "\n".join(lines))


def draw(path: Path, mesh: Mesh, equation: Equation, data: xr.Dataset) -> None:
    """Draw the primitive variables at the last time; nothing for other than 2-D."""
    if mesh.ndim != 2:
        return
    variables = equation.primitive
    figure = Figure(figsize=(6.0, 3.0 * len(variables)), layout="constrained")
    axes = figure.subplots(len(variables), 1, squeeze=False)[:, 0]
    for ax, variable in zip(axes, variables, strict=True):
        units = "" if variable.units == "1" else f" ({variable.units})"
        values: Any = data[variable.name].values[-1]
        report.plot_cells(ax, mesh, values, f"{variable.long_name}{units}")
    times = data["t"].values
    when = written(times, times[-1])
    figure.suptitle(f"{data.attrs['title']}, t = {when}", fontsize=10)
    save_figure(figure, path)
