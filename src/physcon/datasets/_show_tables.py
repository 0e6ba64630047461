"""The tables of a report's page, in words for readers who did not run the command."""

from typing import Any

from physcon._page import Page
from physcon.datasets._entries import Along, Cell, VariableReport
from physcon.datasets._report import Report

_MOST_TIMES = 400


def add_tables(page: Page, report: Report) -> None:
    """Add errors per law, changes per variable, both per time, and the largest."""
    audit = not report.variables
    head = ["law", "largest error before", "largest error after", "units"]
    head += ["rows violated before", "rows"]
    rows = []
    for law in report.laws:
        row = [law.law, law.largest_before, law.largest_after, law.units or "-"]
        rows.append([*row, law.violated_before, law.count])
    if audit:
        head = ["law", "largest error", "units", "rows violated", "rows"]
        rows = [[r[0], r[1], *r[3:]] for r in rows]
    caption = "Errors of the laws. A row is one equation, such as one time."
    page.table(caption, head, rows)
    for law in report.laws:
        if law.times is not None:
            words = {"before": "largest error before", "after": "largest error after"}
            if audit:
                words = {"before": "largest error"}
            _times(page, f"Errors of {law.law} at each time", law.times, words)
    if audit:
        return
    page.heading(
        "How much was changed",
        "The correction is the smallest, in units of the spread, that satisfies the "
        "laws. Chi-squared sums the squared corrections in units of the spread.",
    )
    head = ["variable", "units", "points", "mean change", "largest change"]
    head += ["norm of the change", "largest, in units of spread", "chi-squared"]
    page.table(
        "Corrections of the variables.", head, [_change(v) for v in report.variables]
    )
    if any(v.metric for v in report.variables):
        page.paragraph(
            "A spread given by a metric has no size: it says where a correction goes, "
            "and so no correction is given in its units."
        )
    for variable in report.variables:
        _add_variable(page, variable)


def _change(v: VariableReport) -> list[Any]:
    row = [v.variable, v.units or "-", v.points, v.mean_change, v.largest_change]
    row.append(v.norm)
    return row + (["-", "-"] if v.metric else [v.largest_in_std, v.chi_squared])


def _add_variable(page: Page, variable: VariableReport) -> None:
    """Add the tables of one variable, folded."""
    words = {"largest_change": "largest change", "norm": "norm of the change"}
    if not variable.metric:
        words |= {"largest_in_std": "largest, in units of spread"}
        words |= {"chi_squared": "chi-squared"}
    name = variable.variable
    if variable.times is not None:
        _times(page, f"Corrections of {name} at each time", variable.times, words)
    if variable.cells:
        places = list(variable.cells[0].place)
        head = [*places, "before", "after", "change"]
        head += [] if variable.metric else ["in units of spread"]
        rows = [_cell(cell, places, metric=variable.metric) for cell in variable.cells]
        page.table(f"Cells of {name} that changed most", head, rows, folded=True)


def _cell(cell: Cell, places: list[str], *, metric: bool) -> list[Any]:
    row = [cell.place.get(p, "-") for p in places]
    row += [cell.before, cell.after, cell.after - cell.before]
    return row if metric else [*row, cell.in_std]


def _times(page: Page, caption: str, along: Along, words: dict[str, str]) -> None:
    """Add a folded table with a row for each time, or for the first of them."""
    count = len(along.labels)
    shown = min(count, _MOST_TIMES)
    rows = [
        [along.labels[k], *(along.values[name][k] for name in words)]
        for k in range(shown)
    ]
    if shown < count:
        caption += f" (the first {shown} of {count})"
    page.table(caption, [along.dimension, *words.values()], rows, folded=True)
