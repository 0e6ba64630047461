"""Blocks of a file that laws tie together, with one block in memory at a time.

A first pass gives the multipliers of the rows that the blocks share; see
`physcon.datasets._passes`. The errors of these rows are added up block by block.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from physcon.datasets._across import cut_of, with_sizes
from physcon.datasets._apart import Blocks
from physcon.datasets._block import with_values
from physcon.datasets._chunk import (
    Opened,
    corrected_values,
    measured,
    opened_chunk,
)
from physcon.datasets._errors import report_on, rounding_unit
from physcon.datasets._laws import Laws
from physcon.datasets._layout import as_vector, values_of
from physcon.datasets._multipliers import Sums, added, multipliers_of, sums_of
from physcon.datasets._needed import Source
from physcon.datasets._problem import Problem
from physcon.datasets._report import Report
from physcon.datasets._rows import law_rows
from physcon.datasets._shared import Cut, Multipliers, is_shared
from physcon.datasets._shared_errors import SharedErrors


class Tied:
    """Constrains the blocks of a dataset whose laws add up along a dimension.

    Args:
        data: the dataset, whose values are read when a block is.
        laws: the laws.
        names: the variables that the laws are about.
        outer: the dimension that is divided.
        fixing: whether the values will change; otherwise this is an audit.
    """

    def __init__(
        self,
        data: Any,
        laws: Laws,
        names: Sequence[str],
        outer: str,
        *,
        fixing: bool,
    ) -> None:
        self.data = with_sizes(data, laws, outer)
        self.laws = laws
        self.outer = outer
        self._names = list(names)
        self._source = Source(self.data, laws, outer)
        self._fixing = fixing
        self._multipliers = Multipliers({}, {})
        shared = [n for n, w in enumerate(laws.laws) if is_shared(w, data, outer)]
        eps = rounding_unit(data, names)
        self._errors = {n: SharedErrors(self.data, eps) for n in shared}

    def prepare(self, blocks: Blocks, reading: Callable) -> None:
        """Read all blocks as often as the multipliers need it.

        Args:
            blocks: the blocks, and the pieces of each.
            reading: a context for each time that all blocks are read; it yields a
                function that is told how many indices have been read.
        """
        if not self._fixing:
            return

        def measure(multipliers: Multipliers) -> Sums:
            sums: list[Sums] = []
            with reading() as advance:
                for where, pieces in blocks:
                    if len(pieces) > 1:
                        self.hold(where)
                    for piece in pieces:
                        cut, part = self._opened(piece)
                        found = measured(part, self.laws, cut, multipliers)
                        sums = [added([*sums, sums_of(found)])]
                        advance(cut.stop - cut.start)
            return sums[0]

        self._multipliers = multipliers_of(measure, self.laws)

    def hold(self, where: slice) -> None:
        """Read a block at once, whose pieces follow."""
        cut = cut_of(self.data, self.laws, self.outer, where.start, where.stop)
        self._source.hold(cut.whole)

    def fixed(self, where: slice) -> tuple[Any, Any, Report]:
        """Return a block before and after, and its report without shared laws."""
        cut, part = self._opened(where)
        opened = opened_chunk(part, self.laws, cut, with_spread=self._fixing)
        before = part.isel({self.outer: cut.own})
        after = before
        if self._fixing:
            values = corrected_values(opened, part, self.laws, cut, self._multipliers)
            after = before.copy()
            for name, array in values.items():
                after[name] = with_values(before[name], array)
        return before, after, self._compared(opened, before, after, cut)

    def note(self, where: slice, after: Any) -> None:
        """Add a block that an earlier run has written to the errors of shared laws."""
        cut, part = self._opened(where)
        opened = opened_chunk(part, self.laws, cut)
        self._note(opened, after, cut)

    def whole(self, report: Report) -> Report:
        """Return the report of all blocks with the laws that they share."""
        alone = iter(report.laws)
        laws = tuple(
            self._errors[number].report() if number in self._errors else next(alone)
            for number in range(len(self.laws.laws))
        )
        return replace(report, laws=laws)

    def _opened(self, where: slice) -> tuple[Cut, Any]:
        """Return a block with what it sees before and after it, in memory."""
        cut = cut_of(self.data, self.laws, self.outer, where.start, where.stop)
        return cut, self._source.part(cut.whole)

    def _compared(self, opened: Opened, before: Any, after: Any, cut: Cut) -> Report:
        """Return the report of a block on its own laws, and note the shared ones."""
        self._note(opened, after, cut)
        shared = self._errors
        alone = [w for n, w in enumerate(self.laws.laws) if n not in shared]
        problem = self._own_problem(opened, before, alone, cut)
        written = _filled(after, self._names)
        std = problem.std if self._fixing else None
        return report_on(replace(self.laws, laws=tuple(alone)), problem, written, std)

    def _own_problem(
        self, opened: Opened, before: Any, alone: Sequence[Any], cut: Cut
    ) -> Problem:
        """Return the problem of a block, without values that were added around it."""
        problem = opened.problem
        if not cut.before and not cut.after:
            return problem
        values = values_of(before, self._names)
        made = [law_rows(law, values, self.laws) for law in alone]
        return problem._replace(
            values=values,
            mean=problem.mean[_order(opened, cut)],
            std=problem.std[_order(opened, cut)],
            rows=[rows for rows in made if rows is not None],
        )

    def _note(self, opened: Opened, after: Any, cut: Cut) -> None:
        """Add a block to the errors of the laws that blocks share."""
        old = _filled(opened.problem.values.data, self._names)
        last = old.copy()
        last[_order(opened, cut)] = _filled(after, self._names)
        for made, matrix in zip(opened.shared, opened.matrices, strict=True):
            number = self.laws.laws.index(made.law)
            self._errors[number].add(made, matrix, cut, (old, last))


def _order(opened: Opened, cut: Cut) -> np.ndarray:
    """Return the places of a block's own values in the long vector of the chunk."""
    values = opened.problem.values
    where = {cut.dimension: cut.own}
    inner = [values.index(name).isel(where) for name in opened.problem.names]
    return np.concatenate([index.values.ravel() for index in inner])


def _filled(data: Any, names: Sequence[str]) -> np.ndarray:
    return np.nan_to_num(as_vector(data, names), nan=0.0)
