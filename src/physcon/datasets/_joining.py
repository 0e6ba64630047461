"""One report for several blocks of a dataset."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from physcon.datasets._entries import (
    MOST_CELLS,
    MOST_ROWS,
    Along,
    Cell,
    Label,
    LawReport,
    VariableReport,
)

_SUMMED = {"chi_squared": 1, "norm": 2}  # and the power in which they add up


def join_laws(several: Sequence[LawReport], along: str | None) -> LawReport:
    """Return the errors of one law over several blocks along a dimension."""
    first = several[0]
    count = sum(s.count for s in several)
    shapes = [s.along for s in several]
    sizes = _joined_sizes(shapes, along)
    word = "points" if all(set(s) == {"points"} for s in shapes) else "rows"
    kept = count <= 10 * MOST_ROWS and all(len(s.before) == s.count for s in several)

    def rows(name: str) -> list[float]:
        parts = [getattr(s, name) for s in several]
        if not kept or not any(parts):
            return []
        return _in_order(parts, shapes, along if sizes else None)

    return LawReport(
        first.law,
        first.units,
        count,
        sizes or {word: count},
        max(s.largest_before for s in several),
        max(s.largest_after for s in several),
        sum(s.violated_before for s in several),
        rows("before"),
        rows("after"),
        rows("wanted"),
        rows("found_before"),
        rows("found_after"),
        _join_along([s.times for s in several], along),
    )


def join_variables(
    several: Sequence[VariableReport], along: str | None, starts: Sequence[int]
) -> VariableReport:
    """Return the change of one variable over several blocks along a dimension."""
    points = sum(s.points for s in several)
    return VariableReport(
        several[0].variable,
        several[0].units,
        points,
        sum(s.mean_change * s.points for s in several) / max(1, points),
        max(s.largest_change for s in several),
        max(s.largest_in_std for s in several),
        sum(s.chi_squared for s in several),
        float(np.sqrt(sum(s.norm**2 for s in several))),
        several[0].metric,
        _join_cells(several, along, starts),
        _join_along([s.times for s in several], along),
    )


def _joined_sizes(shapes: Sequence[dict[str, int]], along: str | None) -> dict:
    """Return the joined sizes of the rows, or nothing where they don't fit."""
    first = shapes[0]
    rest = [{d: n for d, n in s.items() if d != along} for s in shapes]
    if along not in first or any(r != rest[0] for r in rest):
        return {}
    if any(list(s) != list(first) for s in shapes):
        return {}
    return {d: sum(s[d] for s in shapes) if d == along else n for d, n in first.items()}


def _in_order(
    parts: Sequence[list[float]], shapes: Sequence[dict[str, int]], along: str | None
) -> list[float]:
    """Return one list of rows, in the order of the joined sizes."""
    if along is None:
        return [v for part in parts for v in part]
    axis = list(shapes[0]).index(along)
    arrays = [
        np.reshape(part, tuple(shape.values()))
        for part, shape in zip(parts, shapes, strict=True)
    ]
    return np.concatenate(arrays, axis).ravel().tolist()


def _join_along(several: Sequence[Along | None], along: str | None) -> Along | None:
    """Return numbers per time: one block after the other, or blocks combined."""
    known = [s for s in several if s is not None]
    if len(known) != len(several):
        return None
    first = known[0]
    if first.dimension == along:
        labels: list[Label] = [label for s in known for label in s.labels]
        if all(isinstance(label, int) for label in labels):
            labels = [*range(len(labels))]
        joined = {n: [v for s in known for v in s.values[n]] for n in first.values}
        return Along(first.dimension, labels, joined)
    joined = {}
    for name in first.values:
        table = np.array([s.values[name] for s in known])
        power = _SUMMED.get(name)
        whole = table.max(0) if power is None else (table**power).sum(0) ** (1 / power)
        joined[name] = whole.tolist()
    return Along(first.dimension, first.labels, joined)


def _join_cells(
    several: Sequence[VariableReport], along: str | None, starts: Sequence[int]
) -> list[Cell]:
    """Return the cells that changed most in all blocks."""
    metric = several[0].metric

    def size(cell: Cell) -> float:
        return abs(cell.after - cell.before) if metric else cell.in_std

    cells = []
    for start, each in zip(starts, several, strict=True):
        cells += [_shifted(cell, along, start) for cell in each.cells]
    return sorted(cells, key=size, reverse=True)[:MOST_CELLS]


def _shifted(cell: Cell, along: str | None, start: int) -> Cell:
    """Return a cell whose index in a block has become one in the whole dataset."""
    index = cell.place.get(along) if along else None
    if along is None or not isinstance(index, int):
        return cell
    return replace(cell, place=cell.place | {along: index + start})
