"""The errors of a law whose rows see several blocks, added up block by block."""

from typing import Any

import numpy as np

from physcon.datasets._assemble import LawRows
from physcon.datasets._entries import LawReport
from physcon.datasets._errors import worst_times
from physcon.datasets._laws import Mean, title
from physcon.datasets._scaled_rows import products
from physcon.datasets._shared import Cut, row_count, row_numbers, row_sizes


class SharedErrors:
    """The left-hand sides of all rows of one law, before and after.

    Sums use more digits than float64 has, where the machine has such numbers.
    """

    def __init__(self, data: Any, eps: float) -> None:
        self._data = data
        self._eps = eps
        self._made: LawRows | None = None

    def add(
        self,
        made: LawRows,
        matrix: Any,
        cut: Cut,
        values: tuple[np.ndarray, np.ndarray],
    ) -> None:
        """Add the part of the rows that a block holds.

        Args:
            made: the rows of the law in the block.
            matrix: their coefficients; for a mean, weights that are not normalised.
            cut: which part of the dataset the block is.
            values: of the block, before and after.
        """
        if self._made is None:
            self._start(made, cut)
        at = row_numbers(made, cut)
        for u, total in zip(values, self._totals, strict=True):
            total[at] += products(matrix, u)
        self._size[at] += abs(matrix) @ np.abs(values[0])
        self._weight[at] += np.asarray(matrix.sum(1)).ravel()
        self._value[at] = made.rows.value if made.asked is None else made.asked
        self._seen[at] = True

    def report(self) -> LawReport:
        """Return the errors of all rows."""
        made = self._made
        assert made is not None
        known = np.flatnonzero(self._seen)
        value = self._value[known]
        weight = np.ones(len(known))
        if isinstance(made.law, Mean):
            weight = self._weight[known]
            weight = np.where(weight > 0, weight, 1.0)
        sides = [(total[known] / weight).astype(np.float64) for total in self._totals]
        missed = [(t[known] / weight - value).astype(float) for t in self._totals]
        first, last = (np.abs(m) for m in missed)
        size = self._size[known] / weight + np.abs(value)
        everything = bool(self._seen.all())
        labels = self._shape if everything else {"rows": len(known)}
        return LawReport.of(
            title(made.law),
            made.units,
            labels,
            first,
            last,
            16 * self._eps * size,
            (value, *sides),
            worst_times(self._data, self._shape, known, first, last),
        )

    def _start(self, made: LawRows, cut: Cut) -> None:
        count = row_count(made, cut)
        self._made = made
        self._shape = row_sizes(made, cut)
        self._totals = [np.zeros(count, np.longdouble) for _ in range(2)]
        self._size = np.zeros(count)
        self._weight = np.zeros(count)
        self._value = np.zeros(count)
        self._seen = np.zeros(count, bool)
