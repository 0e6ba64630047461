"""Maps next to each other, with labelled colour bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from physcon._extras import needs
from physcon.report.figures import save_figure

with needs("report"):
    import matplotlib
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Map:
    """A field on a map.

    Attributes:
        title: what is shown.
        values: ``(rows, columns)``, with NaN for missing values, which are grey.
        label: of the colour bar: the quantity and its unit.
        scale: maps with the same text share a colour scale; a scale whose name begins
            with "change" is centred on zero.
    """

    title: str
    values: np.ndarray
    label: str
    scale: str = "values"


def maps_figure(
    path: Path,
    maps: Sequence[Map],
    x: np.ndarray,
    y: np.ndarray,
    *,
    labels: tuple[str, str] = ("longitude (degrees east)", "latitude (degrees north)"),
    columns: int = 2,
) -> None:
    """Draw maps on one grid.

    Args:
        path: the file to write, such as a .png.
        maps: the maps.
        x: coordinates of the columns, ``(columns,)``.
        y: coordinates of the rows, ``(rows,)``.
        labels: names of both axes.
        columns: how many maps are next to each other.
    """
    rows = -(-len(maps) // columns)
    figure = Figure(figsize=(4.6 * columns, 2.7 * rows), layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axis in axes[len(maps) :]:
        axis.set_axis_off()
    for axis, one in zip(axes[: len(maps)], maps, strict=True):
        together = [m.values for m in maps if m.scale == one.scale]
        centred = one.scale.startswith("change")
        low, high = _limits(together, centred=centred)
        colours = matplotlib.colormaps["PuOr_r" if centred else "viridis"]
        shown = axis.pcolormesh(
            x, y, one.values, vmin=low, vmax=high, cmap=colours, rasterized=True
        )
        axis.set_facecolor("0.75")
        axis.set_title(one.title, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.set_xlabel(labels[0], fontsize=8)
        axis.set_ylabel(labels[1], fontsize=8)
        bar = figure.colorbar(shown, ax=axis, extend="both")
        bar.set_label(one.label, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    save_figure(figure, path)


def _limits(fields: Sequence[np.ndarray], *, centred: bool) -> tuple[float, float]:
    """Return the ends of a colour scale, which the outer hundredths are beyond."""
    values = np.concatenate([f[np.isfinite(f)] for f in fields])
    if centred:
        reach = float(np.percentile(np.abs(values), 99)) or 1.0
        return -reach, reach
    low, high = np.percentile(values, [1, 99])
    return float(low), float(high)
