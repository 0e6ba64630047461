"""Pages for a browser: the results of a study, and of one solution in time."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from physcon._page import Curve, Lines, Maps, Page, Panel, Slider, Viewer
from physcon._page.pack import coarsened, factors, limits

_MOST_FRAMES = 40
_MOST_FIELDS = 6
_BYTES = 2_000_000
_PICTURES = 3_300_000  # before they become text
_CAPTIONS = {
    "training": "The loss during training.",
    "mass": "The total mass over time.",
    "profile": "Profiles of the solution.",
    "shock": "The position of the shock.",
    "field": "The exact field, the predictions and their errors.",
    "fields": "The exact fields, the predictions and their errors.",
    "error_over_time": "The error of the predictions over time.",
    "solution": "The solution at several times.",
}


def study_page(folder: Path, title: str) -> Page:
    """Return the page of a finished run: its tables, its figures and its settings."""
    page = Page(title, [f"Run folder: {folder.name}."])
    page.heading("Scores")
    page.preformatted((folder / "table.txt").read_text())
    rows = json.loads((folder / "table.json").read_text())
    rows = [_flat(row) for row in rows]
    if rows:
        head = list(rows[0])
        cells = [[row.get(name, "-") for name in head] for row in rows]
        page.table("All scores", head, cells, folded=True)
    page.heading("Figures")
    left = _PICTURES
    for picture in sorted([*folder.glob("*.png"), *folder.glob("*.gif")]):
        size = picture.stat().st_size
        if size > left:
            page.paragraph(
                f"{picture.name} is in the run folder; it is too large here."
            )
            continue
        left -= size
        kind = picture.suffix[1:]
        page.picture(picture.read_bytes(), kind, _caption(picture.stem))
    _add_settings(page, folder)
    return page


def solution_page(folder: Path, data: Any) -> Page:
    """Return the page of a solution: its fields and its conserved totals over time.

    Args:
        folder: the run folder.
        data: the dataset of solution.nc.
    """
    title = str(data.attrs.get("title", "Solution"))
    page = Page(title, [f"Run folder: {folder.name}."])
    page.heading("Conserved totals")
    totals = [str(n) for n in data.data_vars if str(n).startswith("total_")]
    # Fields on a mesh are not shown: ParaView opens solution.pvd.
    on_axes = {("t", "x"), ("t", "x", "y")}
    fields = [str(n) for n in data.data_vars if data[n].dims in on_axes]
    names = fields[:_MOST_FIELDS]
    t = np.asarray(data["t"].values, np.float64)
    head = ["t", *totals, "steps"]
    rows = [
        [f"{t[k]:.6g}", *(float(data[n][k]) for n in totals), int(data["steps"][k])]
        for k in range(len(t))
    ]
    page.table("Totals over the grid at each snapshot.", head, rows, folded=True)
    charts = []
    for name in totals:
        change = np.asarray(data[name].values, np.float64)
        curve = Curve("change", change - change[0])
        title = f"{name} minus its first value"
        charts.append(Lines(title, t, _label(data["t"]), "change", [curve]))
    page.viewer(Viewer("Change of the totals since the start", charts=charts))
    page.heading("Fields")
    for name in names:
        page.viewer(_field(data, name, len(names)))
    _add_settings(page, folder)
    return page


def _field(data: Any, name: str, share: int) -> Viewer:
    """Return maps or profiles of one variable, with a slider over the snapshots."""
    count = data.sizes["t"]
    kept = np.unique(np.linspace(0, count - 1, min(count, _MOST_FRAMES)).astype(int))
    array = data[name].isel(t=kept)
    labels = [f"{t:.6g}" for t in array["t"].values]
    slider = Slider("t", labels)
    title = str(array.attrs.get("long_name", name))
    units = str(array.attrs.get("units", ""))
    units = "" if units == "1" else units
    if array.ndim == 2:
        x = np.asarray(array["x"].values, np.float64)
        step = -(-len(x) // 400)
        values = np.asarray(array.values, np.float64)[:, ::step]
        curves = [Curve("at the start", values[0]), Curve("at this time", values)]
        y_label = f"{name} ({units})" if units else name
        chart = Lines(title, x[::step], _label(data["x"]), y_label, curves)
        return Viewer(title, [slider], charts=[chart])
    fields = array.transpose("t", "y", "x")
    most = min(64_800, _BYTES // (2 * share * len(kept)))
    by = factors((fields.sizes["y"], fields.sizes["x"]), most)
    # One at a time: a solution may be larger than the memory.
    values = np.stack(
        [coarsened(np.asarray(frame.values, np.float64), by) for frame in fields]
    )
    panels = [
        Panel(title, values, limits(values, centred=False)),
        Panel.of_change("change since the start", values - values[:1]),
    ]
    rows, columns = (
        coarsened(np.asarray(data[d].values, np.float64)[None], (1, step))[0]
        for d, step in zip(("y", "x"), by, strict=True)
    )
    note = "" if by == (1, 1) else f"A pixel is the mean of {by[0]} x {by[1]} cells."
    maps = Maps(panels, units, ("y", "x"), rows, columns, note)
    return Viewer(title, [slider], maps)


def _add_settings(page: Page, folder: Path) -> None:
    """Add the settings, and the versions of the programs that were used."""
    for file, caption in (
        ("settings.json", "Settings"),
        ("provenance.json", "Versions and device"),
    ):
        path = folder / file
        if path.exists():
            flat = _flat(json.loads(path.read_text()))
            rows = [[key, str(value)] for key, value in flat.items()]
            page.table(caption, ["name", "value"], rows, folded=True)


def _flat(tree: dict[str, Any], start: str = "") -> dict[str, Any]:
    """Return nested settings with dotted names."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{start}{key}.")
        else:
            found[f"{start}{key}"] = value
    return found


def _caption(stem: str) -> str:
    words = stem.replace("_", " ")
    return _CAPTIONS.get(stem, f"{words[:1].upper()}{words[1:]}.")


def _label(coordinate: Any) -> str:
    units = str(coordinate.attrs.get("units", "1"))
    return (
        str(coordinate.name) if units in ("", "1") else f"{coordinate.name} ({units})"
    )
