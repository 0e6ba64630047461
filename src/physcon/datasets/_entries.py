"""The entries of a report: the errors of one law, and the change of one variable."""

from dataclasses import dataclass, field

import numpy as np

Label = str | float | int
MOST_ROWS = 10_000
MOST_CELLS = 10


@dataclass(frozen=True)
class Along:
    """Numbers for every index of a dimension, such as every time.

    Attributes:
        dimension: its name.
        labels: what each index stands for: a date, a coordinate, or the index itself.
        values: by name, one number per index.
    """

    dimension: str
    labels: list[Label]
    values: dict[str, list[float]]


@dataclass(frozen=True)
class Cell:
    """A value that took a large part of the correction.

    Attributes:
        place: coordinates of the value, by dimension; the index without a coordinate.
        before: the value before.
        after: the value after.
        in_std: its change in units of its spread.
    """

    place: dict[str, Label]
    before: float
    after: float
    in_std: float


@dataclass(frozen=True)
class LawReport:
    """Errors of one law.

    Attributes:
        law: its short name.
        units: of the errors, where the dataset says it.
        count: number of rows, such as one per time.
        along: names and sizes of the dimensions along which there is a row each.
        largest_before: largest absolute error.
        largest_after: largest absolute error of the values that were written.
        violated_before: number of rows with an error beyond rounding.
        before: error of each row, for laws with at most 10 000 rows.
        after: the same afterwards.
        wanted: right-hand side of each row; empty for bounds and for more rows.
        found_before: left-hand side of each row, such as the mean before.
        found_after: left-hand side of each row for the values that were written.
        times: largest errors ``before`` and ``after`` at each time.
    """

    law: str
    units: str
    count: int
    along: dict[str, int]
    largest_before: float
    largest_after: float
    violated_before: int
    before: list[float]
    after: list[float]
    wanted: list[float] = field(default_factory=list)
    found_before: list[float] = field(default_factory=list)
    found_after: list[float] = field(default_factory=list)
    times: Along | None = None

    @classmethod
    def of(
        cls,
        law: str,
        units: str,
        along: dict[str, int],
        before: np.ndarray,
        after: np.ndarray,
        rounding: np.ndarray | float = 0.0,
        sides: tuple[np.ndarray, ...] = (),
        times: Along | None = None,
    ) -> "LawReport":
        """Summarise absolute errors; a row is violated beyond its rounding error.

        Args:
            sides: right-hand side, and left-hand sides before and after, of each row.
        """
        short = before.size <= MOST_ROWS
        empty: list[list[float]] = [[], [], []]
        wanted, first, last = [s.tolist() for s in sides] if sides and short else empty
        return cls(
            law,
            units,
            int(before.size),
            dict(along),
            float(before.max(initial=0.0)),
            float(after.max(initial=0.0)),
            int(np.sum(before > rounding)),
            before.tolist() if short else [],
            after.tolist() if short else [],
            wanted,
            first,
            last,
            times,
        )


@dataclass(frozen=True)
class VariableReport:
    """How a variable changed.

    Attributes:
        variable: its name.
        units: where the dataset says them.
        points: number of points with a value.
        mean_change: mean absolute change, in `units`.
        largest_change: largest absolute change, in `units`.
        largest_in_std: largest change of an uncertain point, in units of its spread.
        metric: whether the spread is only a metric, whose size means nothing.
        chi_squared: squared changes in units of the spread, summed.
        norm: root of the summed squared changes, in `units`.
        cells: the values that took most of the correction, in units of their spread.
        times: the same numbers at each time: ``largest_change``, ``largest_in_std``,
            ``chi_squared`` and ``norm``.
    """

    variable: str
    units: str
    points: int
    mean_change: float
    largest_change: float
    largest_in_std: float
    chi_squared: float
    norm: float
    metric: bool = False
    cells: list[Cell] = field(default_factory=list)
    times: Along | None = None
