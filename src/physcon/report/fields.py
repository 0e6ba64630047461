"""Figures of a solution over time: profiles in one dimension, fields in two."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physcon._extras import needs
from physcon._files import atomic_path
from physcon.report.figures import save_figure

with needs("report"):
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

Fields = Mapping[str, np.ndarray]
#: Largest number of profiles in one figure.
PROFILES = 6


def fields_figure(
    path: Path,
    coordinates: Sequence[np.ndarray],
    times: np.ndarray,
    fields: Fields,
    title: str,
) -> None:
    """Draw one panel per field.

    In one dimension a panel shows profiles at up to six times; in two dimensions it
    shows the last field.

    Shapes:
        Coordinates are one or two arrays ``(n,)``; fields are ``(times, *x)``.
    """
    if len(coordinates) == 2:
        figure = Figure(figsize=(4.2 * len(fields), 3.6), layout="constrained")
        _fields_2d(figure, coordinates, fields, -1)
        title = f"{title}, t = {written(times, times[-1])}"
    else:
        figure = Figure(figsize=(4.2 * len(fields), 3.4), layout="constrained")
        shown = np.unique(np.linspace(0, len(times) - 1, PROFILES).astype(int))
        colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(shown)))
        for axis, (name, values) in zip(
            _panels(figure, fields), fields.items(), strict=True
        ):
            for k, colour in zip(shown, colours, strict=True):
                label = f"t = {written(times, float(times[k]))}"
                axis.plot(coordinates[0], values[k], color=colour, label=label)
            axis.set(xlabel="x", ylabel=name)
        figure.axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def written(times: np.ndarray, t: float) -> str:
    """A time with enough digits to tell it from the others: 0.25, or 1700000000.25.

    >>> written(np.array([1.7e9, 1.7e9 + 0.5]), 1.7e9 + 0.125)
    '1700000000.125'
    """
    times = np.asarray(times, np.float64)
    largest = float(np.abs(times).max())
    span = float(np.ptp(times))
    digits = 4 if span == 0 else 4 + max(0, math.ceil(math.log10(largest / span)))
    return f"{float(t):.{min(digits, 17)}g}"


def fields_animation(
    path: Path,
    coordinates: Sequence[np.ndarray],
    times: np.ndarray,
    fields: Fields,
    title: str,
) -> None:
    """Draw the same panels at successive times, as a GIF of ten frames per second."""
    frames = []
    for k, t in enumerate(times):
        figure = Figure(figsize=(4.2 * len(fields), 3.6), layout="constrained", dpi=80)
        if len(coordinates) == 2:
            _fields_2d(figure, coordinates, fields, k)
        else:
            for axis, (name, values) in zip(
                _panels(figure, fields), fields.items(), strict=True
            ):
                axis.plot(coordinates[0], values[k], color="#0072B2")
                axis.set(xlabel="x", ylabel=name, ylim=_range(values, 0.05))
        figure.suptitle(f"{title}, t = {written(times, t)}", fontsize=10)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]))
    with atomic_path(path) as partial:
        first, *rest = frames
        first.save(
            partial,
            format="GIF",
            save_all=True,
            append_images=rest,
            duration=100,
            loop=0,
        )


def _panels(figure: Figure, fields: Fields) -> np.ndarray:
    return np.atleast_1d(figure.subplots(1, len(fields)))


def _fields_2d(
    figure: Figure, coordinates: Sequence[np.ndarray], fields: Fields, index: int
) -> None:
    x, y = coordinates
    for axis, (name, values) in zip(
        _panels(figure, fields), fields.items(), strict=True
    ):
        low, high = _range(values)
        drawn = axis.pcolormesh(
            x, y, values[index].T, vmin=low, vmax=high, rasterized=True
        )
        figure.colorbar(drawn, ax=axis, label=name)
        axis.set(xlabel="x", ylabel="y", aspect="equal")


def _range(values: np.ndarray, margin: float = 0.0) -> tuple[float, float]:
    """The range of the colour or value axis, shared by all times."""
    low = float(values.min())
    high = float(values.max())
    gap = margin * (high - low)
    return (low - gap, high + gap) if high > low else (low - 0.5, high + 0.5)
