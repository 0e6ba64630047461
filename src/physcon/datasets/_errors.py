"""The errors of every law before and after, and the change of every variable."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from physcon.datasets._assemble import LawRows
from physcon.datasets._axes import is_time
from physcon.datasets._changes import change_of
from physcon.datasets._entries import Along, LawReport, VariableReport
from physcon.datasets._labels import labels_of
from physcon.datasets._laws import AnyLaw, Between, Laws, Values, title
from physcon.datasets._layout import as_vector
from physcon.datasets._pointwise import fixed_values, missed, outside
from physcon.datasets._problem import Problem
from physcon.datasets._report import Report
from physcon.datasets._scaled_rows import Rows, residual, sizes
from physcon.datasets._spread import is_metric


def report_on(
    laws: Laws, problem: Problem, after: np.ndarray, std: np.ndarray | None
) -> Report:
    """Return the report on new values; without `std`, no changes are reported."""
    data = problem.values.data
    before = np.nan_to_num(as_vector(data, problem.names), nan=0.0)
    eps = rounding_unit(data, problem.names)
    made = {id(r.law): r for r in problem.rows}
    found: list[LawReport] = []
    for law in laws.laws:
        if id(law) in made:
            found.append(_of_rows(made[id(law)], data, before, after, eps))
        else:
            found += _of_points(law, problem, before, after)
    changes = () if std is None else _changes(laws, problem, before, after, std)
    return Report(tuple(found), tuple(changes))


def _of_rows(
    made: LawRows, data: Any, before: np.ndarray, after: np.ndarray, eps: float
) -> LawReport:
    """Return the errors of the rows, for the right-hand side that was asked for."""
    rows = made.rows if made.asked is None else made.rows._replace(value=made.asked)
    missed = [-residual(rows, u) for u in (before, after)]
    first, last = (_counted(rows, m) for m in missed)
    rounding = 16 * eps * sizes(rows, before)
    return LawReport.of(
        title(made.law),
        made.units,
        made.labels,
        first,
        last,
        rounding,
        (rows.value, rows.value + missed[0], rows.value + missed[1]),
        worst_times(data, made.shape, made.known, first, last),
    )


def _of_points(
    law: AnyLaw, problem: Problem, before: np.ndarray, after: np.ndarray
) -> list[LawReport]:
    """Return the errors of bounds or of known values; no report for other laws."""
    if isinstance(law, Between):
        errors = [outside(law, problem.values, u) for u in (before, after)]
        inside = problem.values.inside(law.of).values.ravel()
        known = np.flatnonzero(inside)
    elif isinstance(law, Values):
        errors = [missed(law, problem.values, u) for u in (before, after)]
        known = np.flatnonzero(fixed_values(law, problem.values)[1])
    else:
        return []
    data = problem.values.data
    shape = {str(d): n for d, n in data[law.of].sizes.items()}
    times = worst_times(data, shape, known, *errors)
    points = {"points": len(errors[0])}
    before_after = (errors[0], errors[1])
    return [LawReport.of(title(law), "", points, *before_after, times=times)]


def worst_times(
    data: Any,
    shape: dict[str, int],
    known: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
) -> Along | None:
    """Return the largest errors at each time, for a law with rows at each time.

    Args:
        data: the dataset.
        shape: sizes of the dimensions along which there is a row each.
        known: which of these rows there are.
        first: error of each row before.
        last: error of each row after.
    """
    time = next((d for d in shape if d in data.dims and is_time(data, d)), None)
    if time is None or not len(known):
        return None
    axis = list(shape).index(time)
    where = np.unravel_index(known, tuple(shape.values()))[axis]
    values = {}
    for name, errors in (("before", first), ("after", last)):
        largest = np.zeros(shape[time])
        np.maximum.at(largest, where, errors)
        values[name] = largest.tolist()
    labels = labels_of(data, time)
    # A budget has a row for each step, which is named by the time of its end.
    return Along(time, labels[len(labels) - shape[time] :], values)


def _changes(
    laws: Laws, problem: Problem, before: np.ndarray, after: np.ndarray, std: np.ndarray
) -> list[VariableReport]:
    """Return the change of each variable, in units of its spread."""
    data = problem.values.data
    found = []
    for name in problem.names:
        start = problem.values.start[name]
        part = slice(start, start + data[name].size)
        metric = is_metric(laws, name)
        values = (before[part], after[part], std[part])
        change = change_of(data, name, *values, metric=metric)
        found.append(change)
    return found


def _counted(rows: Rows, difference: np.ndarray) -> np.ndarray:
    """Return the error of each row; only an excess counts in an inequality."""
    return np.where(rows.upper_only, np.maximum(difference, 0.0), np.abs(difference))


def rounding_unit(data: Any, names: Sequence[str]) -> float:
    """Return the largest rounding unit of variables; integers become float64."""
    types = [data[name].dtype for name in names]
    floats = [t if t.kind == "f" else np.dtype(np.float64) for t in types]
    return max(float(np.finfo(t).eps) for t in floats)
