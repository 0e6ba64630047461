"""Pictures of meshes: cell averages, fluxes through faces, and boundary patches."""

from typing import Any

import numpy as np

from physcon._checks import require
from physcon._extras import needs
from physcon._typing import ArrayLike
from physcon.mesh import Mesh


def plot_cells(
    ax: Any,
    mesh: Mesh,
    values: ArrayLike,
    label: str,
    *,
    limits: tuple[float, float] | None = None,
    cmap: str = "viridis",
    edges: bool = False,
) -> Any:
    """Draw cell averages on Matplotlib axes, with a colour bar, and return the patches.

    Args:
        ax: the axes.
        values: ``(c)``.
        label: of the colour bar, with the unit.
        limits: of the colours; None: the range of the values.
        edges: whether to draw the edges of the cells.

    Raises:
        ValueError: a mesh of polyhedra or on a sphere, or values of another shape.
    """
    shown = np.asarray(values, float)
    require(
        shown.shape == (mesh.size,),
        f"one value for each of {mesh.size} cells",
        shown.shape,
        "select a channel and a time",
    )
    with needs("report"):
        from matplotlib.collections import PolyCollection

    cells = PolyCollection(
        _outlines(mesh),
        array=shown,
        cmap=cmap,
        edgecolors="0.5" if edges else "face",
        linewidths=0.3,
    )
    if limits is not None:
        cells.set_clim(*limits)
    ax.add_collection(cells)
    _frame(ax)
    ax.figure.colorbar(cells, ax=ax, label=label)
    return cells


def plot_fluxes(
    ax: Any, mesh: Mesh, flux: ArrayLike, *, scale: float | None = None
) -> Any:
    """Draw the flux through every face as an arrow along its normal.

    Args:
        flux: per unit area, positive from the owner to the neighbour, ``(f)``.
        scale: as in Matplotlib's `quiver`.
    """
    through = np.asarray(flux, float)
    require(
        through.shape == (mesh.face_count,),
        f"one flux for each of {mesh.face_count} faces",
        through.shape,
        "select a channel and a time",
    )
    centre = np.asarray(mesh.centroid)[np.asarray(mesh.owner)]
    centre = centre + np.asarray(mesh.to_owner)
    arrows = through[:, None] * np.asarray(mesh.normal)
    found = ax.quiver(*centre.T, *arrows.T, angles="xy", scale=scale, width=0.003)
    _frame(ax)
    return found


def plot_patches(ax: Any, mesh: Mesh) -> None:
    """Draw the boundary of a mesh, every patch in a colour of its own."""
    _outlines(mesh)
    with needs("report"):
        from matplotlib.collections import LineCollection

    centre = np.asarray(mesh.centroid)[np.asarray(mesh.owner)]
    centre = centre + np.asarray(mesh.to_owner)
    normal = np.asarray(mesh.normal)
    half = 0.5 * np.asarray(mesh.area)[:, None]
    along = half * np.stack([-normal[:, 1], normal[:, 0]], axis=1)
    for k, name in enumerate(mesh.patches):
        faces = mesh.boundary_faces(name)
        lines = np.stack([centre - along, centre + along], axis=1)[faces]
        ax.add_collection(LineCollection(list(lines), colors=f"C{k}", label=name))
    _frame(ax)
    ax.legend(loc="upper right")


def _outlines(mesh: Mesh) -> list[np.ndarray]:
    """The corners of each cell in order."""
    require(
        mesh.ndim == 2,
        "a mesh in the plane",
        f"one in {mesh.ndim} dimensions",
        "write it by io.write_mesh for ParaView",
    )
    points = np.asarray(mesh.points)
    return [points[cell[cell >= 0]] for cell in np.asarray(mesh.corners)]


def _frame(ax: Any) -> None:
    ax.set_aspect("equal")
    ax.autoscale_view()
    ax.set_xlabel("x")
    ax.set_ylabel("y")
