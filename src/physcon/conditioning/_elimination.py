"""Elimination of unmeasured points from the rows of a law, on the host.

Rows are combined until every unmeasured point that they determine stands alone in a row
of its own, which then gives its value; the other rows see measured points only.

Source: Narasimhan and Jordache, Data Reconciliation and Gross Error Detection (2000),
ch. 3 (projection); Gauss-Jordan elimination with threshold pivoting.
"""

from typing import NamedTuple

import numpy as np

from physcon.conditioning._coordinates import Coordinates

Ints = np.ndarray
#: Entries below this share of the largest one of their row are rounding.
_ZERO = 1e-11
#: A pivot has at least this share of the largest entry of its row.
_THRESHOLD = 0.1


class Elimination(NamedTuple):
    """The rows T G of a law, T regular, apart from their use.

    Attributes:
        free: rows that see no unmeasured point; ``(m - k)`` of them.
        free_from: T for these rows.
        solving: rows with one unmeasured point, whose entry is 1 and left out.
        solving_from: T for these rows.
        solved: ``(k,)``, the points that the rows `solving` determine.
        lost: points that are not determined, as their values or as part of a sum.
        held: points among these whose values the rows `solving` use.
        log_det: log |det T|.
    """

    free: Coordinates
    free_from: Coordinates
    solving: Coordinates
    solving_from: Coordinates
    solved: Ints
    lost: Ints
    held: Ints
    log_det: float


class _Table:
    """Rows as dictionaries, with the rows in which each unmeasured point stands."""

    def __init__(self, matrix: Coordinates, absent: set[int]):
        count = matrix.size
        self.rows: list[dict[int, float]] = [{} for _ in range(count)]
        self.made: list[dict[int, float]] = [{r: 1.0} for r in range(count)]
        self.where: dict[int, set[int]] = {c: set() for c in absent}
        pairs = zip(matrix.row, matrix.column, matrix.entry, strict=True)
        for r, c, value in pairs:
            self.rows[int(r)][int(c)] = float(value)
            if int(c) in absent:
                self.where[int(c)].add(int(r))
        self.size = [max(map(abs, row.values()), default=0.0) for row in self.rows]

    def scale(self, r: int, factor: float) -> None:
        self.rows[r] = {c: factor * x for c, x in self.rows[r].items()}
        self.made[r] = {c: factor * x for c, x in self.made[r].items()}
        self.size[r] *= abs(factor)

    def subtract(self, r: int, pivot: int, factor: float) -> None:
        """Row r less a multiple of the pivot row."""
        row, made = self.rows[r], self.made[r]
        limit = _ZERO * max(self.size[r], abs(factor) * self.size[pivot])
        for c, x in self.rows[pivot].items():
            value = row.get(c, 0.0) - factor * x
            if abs(value) > limit:
                row[c] = value
                if c in self.where:
                    self.where[c].add(r)
            elif row.pop(c, None) is not None and c in self.where:
                self.where[c].discard(r)
        for c, x in self.made[pivot].items():
            made[c] = made.get(c, 0.0) - factor * x
        self.size[r] = max(self.size[r], limit / _ZERO)


def eliminate(matrix: Coordinates, absent: Ints) -> Elimination:
    """Combine the rows of `matrix` so that unmeasured points stand alone.

    Args:
        absent: ``(u,)``, the unmeasured columns.
    """
    table = _Table(matrix, {int(c) for c in absent})
    pivots: dict[int, int] = {}  # point -> row
    used: set[int] = set()
    log_det = 0.0
    for c in sorted(table.where, key=lambda c: len(table.where[c])):
        r = _pivot(table, c, used)
        if r is None:
            continue
        value = table.rows[r][c]
        log_det -= float(np.log(abs(value)))
        table.scale(r, 1 / value)
        used.add(r)
        pivots[c] = r
        for other in sorted(table.where[c] - {r}):
            table.subtract(other, r, table.rows[other][c])
    return _sorted(table, matrix, pivots, log_det)


def _pivot(table: _Table, c: int, used: set[int]) -> int | None:
    """The shortest row, not used yet, with a large enough entry in column c."""
    rows = [r for r in table.where[c] if r not in used]
    if not rows:
        return None
    share = {r: abs(table.rows[r][c]) / table.size[r] for r in rows}
    least = _THRESHOLD * max(share.values())
    fit = [r for r in rows if share[r] >= least]
    return min(fit, key=lambda r: (len(table.rows[r]), r))


def _sorted(
    table: _Table, matrix: Coordinates, pivots: dict[int, int], log_det: float
) -> Elimination:
    undetermined = set(table.where) - set(pivots)
    solved = sorted(pivots)
    solving = [pivots[c] for c in solved]
    held = {c for r in solving for c in table.rows[r] if c in undetermined}
    unsure = {c for c in solved if undetermined & table.rows[pivots[c]].keys()}
    for c in solved:
        table.rows[pivots[c]].pop(c)
    taken = set(solving)
    free = [r for r in range(matrix.size) if r not in taken]
    return Elimination(
        free=_matrix(table.rows, free),
        free_from=_matrix(table.made, free),
        solving=_matrix(table.rows, solving),
        solving_from=_matrix(table.made, solving),
        solved=np.asarray(solved, int),
        lost=np.asarray(sorted(undetermined | unsure), int),
        held=np.asarray(sorted(held), int),
        log_det=log_det,
    )


def _matrix(rows: list[dict[int, float]], chosen: list[int]) -> Coordinates:
    entries = [
        (k, c, x) for k, r in enumerate(chosen) for c, x in sorted(rows[r].items())
    ]
    row, column, entry = (
        (np.array(x) for x in zip(*entries, strict=True))
        if (entries)
        else (np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    )
    return Coordinates((len(chosen),), row, column, entry)
