"""Audit a dataset, and constrain it: named variables in, named variables out."""

from collections.abc import Mapping
from typing import Any

from physcon.datasets._apart import Apart
from physcon.datasets._batches import batch_dim
from physcon.datasets._initial import with_first_targets
from physcon.datasets._laws import Laws
from physcon.datasets._names import changed_names, check_names
from physcon.datasets._parse import laws as as_laws
from physcon.datasets._perturb import check_divisible
from physcon.datasets._report import Report
from physcon.datasets._watch import Watch
from physcon.datasets._work import blocks_of, chunk_of, done, joined, pieces_of, work_on


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
        from physcon.datasets._lazy import lazily  # with dask, a third of a second

        return lazily(data, laws, names, _constrained)
    return _constrained(data, laws)


def audited(
    data: Any, laws: Laws, watch: Watch, stored: Mapping[str, int] | None = None
) -> Report:
    """Return the report of an audit, block by block."""
    data, laws = with_first_targets(data, laws)
    work = work_on(data, laws, fixing=False, stored=stored)
    outer = work.outer
    whole: Report | None = None
    blocks = blocks_of(work, chunk_of(work, stored or {}))
    count = 1 if outer is None else data.sizes[outer]
    with watch.over(data, laws, outer, after=False):
        work.prepare(blocks, lambda: watch.reading(count, outer or "block"))
        for place, _ in blocks:
            before, _, report = done(work, place)
            start = place.start or 0
            watch.block((before,), outer, start, length_of(before, outer))
            whole = joined(whole, report, outer, start)
    assert whole is not None
    return work.whole(whole)


def constrain_with_report(data: Any, laws: Laws) -> tuple[Any, Report]:
    """Return the constrained dataset, and a report on the errors before and after."""
    check_names(data, laws)
    outer = batch_dim(data, laws, changed_names(laws))
    work = Apart(data, laws, outer, fixing=True)
    everything = slice(None) if outer is None else slice(0, data.sizes[outer])
    if len(pieces_of(work, everything)) > 1:
        check_divisible(data, laws, [outer])
    _, after, report = done(work, everything)
    return after, report


def length_of(part: Any, outer: str | None) -> int:
    """Return the number of indices of a block."""
    return 1 if outer is None else part.sizes[outer]


def _constrained(data: Any, laws: Laws) -> Any:
    return constrain_with_report(data, laws)[0]
