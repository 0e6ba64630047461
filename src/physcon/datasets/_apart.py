"""Blocks of a dataset that no law ties together."""

from collections.abc import Callable, Sequence
from typing import Any

from physcon.datasets._block import constrain_block
from physcon.datasets._errors import report_on
from physcon.datasets._laws import Laws
from physcon.datasets._needed import Source
from physcon.datasets._problem import problem_of
from physcon.datasets._report import Report

Blocks = Sequence[tuple[slice, Sequence[slice]]]  # and the pieces of each


class Apart:
    """Constrains blocks that no law ties together; see `Tied` for others.

    Args:
        data: the dataset, whose values are read when a block is.
        laws: the laws.
        outer: the dimension that is divided, or None.
        fixing: whether the values will change; otherwise this is an audit.
    """

    def __init__(self, data: Any, laws: Laws, outer: str | None, *, fixing: bool):
        self.data = data
        self.laws = laws
        self.outer = outer
        self._fixing = fixing
        self._source = Source(data, laws, outer)

    def prepare(self, blocks: Blocks, reading: Callable) -> None:
        """Do nothing: each block is solved alone."""

    def hold(self, where: slice) -> None:
        """Read a block at once, whose pieces follow."""
        self._source.hold(where)

    def fixed(self, where: slice) -> tuple[Any, Any, Report]:
        """Return a block before and after, and its report."""
        part = self._source.part(where)
        if self._fixing:
            return (part, *constrain_block(part, self.laws))
        problem = problem_of(part, self.laws, with_spread=False)
        return part, part, report_on(self.laws, problem, problem.mean, None)

    def note(self, where: slice, after: Any) -> None:
        """Do nothing: the report of a block is complete."""

    def whole(self, report: Report) -> Report:
        """Return the report of all blocks."""
        return report
