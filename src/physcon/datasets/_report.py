"""What was wrong and what changed, per law and per variable: text and JSON."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
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

    @classmethod
    def of(
        cls,
        law: str,
        units: str,
        along: dict[str, int],
        before: np.ndarray,
        after: np.ndarray,
        rounding: np.ndarray | float = 0.0,
    ) -> "LawReport":
        """Summarise absolute errors; a row is violated beyond its rounding error."""
        short = before.size <= 10_000
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
        )


@dataclasses.dataclass(frozen=True)
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

    @classmethod
    def of(
        cls,
        variable: str,
        units: str,
        before: np.ndarray,
        after: np.ndarray,
        std: np.ndarray,
        *,
        metric: bool = False,
    ) -> "VariableReport":
        """Summarise the change of a variable."""
        change = np.abs(after - before)
        relative = np.where(std > 0, change / np.where(std > 0, std, 1.0), 0.0)
        return cls(
            variable,
            units,
            int(change.size),
            float(change.mean()) if change.size else 0.0,
            float(change.max(initial=0.0)),
            float(relative.max(initial=0.0)),
            float(relative @ relative),
            float(np.linalg.norm(change)),
            metric,
        )


@dataclasses.dataclass(frozen=True)
class Report:
    """Errors of laws, and changes of variables; `print` shows a table.

    Attributes:
        laws: one entry per law.
        variables: one entry per variable; empty after an audit.
    """

    laws: tuple[LawReport, ...]
    variables: tuple[VariableReport, ...] = ()

    @classmethod
    def joined(cls, reports: Sequence["Report"]) -> "Report":
        """Return one report for several blocks of a dataset."""
        entries = zip(*(r.laws for r in reports), strict=True)
        changes = zip(*(r.variables for r in reports), strict=True)
        laws = tuple(_join_laws(several) for several in entries)
        return cls(laws, tuple(_join_variables(several) for several in changes))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain lists and numbers."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        audit = not self.variables
        head = "law, largest error" + (":" if audit else " before and after:")
        lines = [head]
        width = max((len(entry.law) for entry in self.laws), default=0)
        for entry in self.laws:
            line = f"  {entry.law:<{width}}  {entry.largest_before:.3e}"
            if not audit:
                line += f" -> {entry.largest_after:.3e}"
            line += _unit(entry.units)
            line += f"  ({entry.violated_before} of {entry.count} rows violated"
            lines.append(line + (")" if audit else " before)"))
        if not audit:
            lines.append("largest change of each variable, and in units of its spread:")
        width = max((len(entry.variable) for entry in self.variables), default=0)
        for change in self.variables:
            line = f"  {change.variable:<{width}}  {change.largest_change:.3e}"
            line += _unit(change.units)
            if not change.metric:
                line += f"  {change.largest_in_std:.3g} std"
            lines.append(line)
        far = [c for c in self.variables if c.largest_in_std > 10 and not c.metric]
        if far:
            lines.append(
                "some values changed by more than 10 times their spread: check the "
                "units of the laws and the size of the spread"
            )
        return "\n".join(lines)


def _unit(units: str) -> str:
    return "" if units in ("", "1") else f" {units}"


def _join_laws(several: Sequence[LawReport]) -> LawReport:
    first = several[0]
    return LawReport(
        first.law,
        first.units,
        sum(s.count for s in several),
        {},
        max(s.largest_before for s in several),
        max(s.largest_after for s in several),
        sum(s.violated_before for s in several),
        [e for s in several for e in s.before],
        [e for s in several for e in s.after],
    )


def _join_variables(several: Sequence[VariableReport]) -> VariableReport:
    points = sum(s.points for s in several)
    return VariableReport(
        several[0].variable,
        several[0].units,
        points,
        sum(s.mean_change * s.points for s in several) / max(1, points),
        max(s.largest_change for s in several),
        max(s.largest_in_std for s in several),
        sum(s.chi_squared for s in several),
        float(np.sqrt(sum(s.norm**2 for s in several))),
        several[0].metric,
    )
