"""All values of one block of a dataset, and all laws on them, as plain arrays."""

from typing import Any, NamedTuple

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._assemble import LawRows
from physcon.datasets._coupled import check_pressures
from physcon.datasets._laws import Between, Laws, Values
from physcon.datasets._layout import Layout, as_vector, values_of
from physcon.datasets._marks import check_marks
from physcon.datasets._names import changed_names
from physcon.datasets._pointwise import bound, fix
from physcon.datasets._rows import law_rows
from physcon.datasets._scaled_rows import Rows
from physcon.datasets._spread import spreads

with needs("data"):
    import scipy.sparse as sp


class Problem(NamedTuple):
    """Find the values nearest to the mean that obey the bounds and the rows.

    Attributes:
        names: the variables, in the order of their values.
        values: the layout of the values.
        mean: the values of the dataset; zero where they are missing.
        std: standard deviation of each value; zero where it is certain.
        lower: lower bound of each value.
        upper: upper bound of each value.
        rows: the rows of each law that has rows.
    """

    names: list[str]
    values: Layout
    mean: np.ndarray
    std: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    rows: list[LawRows]


def problem_of(data: Any, laws: Laws, with_spread: bool) -> Problem:
    """Return the problem of a dataset; without a spread, all values are certain.

    Raises:
        ValueError: a value, a spread or a bound is unusable.
    """
    names = changed_names(laws)
    check_marks(data, names)
    values = values_of(data, names)
    raw = as_vector(data, names)
    missing = np.isnan(raw)
    mean = np.where(missing, 0.0, raw)
    bad = int(np.sum(np.isinf(mean)))
    require(bad == 0, "finite or missing values", f"{bad} infinite", "correct them")
    std = np.zeros(values.size)
    if with_spread:
        found = spreads(data, laws, names)
        check_pressures(data, laws, found)
        std = np.concatenate([found[n].values.ravel() for n in names])
        std = np.where(missing, 0.0, std)
    lower = np.full(values.size, -np.inf)
    upper = np.full(values.size, np.inf)
    rows: list[LawRows] = []
    for law in laws.laws:
        if isinstance(law, Between):
            bound(law, values, lower, upper)
        elif isinstance(law, Values):
            if with_spread:
                fix(law, values, mean, std)
        else:
            made = law_rows(law, values, laws)
            if made is not None:
                rows.append(made)
    if with_spread:
        certain = (std == 0) & ~missing
        _check_bounds(mean, lower, upper, certain)
        unbounded = certain | missing
        lower = np.where(unbounded, -np.inf, lower)
        upper = np.where(unbounded, np.inf, upper)
    return Problem(names, values, mean, std, lower, upper, rows)


def _check_bounds(
    mean: np.ndarray, lower: np.ndarray, upper: np.ndarray, certain: np.ndarray
) -> None:
    """Refuse crossed bounds, and bounds that a certain value is outside of."""
    margin = 1e-12 * np.abs(mean)
    out = certain & ((mean < lower - margin) | (mean > upper + margin))
    require(
        not out.any(),
        "certain values within their bounds",
        f"{int(out.sum())} outside",
        "give them a spread, or widen the bounds",
    )
    crossed = int(np.sum(lower > upper))
    require(crossed == 0, "lower <= upper", f"{crossed} crossed", "swap the bounds")


def stacked(problem: Problem) -> Rows:
    """Return the rows of all laws, one law below the other."""
    size = len(problem.mean)
    if not problem.rows:
        empty = np.zeros(0)
        return Rows(sp.csr_matrix((0, size)), empty, empty, np.zeros(0, bool))
    several = [r.rows for r in problem.rows]
    return Rows(
        sp.vstack([r.matrix for r in several]).tocsr(),
        np.concatenate([r.value for r in several]),
        np.concatenate([r.std for r in several]),
        np.concatenate([r.upper_only for r in several]),
    )
