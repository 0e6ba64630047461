"""The errors of every law before and after, and the change of every variable."""

import numpy as np

from physcon.datasets._assemble import LawRows
from physcon.datasets._laws import AnyLaw, Between, Laws, Values, title
from physcon.datasets._layout import as_vector
from physcon.datasets._pointwise import missed, outside
from physcon.datasets._problem import Problem
from physcon.datasets._report import LawReport, Report, VariableReport
from physcon.datasets._scaled_rows import Rows, residual, sizes
from physcon.datasets._spread import is_metric


def report_on(
    laws: Laws, problem: Problem, after: np.ndarray, std: np.ndarray | None
) -> Report:
    """Return the report on new values; without `std`, no changes are reported."""
    data = problem.values.data
    before = np.nan_to_num(as_vector(data, problem.names), nan=0.0)
    eps = max(_rounding(data[n].dtype) for n in problem.names)
    made = {id(r.law): r for r in problem.rows}
    found: list[LawReport] = []
    for law in laws.laws:
        if id(law) in made:
            found.append(_of_rows(made[id(law)], before, after, eps))
        else:
            found += _of_points(law, problem, before, after)
    changes = () if std is None else _changes(laws, problem, before, after, std)
    return Report(tuple(found), tuple(changes))


def _of_rows(
    made: LawRows, before: np.ndarray, after: np.ndarray, eps: float
) -> LawReport:
    """Return the errors of the rows, for the right-hand side that was asked for."""
    rows = made.rows if made.asked is None else made.rows._replace(value=made.asked)
    first = _errors(rows, before)
    last = _errors(rows, after)
    rounding = 16 * eps * sizes(rows, before)
    return LawReport.of(title(made.law), made.units, made.labels, first, last, rounding)


def _of_points(
    law: AnyLaw, problem: Problem, before: np.ndarray, after: np.ndarray
) -> list[LawReport]:
    """Return the errors of bounds or of known values; no report for other laws."""
    if isinstance(law, Between):
        errors = [outside(law, problem.values, u) for u in (before, after)]
    elif isinstance(law, Values):
        errors = [missed(law, problem.values, u) for u in (before, after)]
    else:
        return []
    return [LawReport.of(title(law), "", {"points": len(errors[0])}, *errors)]


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
        unit = str(data[name].attrs.get("units", ""))
        values = before[part], after[part], std[part]
        change = VariableReport.of(name, unit, *values, metric=metric)
        found.append(change)
    return found


def _errors(rows: Rows, u: np.ndarray) -> np.ndarray:
    """Return the error of each row; only an excess counts in an inequality."""
    difference = -residual(rows, u)
    return np.where(rows.upper_only, np.maximum(difference, 0.0), np.abs(difference))


def _rounding(dtype: np.dtype) -> float:
    """Return the rounding unit of a type; integers become float64."""
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)
