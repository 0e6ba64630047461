"""Scores over test functions, as a terminal table, CSV and JSON."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from physcon._files import atomic_write, write_json, write_text

#: The column head of each score, and the power of ten that multiplies it as in the
#: published tables.
COLUMNS = {
    "conservation_error": ("CE", -3),
    "log_likelihood": ("LL", 0),
    "mean_squared_error": ("MSE", -4),
    "crps": ("CRPS", -3),
    "coverage": ("cover 95 %", 0),
}


#: 1 for scores where smaller is better, -1 where larger is better. Other scores have no
#: best value.
BEST = {"log_likelihood": -1, "mean_squared_error": 1, "crps": 1}


@dataclass(frozen=True)
class Row:
    """The scores of one method on the test functions of one parameter.

    Attributes:
        parameter: parameter of the test functions.
        method: name of the method.
        functions: number of test functions.
        mean: mean of each score over functions and networks.
        standard_error: standard error of each score over functions.
        networks: number of networks, trained in the same way from different random
            numbers.
        spread: standard deviation over networks of the mean over functions, for each
            score.
        better: for each score that has a best value, the number of networks in which
            the method is better than the unconstrained prediction.
    """

    parameter: float
    method: str
    functions: int
    mean: dict[str, float]
    standard_error: dict[str, float]
    networks: int = 1
    spread: dict[str, float] = field(default_factory=dict)
    better: dict[str, int] = field(default_factory=dict)


def summarize(
    parameters: np.ndarray, scores: Mapping[str, Mapping[str, np.ndarray]]
) -> list[Row]:
    """Return one row per parameter and method.

    Shapes:
        `parameters` is ``(functions,)``. scores[method][score] is ``(networks,
        functions)``, or ``(functions,)`` for one network.
    """
    rows = []
    for p in dict.fromkeys(parameters.tolist()):
        chosen = parameters == p
        picked = {
            method: {
                name: np.atleast_2d(np.asarray(v, dtype=np.float64))[:, chosen]
                for name, v in values.items()
            }
            for method, values in scores.items()
        }
        plain = picked.get("unconstrained", {})
        for method, values in picked.items():
            rows.append(_row(p, method, values, plain))
    return rows


def _row(
    parameter: float,
    method: str,
    values: Mapping[str, np.ndarray],
    plain: Mapping[str, np.ndarray],
) -> Row:
    """The row of scores ``(networks, functions)``; `plain` is unconstrained."""
    networks, functions = next(iter(values.values())).shape
    error = {}
    spread = {}
    better = {}
    for name, v in values.items():
        of_functions = v.mean(axis=0)
        of_networks = v.mean(axis=1)
        error[name] = _deviation(of_functions) / functions**0.5
        spread[name] = _deviation(of_networks)
        if name in BEST and method != "unconstrained" and name in plain:
            gain = BEST[name] * (plain[name].mean(axis=1) - of_networks)
            better[name] = int(np.sum(gain > 0))
    mean = {name: float(v.mean()) for name, v in values.items()}
    return Row(parameter, method, functions, mean, error, networks, spread, better)


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if values.size > 1 else 0.0


def table_text(rows: Sequence[Row], parameter: str) -> str:
    """Format the table as text, with the best proper scores marked.

    The number after ± is the spread over networks, or the standard error over functions
    if there is one network.
    """
    heads = [
        f"{name}{f' 1e{power}' if power else ''}" for name, power in COLUMNS.values()
    ]
    width = 20
    lines = [f"{parameter:>8} {'method':<14}" + "".join(f"{h:>{width}}" for h in heads)]
    several = rows[0].networks > 1
    for group in dict.fromkeys(row.parameter for row in rows):
        members = [row for row in rows if row.parameter == group]
        for row in members:
            cells = []
            for score, (_, power) in COLUMNS.items():
                uncertainty = (row.spread if several else row.standard_error)[score]
                value = row.mean[score] / 10.0**power
                error = uncertainty / 10.0**power
                mark = "*" if _is_best(row, members, score) else " "
                cells.append(f"{value:.3f} ± {error:.3f}{mark}".rjust(width))
            lines.append(f"{group:>8g} {row.method:<14}" + "".join(cells))
        lines.append("")
    functions = f"{rows[0].functions} functions"
    if not several:
        lines.append(f"mean ± standard error over {functions}; * best of its group")
        return "\n".join(lines)
    lines.append(
        f"mean over {functions} and {rows[0].networks} networks ± standard deviation "
        "over networks; * best of its group"
    )
    return "\n".join([*lines, *_comparisons(rows, parameter)])


def _comparisons(rows: Sequence[Row], parameter: str) -> list[str]:
    """Lines that count the networks in which a method beats the unconstrained one."""
    compared = [row for row in rows if row.better]
    if not compared:
        return []
    lines = ["", "networks in which a method is better than unconstrained:"]
    for row in compared:
        counts = ", ".join(
            f"{COLUMNS[score][0]} {number} of {row.networks}"
            for score, number in row.better.items()
        )
        lines.append(f"{parameter} = {row.parameter:g}, {row.method}: {counts}")
    return lines


def _is_best(row: Row, members: Sequence[Row], score: str) -> bool:
    sign = BEST.get(score)
    return sign is not None and row is min(members, key=lambda r: sign * r.mean[score])


def write_tables(folder: Path, rows: Sequence[Row], parameter: str) -> None:
    """Write ``table.txt``, ``table.csv`` and ``table.json`` into `folder`."""
    endings = ("", "_se", "_spread")
    scores = [f"{score}{ending}" for score in COLUMNS for ending in endings]
    header = [parameter, "method", "functions", "networks", *scores]
    lines = []
    for row in rows:
        columns = (row.mean, row.standard_error, row.spread)
        values = [column[score] for score in COLUMNS for column in columns]
        lines.append([row.parameter, row.method, row.functions, row.networks, *values])
    write_csv(folder / "table.csv", header, lines)
    write_texts(folder, rows, table_text(rows, parameter))


def write_texts(folder: Path, rows: Sequence[Any], text: str) -> None:
    """Write ``table.json`` from dataclasses, and ``table.txt``."""
    write_json(folder / "table.json", [asdict(row) for row in rows])
    write_text(folder / "table.txt", text)


def write_csv(
    path: Path, header: Sequence[str], lines: Sequence[Sequence[Any]]
) -> None:
    """Write a CSV file, which is complete or absent."""
    with atomic_write(path, "w") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)
