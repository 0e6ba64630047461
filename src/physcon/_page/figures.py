"""What a page can show besides tables: curves and maps that sliders step through."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physcon._page.pack import limits, numbers, packed, rounded


@dataclass(frozen=True)
class Slider:
    """A slider that chooses one index of a dimension.

    Attributes:
        name: name of the dimension.
        labels: what each position stands for, such as a date.
    """

    name: str
    labels: list[str]


@dataclass(frozen=True)
class Panel:
    """One map for each position of the sliders.

    Attributes:
        title: such as "before".
        values: ``(*sliders, rows, columns)``, with NaN for missing ones.
        limits: ends of the colour scale.
        centred: whether zero is the middle of the colour scale, for differences.
    """

    title: str
    values: np.ndarray
    limits: tuple[float, float]
    centred: bool = False

    @classmethod
    def of_change(cls, title: str, values: np.ndarray) -> "Panel":
        """Return maps of differences, with a colour scale around zero."""
        return cls(title, values, limits(values, centred=True), centred=True)


@dataclass(frozen=True)
class Maps:
    """Maps next to each other, on the same grid.

    Attributes:
        panels: the maps.
        units: of the values.
        axes: names of the dimensions of rows and of columns.
        rows: coordinate of each row, in the order of the values.
        columns: coordinate of each column.
        note: a sentence about the grid, such as how many cells a pixel stands for.
    """

    panels: list[Panel]
    units: str
    axes: tuple[str, str]
    rows: np.ndarray
    columns: np.ndarray
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what the script of the page draws; the first row is at the top."""
        upward = len(self.rows) > 1 and bool(self.rows[0] < self.rows[-1])
        flip = slice(None, None, -1) if upward else slice(None)
        panels = [
            {
                "title": p.title,
                "limits": [rounded(p.limits[0], 6), rounded(p.limits[1], 6)],
                "centred": p.centred,
                "bytes": packed(p.values[..., flip, :], *p.limits),
            }
            for p in self.panels
        ]
        return {
            "panels": panels,
            "units": self.units,
            "axes": list(self.axes),
            "rows": numbers(self.rows[flip], 6),
            "columns": numbers(self.columns, 6),
        }


@dataclass(frozen=True)
class Curve:
    """A curve of a chart.

    Attributes:
        name: its entry in the legend.
        values: ``(points,)``, or ``(*sliders, points)`` if the sliders move it.
    """

    name: str
    values: np.ndarray


@dataclass(frozen=True)
class Lines:
    """A chart of curves over a common axis.

    Attributes:
        title: what the chart shows.
        x: positions of the points.
        x_label: name of the axis, with its unit.
        y_label: name of the values, with their unit.
        curves: the curves.
        x_texts: what the positions stand for, such as dates; empty for plain numbers.
        log: whether the values are on a logarithmic scale.
        upright: whether `x` is the vertical axis, as depth and latitude are.
        downward: whether the vertical axis increases downwards, as depth does.
    """

    title: str
    x: np.ndarray
    x_label: str
    y_label: str
    curves: list[Curve]
    x_texts: list[str] = field(default_factory=list)
    log: bool = False
    upright: bool = False
    downward: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return what the script of the page draws."""
        return {
            "title": self.title,
            "x": numbers(self.x, 6),
            "xLabel": self.x_label,
            "yLabel": self.y_label,
            "curves": [
                {"name": c.name, "values": numbers(c.values), "moves": c.values.ndim}
                for c in self.curves
            ],
            "texts": self.x_texts,
            "log": self.log,
            "upright": self.upright,
            "downward": self.downward,
        }


@dataclass(frozen=True)
class Viewer:
    """A section of the page with maps and charts that share their sliders.

    Attributes:
        title: heading of the section.
        sliders: at most two; none where nothing moves.
        maps: the maps, if any.
        charts: the charts.
        lead: a sentence under the heading.
    """

    title: str
    sliders: list[Slider] = field(default_factory=list)
    maps: Maps | None = None
    charts: list[Lines] = field(default_factory=list)
    lead: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what the script of the page draws."""
        return {
            "title": self.title,
            "sliders": [{"name": s.name, "labels": s.labels} for s in self.sliders],
            "maps": None if self.maps is None else self.maps.to_dict(),
            "charts": [c.to_dict() for c in self.charts],
        }
