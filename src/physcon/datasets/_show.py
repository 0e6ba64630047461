"""The page of a report: tables of errors, maps, profiles and time series."""

from typing import Any

import numpy as np

from physcon._page import Curve, Lines, Maps, Page, Panel, Slider, Viewer
from physcon._page.pack import limits
from physcon.datasets._gather import Gathered
from physcon.datasets._labels import labels_of
from physcon.datasets._report import Report
from physcon.datasets._show_tables import add_tables
from physcon.datasets._show_times import law_charts


def page_of(
    title: str,
    lead: list[str],
    report: Report,
    data: Any,
    gathered: list[tuple[str, Gathered]],
) -> Page:
    """Return the page of an audit or of a correction.

    Args:
        title: title of the page.
        lead: sentences about the files and the laws.
        report: errors and changes.
        data: the dataset, of which coordinates are read only.
        gathered: maps and profiles by variable.
    """
    page = Page(title, lead)
    page.heading("How far the laws are from being satisfied")
    add_tables(page, report)
    charts = law_charts(report)
    if charts:
        page.heading("Over time")
        page.viewer(Viewer("Laws at each time", charts=charts))
    if gathered:
        audit = not report.variables
        page.heading("Maps and profiles" if not audit else "The values")
    for name, each in gathered:
        page.viewer(_viewer(data, name, each))
    return page


def _viewer(data: Any, name: str, gathered: Gathered) -> Viewer:
    """Return the maps and the profile of one variable."""
    plan = gathered.plan
    sliders = []
    for dim, kept in plan.frames.items():
        labels = labels_of(data, dim)
        sliders.append(Slider(dim, [_label(labels[k]) for k in kept]))
    units = str(data[name].attrs.get("units", ""))
    units = "" if units == "1" else units
    maps = _maps(data, gathered, units) if plan.map_dims else None
    charts = [_profile(data, name, gathered, units)] if plan.profile else []
    long_name = str(data[name].attrs.get("long_name", ""))
    title = f"{name}: {long_name}" if long_name else name
    lead = []
    for dim, kept in plan.frames.items():
        if len(kept) < data.sizes[dim]:
            lead.append(
                f"The slider shows {len(kept)} of the {data.sizes[dim]} indices of "
                f"{dim}."
            )
    if any(data.sizes[d] > 1 for d in plan.fixed):
        lead.append(f"Only the first index is shown of: {', '.join(plan.fixed)}.")
    return Viewer(title, sliders, maps, charts, " ".join(lead))


def _maps(data: Any, gathered: Gathered, units: str) -> Maps:
    plan = gathered.plan
    found = gathered.maps()
    scale = limits(np.stack(found), centred=False)
    if len(found) == 1:
        panels = [Panel("values", found[0], scale)]
    else:
        panels = [
            Panel("before", found[0], scale),
            Panel("after", found[1], scale),
            Panel.of_change("correction (after minus before)", found[1] - found[0]),
        ]
    assert plan.map_dims is not None
    axes = [_axis(data, d, by) for d, by in zip(plan.map_dims, plan.by, strict=True)]
    note = "Grey: no value."
    if plan.by != (1, 1):
        note += f" A pixel is the mean of {plan.by[0]} x {plan.by[1]} cells."
    if not all(_has_coordinate(data, d) for d in plan.map_dims):
        note += " The axes are indices of the grid."
    return Maps(panels, units, plan.map_dims, axes[0], axes[1], note)


def _profile(data: Any, name: str, gathered: Gathered, units: str) -> Lines:
    """Return a chart of the means over all other dimensions of space."""
    plan = gathered.plan
    assert plan.profile is not None
    along = plan.profile
    x = _axis(data, along, plan.step)
    kinds = ("before", "after")
    profiles = zip(kinds, gathered.profiles(), strict=False)
    curves = [Curve(kind, values) for kind, values in profiles]
    if len(curves) == 1:
        curves = [Curve("values", curves[0].values)]
    array = data[name]
    spatial = [
        d for d in map(str, array.dims) if d not in (along, *plan.frames, *plan.fixed)
    ]
    rest = [d for d in spatial if array.sizes[d] > 1]
    how = "mean by area over" if gathered.weighted else "mean over"
    title = f"{name} along {along}" + (f" ({how} {', '.join(rest)})" if rest else "")
    coordinate = data.coords[along].attrs if _has_coordinate(data, along) else {}
    axis_units = str(coordinate.get("units", ""))
    x_label = f"{along} ({axis_units})" if axis_units else along
    y_label = f"{name} ({units})" if units else name
    upright = plan.map_dims is not None
    down = coordinate.get("positive") == "down" or axis_units.lower() in ("hpa", "pa")
    return Lines(title, x, x_label, y_label, curves, upright=upright, downward=down)


def _axis(data: Any, dim: str, step: int) -> np.ndarray:
    """Return coordinates, or indices, at the middle of groups of cells."""
    size = data.sizes[dim]
    values = np.arange(size, dtype=np.float64)
    if _has_coordinate(data, dim):
        values = np.asarray(data.coords[dim].values, np.float64)
    begins = np.arange(0, size, step)
    counts = np.diff(np.append(begins, size))
    return np.add.reduceat(values, begins) / counts


def _has_coordinate(data: Any, dim: str) -> bool:
    known = dim in data.coords and data.coords[dim].dims == (dim,)
    return known and data.coords[dim].dtype.kind in "fiu"


def _label(label: Any) -> str:
    return f"{label:.6g}" if isinstance(label, float) else str(label)
