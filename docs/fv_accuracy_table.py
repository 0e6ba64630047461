"""The tables of error against time on the page on finite volumes."""

import json
import math
from pathlib import Path
from typing import Any

TITLES = {
    "sod": "Sod's shock tube",
    "shu_osher": "Shu and Osher's shock in density waves",
    "blasts": "Woodward and Colella's blast waves",
    "wave": "a smooth wave of density, once around",
    "dam_break": "a dam break in shallow water",
    "quadrants": "four quadrants in two dimensions (configuration 3)",
}


def tables(path: Path) -> str:
    """A table per problem: error and time of each scheme, the most efficient first.

    The last column is the time that a scheme needs for the error of the default one,
    by its own order between the two grids, relative to the time of the default.
    """
    content = json.loads(path.read_text())
    where = content["environment"]
    lines = [
        f"Measured {where['date'][:10]} on one core of {where['processor']} in float64 "
        f"with jax {where['versions']['jax']}, Python {where['python']}.",
    ]
    results = content["results"]
    default = results["default"]
    lines += ["", results["note"]] if results["note"] else []
    for name, rows in results["problems"].items():
        lines += ["", f"**{_heading(name, rows)}**", ""]
        if name in results.get("references", {}):
            lines += [_reference(results["references"][name], name), ""]
        lines += ["| scheme | error | time | time for the default's error |"]
        lines += ["| --- | --- | --- | --- |"]
        reference = next(row for row in rows if row["scheme"] == default)
        costs = {row["scheme"]: cost(row, reference) for row in rows}
        for row in sorted(rows, key=lambda row: costs[row["scheme"]]):
            lines.append(f"| {' | '.join(_cells(row, costs[row['scheme']]))} |")
    return "\n".join(lines) + "\n"


def cost(row: dict[str, Any], reference: dict[str, Any]) -> float:
    """The time for the reference's error over its time; inf for a failure."""
    if None in row["errors"]:
        return math.inf
    coarse, fine = row["errors"]
    refined = row["cells"][1] / row["cells"][0]
    order = max(math.log(coarse / fine) / math.log(refined), 0.1)
    growth = math.log(row["seconds"][1] / row["seconds"][0]) / math.log(refined)
    cells = (fine / reference["errors"][1]) ** (1 / order)
    return row["seconds"][1] * cells**growth / reference["seconds"][1]


def _heading(name: str, rows: list[dict[str, Any]]) -> str:
    cells = rows[0]["cells"][1]
    size = f"{cells} x {cells}" if name == "quadrants" else f"{cells}"
    return f"{TITLES[name]}, {size} cells"


def _reference(found: dict[str, Any], name: str) -> str:
    """What the errors are measured against, and how far another scheme is from it."""
    cells = f"{found['cells']}" + (
        f" x {found['cells']}" if name == "quadrants" else ""
    )
    return (
        f"The reference is {found['scheme']} on {cells} cells, in {found['dtype']}; "
        f"{found['check']} there differs from it by {found['difference'][1]:.2g}, so "
        "that smaller differences between two errors mean nothing."
    )


def _cells(row: dict[str, Any], relative: float) -> list[str]:
    if math.isinf(relative):
        return [row["scheme"], "fails", "", ""]
    seconds = row["seconds"][1]
    time = f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
    shown = f"{relative:.2g}" if relative < 100 else "over 100"
    return [row["scheme"], f"{row['errors'][1]:.3g}", time, shown]
