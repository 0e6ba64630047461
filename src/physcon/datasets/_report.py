"""What was wrong and what changed, per law and per variable: text and JSON."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from physcon.datasets._entries import Along, Cell, LawReport, VariableReport
from physcon.datasets._joining import join_laws, join_variables

__all__ = ["Along", "Cell", "LawReport", "Report", "VariableReport"]


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
    def joined(
        cls,
        reports: Sequence["Report"],
        along: str | None = None,
        starts: Sequence[int] | None = None,
    ) -> "Report":
        """Return one report for several blocks of a dataset.

        Args:
            reports: one per block, in order.
            along: the dimension that was cut into blocks.
            starts: the index along it at which each block starts.
        """
        if len(reports) == 1:
            return reports[0]
        entries = zip(*(r.laws for r in reports), strict=True)
        changes = zip(*(r.variables for r in reports), strict=True)
        begins = [0] * len(reports) if starts is None else starts
        laws = tuple(join_laws(several, along) for several in entries)
        variables = tuple(join_variables(each, along, begins) for each in changes)
        return cls(laws, variables)

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
            line += _rows(entry, "" if audit else " before")
            lines.append(line)
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


def _rows(entry: LawReport, when: str) -> str:
    """Return how many rows of a law are violated, in words."""
    if not entry.count:
        return "  (0 of 0 rows violated: no place has a value and a weight)"
    return f"  ({entry.violated_before} of {entry.count} rows violated{when})"


def _unit(units: str) -> str:
    return "" if units in ("", "1") else f" {units}"
