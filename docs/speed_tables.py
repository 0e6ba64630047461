"""Tables of speed on the pages of finite volumes and operators, from their results.

They belong to docs/evidence_tables.py; the results lie in benchmarks/results.
"""

import json
from pathlib import Path
from typing import Any

from markdown_tables import markdown

#: Directions of bench_operators.py, as the tables call them.
_DIRECTIONS = {
    "forward": "forward",
    "forward+backward": "forward and backward",
    "training": "one of ten steps of training",
}
#: Where the pages of memory are small, where they are large, and where freed memory is
#: kept.
_PAGES = {"": "4 KiB", ", huge pages": "2 MiB", ", kept memory": "4 KiB, kept"}
_SCHEMES = {"muscl": "MUSCL", "hancock": "MUSCL-Hancock", "weno5": "WENO5-Z"}


def tables(results: Path) -> dict[str, str]:
    """The tables by name, as Markdown, of all files that exist."""
    makers = {
        "fv_rates": ("bench_fv", _rates),
        "fv_second_core": ("bench_fv", _second_core),
        "fno_against_neuraloperator": ("bench_operators", _against),
        "fno_corrections": ("bench_operators", _corrections),
        "bounded_walls": ("bench_bounded", _walls),
    }
    found = {}
    for table, (name, make) in makers.items():
        path = results / f"{name}.json"
        if path.exists():
            content = json.loads(path.read_text())
            lines, rows, command, extra = make(content["results"])
            made = _made(content, rows, f"{name}.py{command}", extra)
            found[table] = markdown(lines, made)
    return found


def _rates(results: dict[str, Any]) -> tuple:
    """Cell steps per second of Euler's equations, beside the loop in C."""
    rows = {(row["case"], row["dtype"]): row for row in results["rows"]}
    heads = ["million cell steps per second", "float64", "float32"]
    lines = [heads]
    for axes, size in ((1, results["cells"]), (2, f"{results['side']}²")):
        cases = {f"{v}, {axes}-D": f"{k}-hllc" for k, v in _SCHEMES.items()}
        for title, case in cases.items():
            found = [rows[f"euler {axes}d {case}", d] for d in heads[1:]]
            cells = [f"{row['million_cell_steps_per_s']:.1f}" for row in found]
            lines.append([f"{title}, {size} cells", *cells])
        case = f"euler {axes}d muscl-hllc"
        loops = [rows[f"C loop: {case}", d] for d in heads[1:]]
        rates = [row["million_cell_steps_per_s"] for row in loops]
        lines.append([f"MUSCL in C, {axes}-D", *(f"{rate:.1f}" for rate in rates)])
        ours = [rows[case, d]["million_cell_steps_per_s"] for d in heads[1:]]
        ratios = [f"{a / b:.2f}" for a, b in zip(ours, rates, strict=True)]
        lines.append([f"MUSCL over C, {axes}-D", *ratios])
        lines += _beside_clawpack(rows, axes)
    return lines, results["rows"], "", ""


def _beside_clawpack(rows: dict[tuple, dict], axes: int) -> list[list[str]]:
    """Rates of Clawpack's solvers in float64, and ours over them; none if absent."""
    classic = {1: "classic hlle", 2: "classic split"}[axes]
    rivals = {
        "SharpClaw, TVD": ("sharpclaw tvd", "muscl", "MUSCL"),
        "Clawpack, classic": (classic, "hancock", "MUSCL-Hancock"),
    }
    lines = []
    for title, (solver, case, own) in rivals.items():
        rival = rows.get((f"clawpack: euler {axes}d {solver}", "float64"))
        if rival is None:
            continue
        rate = rival["million_cell_steps_per_s"]
        ours = rows[f"euler {axes}d {case}-hllc", "float64"]
        ratio = ours["million_cell_steps_per_s"] / rate
        lines.append([f"{title}, {axes}-D", f"{rate:.1f}", ""])
        lines.append([f"{own} over {title}, {axes}-D", f"{ratio:.1f}", ""])
    return lines


def _second_core(results: dict[str, Any]) -> tuple:
    """Rates in two dimensions on one core, on two, and on two devices."""
    found = results["second_core"]["float64"]
    side = 2 * results["side"]
    ways = ("one core", "two cores", "two devices")
    heads = [f"{side} x {side} cells, float64, million cell steps per second"]
    lines = [[*heads, *ways, "two cores over one"]]
    pairs = {k: row for k, row in found.items() if k != "measured"}
    for case, row in pairs.items():
        rates = [f"{row[way]:.1f}" for way in ways]
        lines.append([case, *rates, f"{row['two cores over one']:.2f}"])
    return lines, [found], " --parts second_core", "on one and two of its cores"


def _against(results: dict[str, Any]) -> tuple:
    """Ratios of processor times, and our own times, with small and large pages."""
    heads = ["FNO, points", "pages of memory", *_DIRECTIONS.values()]
    lines = [heads]
    rows = []
    for suffix, pages in _PAGES.items():
        for row in results.get("against_neuraloperator" + suffix, []):
            points = " x ".join(f"{n:,}" for n in row["space"])
            cells = [
                f"{row['ratio'][d]:.2f} ({1e3 * row['seconds']['physcon'][d]:.0f} ms)"
                for d in _DIRECTIONS
            ]
            lines.append([points, pages, *cells])
            rows.append(row)
    extra = f"neuraloperator 2.0 with PyTorch {rows[0]['torch']}"
    command = " --torch-python PYTHON"
    return lines, rows, command, extra


def _corrections(results: dict[str, Any]) -> tuple:
    """Corrected networks over the plain one, for every direction."""
    forms = ("overwrite", "lift", "eliminate", "basis")
    lines = [["FNO, points", "plain, one step of training", *forms]]
    rows = results["corrections"]
    for row in rows:
        points = " x ".join(f"{n:,}" for n in row["space"])
        seconds = row["seconds"]["plain"]["training"]
        ratios = [
            " / ".join(f"{row['ratio'][form][d]:.2f}" for d in _DIRECTIONS)
            if form in row["ratio"]
            else ""
            for form in forms
        ]
        lines.append([points, f"{1e3 * seconds:.0f} ms", *ratios])
    return lines, rows, " --parts corrections", ""


def _walls(results: dict[str, Any]) -> tuple:
    """Rows of walls with and without a lower bound."""
    row = results["walls and a lower bound"]
    side = round(row["points"] ** 0.5)
    heads = [f"{row['rows']} rows of walls on {side} x {side} nodes", "one call"]
    lines = [heads]
    for call in ("condition", "bounded"):
        lines.append([f"`{call}`", f"{1e3 * row[call]['run_s']:.2g} ms"])
    return lines, [row], " --walls", ""


def _made(content: dict[str, Any], rows: list[Any], command: str, extra: str) -> str:
    """Command, days, machine and versions."""
    about = content["environment"]
    days = {row.get("measured", about)["date"][:10] for row in rows}
    versions = about["versions"]
    parts = [f"{' and '.join(sorted(days))}, {about['processor']}"]
    parts.append(extra or "pinned to one core")
    parts.append(f"jax {versions['jax']}, numpy {versions['numpy']}")
    return f"`taskset -c 0 python benchmarks/{command}`; {', '.join(parts)}."
