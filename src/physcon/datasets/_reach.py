"""Whether the laws were met, and an error that names the one that was not."""

from typing import Any

import numpy as np

from physcon._require import require
from physcon.datasets._assemble import LawRows
from physcon.datasets._laws import title
from physcon.datasets._problem import Problem


def check_met(problem: Problem, good: np.ndarray, unmet: np.ndarray) -> None:
    """Raise with the law that can't be met, and the reason as far as it is known."""
    start = 0
    for made in problem.rows:
        stop = start + len(made.rows.value)
        bad = np.flatnonzero(~good[start:stop])
        if bad.size:
            worst = int(bad[np.argmax(unmet[start:stop][bad])])
            _refuse(problem, made, worst, f"{bad.size} of {stop - start} rows")
        start = stop


def _refuse(problem: Problem, made: LawRows, worst: int, share: str) -> None:
    """Raise for a row: its value is out of reach, or other laws contradict it."""
    low, high = _reach(made.rows.matrix[worst], problem)
    value = made.rows.value[worst]
    where = f"{share}, such as row {worst}"
    if low <= value <= high:
        got = f"{where}: other laws contradict it"
        remedy = "correct one of the laws, or give one of them a std"
    else:
        got = f"{where}, where {value:.6g} is out of [{low:.6g}, {high:.6g}]"
        remedy = "widen the bounds, give more values a spread, or correct the law"
    require(False, f"{title(made.law)!r} within reach", got, remedy)


def _reach(row: Any, problem: Problem) -> tuple[float, float]:
    """Return the least and the largest ``c u`` of values within their bounds."""
    c = row.data
    free = problem.std[row.indices] > 0
    mean = problem.mean[row.indices]
    low = np.where(free, problem.lower[row.indices], mean)
    high = np.where(free, problem.upper[row.indices], mean)
    a, b = c * low, c * high
    return float(np.minimum(a, b).sum()), float(np.maximum(a, b).sum())
