"""Audit a dataset, and constrain it: named variables in, named variables out."""

from typing import Any

import numpy as np

from physcon.datasets._batches import batch_dim
from physcon.datasets._block import constrain_block, with_values
from physcon.datasets._errors import report_on
from physcon.datasets._laws import Laws
from physcon.datasets._lazy import lazily
from physcon.datasets._names import changed_names, check_names, spread_names
from physcon.datasets._parse import laws as as_laws
from physcon.datasets._problem import problem_of
from physcon.datasets._report import Report

_VALUES_AT_ONCE = 1_000_000


def audit(data: Any, laws: Any, **options: Any) -> Report:
    """Return how far a dataset is from obeying laws; nothing is changed.

    Args:
        data: an `xarray.Dataset`.
        laws: see `physcon.datasets.laws`.
        **options: `coordinates` or `radius`, see `Laws`.

    Raises:
        ValueError: a variable is missing, or the dataset does not say where it lives.
    """
    laws = as_laws(laws, **options)
    check_names(data, laws)
    problem = problem_of(data, laws, with_spread=False)
    return report_on(laws, problem, problem.mean, None)


def constrain(data: Any, laws: Any, spread: Any = None, **options: Any) -> Any:
    """Return the dataset with its variables corrected as little as the laws allow.

    The correction is the least in units of the spread of each variable: the most
    probable values of a Gaussian with that spread, given the laws. Missing values stay
    missing, and attributes, encoding, types and the order of dimensions are kept. A
    dataset that is split into dask chunks is constrained chunk by chunk when it is
    computed.

    Args:
        data: an `xarray.Dataset`.
        laws: see `physcon.datasets.laws`.
        spread: the standard deviation of the variables: a number, a percentage such as
            ``"10%"`` of the absolute value, the name of a variable, ``{"ensemble":
            "member"}``, or a metric (``"uniform"``, ``"proportional"``,
            ``"thickness"``, ``"residual"``); or a dictionary of these by variable.
            Variables that a dictionary leaves out are certain.
        **options: `coordinates` or `radius`, see `Laws`.

    Raises:
        ValueError: a variable is missing, the dataset does not say where it lives, or
            the laws contradict each other or the bounds.
    """
    laws = as_laws(laws, spread=spread, **options)
    check_names(data, laws)
    names = changed_names(laws)
    if any(data[name].chunks for name in names):
        return lazily(data, laws, names, _constrained)
    return _constrained(data, laws)


def constrain_with_report(data: Any, laws: Laws) -> tuple[Any, Report]:
    """Return the constrained dataset, and a report on the errors before and after."""
    check_names(data, laws)
    names = changed_names(laws)
    outer = batch_dim(data, laws, names)
    if outer is None:
        return constrain_block(data, laws)
    step = block_length(data, laws, outer)
    if step >= data.sizes[outer]:
        return constrain_block(data, laws)
    blocks, reports = [], []
    for start in range(0, data.sizes[outer], step):
        block = data.isel({outer: slice(start, start + step)})
        fixed, report = constrain_block(block, laws)
        blocks.append(fixed)
        reports.append(report)
    joined = data.copy()
    for name in [*names, *spread_names(data, laws)]:
        several = [b[name].variable for b in blocks]
        axis = data[name].dims.index(outer)
        whole = np.concatenate([v.values for v in several], axis=axis)
        joined[name] = with_values(data[name], whole)
    return joined, Report.joined(reports)


def _constrained(data: Any, laws: Laws) -> Any:
    return constrain_with_report(data, laws)[0]


def block_length(data: Any, laws: Laws, outer: str) -> int:
    """Return how many indices of a dimension to constrain at once."""
    values = sum(int(data[n].size) for n in changed_names(laws))
    per_index = max(1, values // max(1, data.sizes[outer]))
    return max(1, _VALUES_AT_ONCE // per_index)
