"""The least change of one block of a dataset that makes its laws hold."""

from typing import Any

import numpy as np

from physcon.datasets._errors import report_on
from physcon.datasets._laws import Laws
from physcon.datasets._layout import as_vector
from physcon.datasets._names import spread_pairs
from physcon.datasets._problem import Problem, problem_of, stacked
from physcon.datasets._reach import check_met
from physcon.datasets._report import Report
from physcon.datasets._scaled_rows import Rows
from physcon.datasets._solve import solve, variance_left


def constrain_block(data: Any, laws: Laws) -> tuple[Any, Report]:
    """Return a constrained dataset, solved at once in memory, and its report."""
    problem = problem_of(data, laws, with_spread=True)
    rows = stacked(problem)
    found = solve(problem.mean, problem.std, problem.lower, problem.upper, rows)
    check_met(problem, found.good, found.unmet)
    fixed = data.copy()
    for name in problem.names:
        fixed[name] = with_values(data[name], _part(problem, name, found.values, data))
    fixed = _with_new_spread(fixed, laws, problem, rows)
    # Errors are reported for the values in the precision of the dataset.
    written = np.nan_to_num(as_vector(fixed, problem.names), nan=0.0)
    report = report_on(laws, problem, written, problem.std)
    return fixed, report


def with_values(array: Any, values: np.ndarray) -> Any:
    """Return an array with new values; all else, its type included, is kept."""
    dtype = array.dtype if array.dtype.kind == "f" else np.float64
    new = array.copy(data=values.astype(dtype))
    new.encoding = dict(array.encoding)
    return new


def _part(problem: Problem, name: str, values: np.ndarray, data: Any) -> np.ndarray:
    """Return the new values of one variable; missing values stay missing."""
    array = data[name]
    start = problem.values.start[name]
    old = array.values
    new = values[start : start + array.size].reshape(array.shape)
    return np.where(np.isnan(old.astype(np.float64)), old, new)


def _with_new_spread(fixed: Any, laws: Laws, problem: Problem, rows: Rows) -> Any:
    """Update variables of the dataset that hold the std of a constrained one."""
    pairs = spread_pairs(fixed, laws)
    if not pairs:
        return fixed
    left = variance_left(problem.std, rows)
    if left is None:
        return fixed
    for name, spread in pairs.items():
        start = problem.values.start[name]
        stop = start + fixed[name].size
        std = problem.std[start:stop] * np.sqrt(left[start:stop])
        old = fixed[spread].values
        new = np.where(np.isnan(fixed[name].values), old, std.reshape(old.shape))
        fixed[spread] = with_values(fixed[spread], new)
    return fixed
