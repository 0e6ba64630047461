"""Scores over test functions as a terminal table, CSV and JSON."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from physcon._files import atomic_write, write_json, write_text

#: Score -> column head and the power of ten it is shown in, as in the published tables.
COLUMNS = {
    "conservation_error": ("CE", -3),
    "log_likelihood": ("LL", 0),
    "mean_squared_error": ("MSE", -4),
    "crps": ("CRPS", -3),
    "coverage": ("cover 95 %", 0),
}


@dataclass(frozen=True)
class Row:
    """One method on the test functions of one parameter: mean and standard error per
    score.
    """

    parameter: float
    method: str
    functions: int
    mean: dict[str, float]
    standard_error: dict[str, float]


def summarize(
    parameters: np.ndarray, scores: Mapping[str, Mapping[str, np.ndarray]]
) -> list[Row]:
    """Rows per parameter and method.

    Shapes: parameters ``(functions,)``; scores[method][score] ``(functions,)``.
    """
    rows = []
    for p in dict.fromkeys(parameters.tolist()):
        chosen = parameters == p
        n = int(chosen.sum())
        for method, values in scores.items():
            picked = {
                k: np.asarray(v, dtype=np.float64)[chosen] for k, v in values.items()
            }
            mean = {k: float(v.mean()) for k, v in picked.items()}
            error = {
                k: float(v.std(ddof=1) / n**0.5) if n > 1 else 0.0
                for k, v in picked.items()
            }
            rows.append(Row(p, method, n, mean, error))
    return rows


def table_text(rows: Sequence[Row], parameter: str) -> str:
    """The table as text: mean ± standard error over functions, best proper scores
    marked.
    """
    heads = [
        f"{name}{f' 1e{power}' if power else ''}" for name, power in COLUMNS.values()
    ]
    width = 17
    lines = [f"{parameter:>8} {'method':<14}" + "".join(f"{h:>{width}}" for h in heads)]
    for group in dict.fromkeys(row.parameter for row in rows):
        members = [row for row in rows if row.parameter == group]
        for row in members:
            cells = []
            for score, (_, power) in COLUMNS.items():
                value, error = (
                    d[score] / 10.0**power for d in (row.mean, row.standard_error)
                )
                mark = "*" if _is_best(row, members, score) else " "
                cells.append(f"{value:.3f} ± {error:.3f}{mark}".rjust(width))
            lines.append(f"{group:>8g} {row.method:<14}" + "".join(cells))
        lines.append("")
    lines.append(
        f"mean ± standard error over {rows[0].functions} functions; * best of its group"
    )
    return "\n".join(lines)


def _is_best(row: Row, members: Sequence[Row], score: str) -> bool:
    sign = {"log_likelihood": -1, "mean_squared_error": 1, "crps": 1}.get(score)
    return sign is not None and row is min(members, key=lambda r: sign * r.mean[score])


def write_tables(folder: Path, rows: Sequence[Row], parameter: str) -> None:
    """``table.txt``, ``table.csv`` and ``table.json`` in `folder`."""
    header = [
        parameter, "method", "functions", *(f"{s}{e}" for s in COLUMNS for e in ("", "_se"))
    ]  # fmt: skip
    lines = []
    for row in rows:
        values = [d[s] for s in COLUMNS for d in (row.mean, row.standard_error)]
        lines.append([row.parameter, row.method, row.functions, *values])
    write_csv(folder / "table.csv", header, lines)
    write_texts(folder, rows, table_text(rows, parameter))


def write_texts(folder: Path, rows: Sequence[Any], text: str) -> None:
    """``table.json`` of dataclasses, and ``table.txt``."""
    write_json(folder / "table.json", [asdict(row) for row in rows])
    write_text(folder / "table.txt", text)


def write_csv(
    path: Path, header: Sequence[str], lines: Sequence[Sequence[Any]]
) -> None:
    """A CSV file, whole or absent."""
    with atomic_write(path, "w") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)
