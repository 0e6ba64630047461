"""Audit a dataset, and constrain it: named variables in, named variables out."""

from collections.abc import Iterator
from typing import Any, NamedTuple

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
from physcon.datasets._watch import Watch

_VALUES_AT_ONCE = 1_000_000


class Block(NamedTuple):
    """A part of a dataset along one dimension, and what became of it.

    Attributes:
        where: its indices.
        start: the first of them.
        before: the part of the dataset.
        after: the same, constrained; or `before` after an audit.
        report: the errors and changes.
    """

    where: slice
    start: int
    before: Any
    after: Any
    report: Report


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
    return audited(data, laws, Watch())


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


def audited(data: Any, laws: Laws, watch: Watch) -> Report:
    """Return the report of an audit, block by block."""
    outer = batch_dim(data, laws, changed_names(laws))
    whole: Report | None = None
    with watch.over(data, laws, outer, after=False):
        for where, part in parts(data, laws, outer):
            problem = problem_of(part, laws, with_spread=False)
            report = report_on(laws, problem, problem.mean, None)
            watch.block((part,), outer, where.start or 0, _length(part, outer))
            whole = joined(whole, report, outer, where.start or 0)
    assert whole is not None
    return whole


def constrain_with_report(data: Any, laws: Laws) -> tuple[Any, Report]:
    """Return the constrained dataset, and a report on the errors before and after."""
    check_names(data, laws)
    names = changed_names(laws)
    outer = batch_dim(data, laws, names)
    if outer is None or block_length(data, laws, outer) >= data.sizes[outer]:
        return constrain_block(data, laws)
    blocks: list[Any] = []
    whole: Report | None = None
    for block in fixed_blocks(data, laws, outer):
        blocks.append(block.after)
        whole = joined(whole, block.report, outer, block.start)
    result = data.copy()
    for name in [*names, *spread_names(data, laws)]:
        several = [b[name].variable for b in blocks]
        axis = data[name].dims.index(outer)
        values = np.concatenate([v.values for v in several], axis=axis)
        result[name] = with_values(data[name], values)
    assert whole is not None
    return result, whole


def fixed_blocks(
    data: Any, laws: Laws, outer: str | None, least: int = 1
) -> Iterator[Block]:
    """Yield constrained parts of a dataset along a dimension; see `parts`."""
    for where, part in parts(data, laws, outer, least):
        fixed, report = constrain_with_report(part, laws)
        yield Block(where, where.start or 0, part, fixed, report)


def parts(
    data: Any, laws: Laws, outer: str | None, least: int = 1
) -> Iterator[tuple[slice, Any]]:
    """Yield parts of a dataset along a dimension, none of which fills the memory.

    Args:
        data: the dataset.
        laws: the laws.
        outer: the dimension; None: there is one part.
        least: the length of a part is a multiple of this, such as a store's chunk.
    """
    if outer is None or not data.sizes[outer]:
        yield slice(None), data
        return
    step = block_length(data, laws, outer)
    step = max(least, step - step % least)
    for start in range(0, data.sizes[outer], step):
        where = slice(start, start + step)
        yield where, data.isel({outer: where})


def joined(whole: Report | None, new: Report, outer: str | None, start: int) -> Report:
    """Return the report of all blocks up to a new one."""
    if whole is None:
        return new
    return Report.joined([whole, new], outer, [0, start])


def block_length(data: Any, laws: Laws, outer: str) -> int:
    """Return how many indices of a dimension to constrain at once."""
    values = sum(int(data[n].size) for n in changed_names(laws))
    per_index = max(1, values // max(1, data.sizes[outer]))
    return max(1, _VALUES_AT_ONCE // per_index)


def _constrained(data: Any, laws: Laws) -> Any:
    return constrain_with_report(data, laws)[0]


def _length(part: Any, outer: str | None) -> int:
    return 1 if outer is None else part.sizes[outer]
