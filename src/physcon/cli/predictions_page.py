"""The report of the short form of `physcon constrain`, as a page, JSON or text."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from physcon._files import write_text
from physcon._page import Curve, Lines, Maps, Page, Panel, Slider, Viewer
from physcon._page.pack import coarsened, factors, limits

_MOST_FRAMES = 40
_MOST_PIXELS = 15_000
_MOST_POINTS = 400


def write_report(path: Path, report: Any, files: tuple[Path, Path], names: Any) -> None:
    """Write what changed in a file of predictions.

    Args:
        path: the report, which ends with .html, .json or .txt.
        report: of `physcon.constrain.constrain_file`.
        files: the predictions before and after.
        names: the names of the arrays in these files.
    """
    ending = path.suffix.lower()
    if ending == ".json":
        write_text(path, json.dumps(report._asdict(), indent=2))
    elif ending == ".txt":
        write_text(path, str(report))
    else:
        _page(report, files, names).write(path)


def _page(report: Any, files: tuple[Path, Path], names: Any) -> Page:
    from physcon._predictions import read_predictions

    before, after = (read_predictions(file, names) for file in files)
    title = f"Correction of {files[0].name}"
    lead = [f"File before: {files[0].name}. File after: {files[1].name}."]
    page = Page(title, lead)
    page.heading("What changed")
    rows = [
        ["largest conservation error", report.error_before, report.error_after],
        ["points out of bounds", report.out_of_bounds_before, 0],
        ["mean change, in units of std", "-", report.mean_change],
        ["largest change, in units of std", "-", report.largest_change],
    ]
    page.table("Errors and changes.", ["", "before", "after"], rows)
    page.heading("Predictions")
    shape = before.shape
    several = [np.asarray(p.mean).reshape(-1, *shape) for p in (before, after)]
    count = len(several[0])
    kept = np.unique(np.linspace(0, count - 1, min(count, _MOST_FRAMES)).astype(int))
    middle = tuple(n // 2 for n in shape[:-2])
    fields = [np.asarray(f[kept], np.float64)[(slice(None), *middle)] for f in several]
    name = "member and time" if before.ensemble else "entry of the batch"
    sliders = [Slider(name, [str(k) for k in kept])] if count > 1 else []
    if count == 1:
        fields = [f[0] for f in fields]
    axes = [_points(p, n) for p, n in zip(before.positions, shape, strict=True)]
    if len(shape) == 1:
        page.viewer(_profile(axes[0], fields, sliders))
    else:
        page.viewer(_maps(axes[-2:], fields, sliders))
    return page


def _points(positions: np.ndarray, count: int) -> np.ndarray:
    """Return nodes, or centres between faces."""
    x = np.asarray(positions, np.float64)
    return 0.5 * (x[1:] + x[:-1]) if len(x) == count + 1 else x


def _profile(x: np.ndarray, fields: list, sliders: list[Slider]) -> Viewer:
    step = -(-len(x) // _MOST_POINTS)
    curves = [
        Curve(name, field[..., ::step])
        for name, field in zip(("before", "after"), fields, strict=True)
    ]
    chart = Lines("prediction", x[::step], "x", "prediction", curves)
    return Viewer("Before and after", sliders, charts=[chart])


def _maps(axes: list[np.ndarray], fields: list, sliders: list[Slider]) -> Viewer:
    by = factors((len(axes[0]), len(axes[1])), _MOST_PIXELS)
    before, after = (coarsened(field, by) for field in fields)
    scale = limits(np.stack([before, after]), centred=False)
    panels = [
        Panel("before", before, scale),
        Panel("after", after, scale),
        Panel.of_change("correction (after minus before)", after - before),
    ]
    rows, columns = (
        coarsened(axis[None], (1, step))[0] for axis, step in zip(axes, by, strict=True)
    )
    maps = Maps(panels, "", ("axis -2", "axis -1"), rows, columns)
    return Viewer("Before and after", sliders, maps)
