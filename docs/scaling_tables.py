"""The tables of docs/scaling.md about many devices, for docs/evidence_tables.py.

Two of them hold counts. The third puts the counts into the model of that page, whose
devices have the memory bandwidth, the message bandwidth and the latency below.
"""

import json
import math
from pathlib import Path
from typing import Any

from markdown_tables import markdown

#: Bytes a second of the memory and of messages, and seconds until one starts.
MEMORY = 2e12
MESSAGE = 5e10
LATENCY = 5e-6

#: Programs, as the page calls them, with their name, scaling, and size by devices.
_PROGRAMS = {
    "Euler 3-D, MUSCL, 64³ cells per device": ("finite volumes, muscl", "weak"),
    "the same, WENO5": ("finite volumes, weno5", "weak"),
    "Euler 3-D, WENO5, 256³ cells": ("finite volumes, weno5", "strong"),
    "Euler on 18 432 triangles": ("cells of a mesh", "strong"),
    "`condition`, 1 row": ("condition, 1 rows", "weak"),
    "`condition`, 10 rows": ("condition, 10 rows", "weak"),
    "one iteration of `condition_balance`, 1024² cells": ("divergence-free", "strong"),
    "training an FNO of 140 000 numbers": ("training", "weak"),
    "spectral convolution, 32 channels, 256²": ("spectral convolution", "strong"),
}
_KINDS = {
    "collective-permute": "permute",
    "all-reduce": "all-reduce",
    "all-to-all": "all-to-all",
    "all-gather": "all-gather",
}


def tables(results: Path) -> dict[str, str]:
    """The tables by name, as Markdown, if the file exists."""
    path = results / "bench_scaling.json"
    if not path.exists():
        return {}
    content = json.loads(path.read_text())
    found = content["results"]
    about = content["environment"]
    made = f"`python benchmarks/bench_scaling.py`; {about['date'][:10]}, compiled for "
    made += f"virtual CPU devices, jax {about['versions']['jax']}."
    model = "From the counts above and the model, not measured."
    return {
        "scaling_messages": markdown(_messages(found["messages"]), made),
        "scaling_steps": markdown(_steps(found["iterations"]), made),
        "scaling_memory": markdown(_memory(found["memory"]), made),
        "scaling_model": markdown(_model(found["messages"]), model),
    }


def _messages(rows: list[dict[str, Any]]) -> list[list[str]]:
    """What each program sends, on few and on most devices."""
    lines = [["program", "messages", "bytes on few devices", "bytes on 64 devices"]]
    for title, (what, scaling) in _PROGRAMS.items():
        fit = [r for r in rows if (r["what"], r["scaling"]) == (what, scaling)]
        few, *_, most = (r for r in fit if r["devices"] > 1)
        names = [_named(kind, v["count"]) for kind, v in most["sent"].items()]
        cells = [_bytes(row) for row in (few, most)]
        cells[0] += f" ({few['devices']} devices)"
        lines.append([title, ", ".join(names), *cells])
    return lines


def _named(kind: str, count: int) -> str:
    return f"{count} {_KINDS[kind]}{'s' if count > 1 else ''}"


def _bytes(row: dict[str, Any]) -> str:
    return " + ".join(f"{v['bytes']:,}" for v in row["sent"].values())


def _steps(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Steps of conjugate gradients on more and more devices."""
    heads = [f"{row['devices']} device{'s' * (row['devices'] > 1)}" for row in rows]
    return [["cells", *heads], ["128²", *(str(row["steps"]) for row in rows)]]


def _memory(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Bytes of a device, by unknowns; those of most devices with the gradient too."""
    devices = sorted({row["devices"] for row in rows})
    heads = [f"{d} device{'s' * (d > 1)}" for d in devices]
    lines = [["unknowns", *heads, f"with the gradient, {heads[-1]}"]]
    columns = [(d, False) for d in devices] + [(devices[-1], True)]
    for power in (7, 8, 9):
        cells = []
        for device, gradient in columns:
            (row,) = (
                r
                for r in rows
                if (r["devices"], r["gradient"]) == (device, gradient)
                and round(math.log10(r["unknowns"])) == power
            )
            cells.append(_size(row["bytes"]["total"]))
        lines.append([f"$10^{power}$", *cells])
    return lines


def _size(number: int) -> str:
    """Two digits, in GB or MB."""
    unit = "GB" if number >= 1e8 else "MB"
    value = number / {"GB": 1e9, "MB": 1e6}[unit]
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"


def _model(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Efficiencies of weak scaling by the size of each device's part."""
    lines = [["program, share of $B$", "part of a device: efficiency"]]
    for title, name in (("MUSCL", "muscl"), ("WENO5", "weno5")):
        sent = _sent(rows, f"finite volumes, {name}", "weak")
        found = []
        for side in (64, 128, 256, 512):
            messages = _permutes(sent["collective-permute"], (side / 64) ** 2)
            # Five float32 numbers of a cell are read and written.
            work = 40 * side**3 / (0.4 * MEMORY)
            found.append(f"{side}³: {work / (work + messages):.2f}")
        lines.append([f"Euler 3-D, {title}, $e$ = 0.4", ", ".join(found)])
    sent = _sent(rows, "divergence-free", "strong")
    found = []
    for side in (128, 512, 1024, 4096):
        # On 64 devices, each of 1024² / 64 cells: 128².
        messages = _permutes(sent["collective-permute"], side / 128)
        messages += _reductions(sent["all-reduce"], 64)
        work = 30 * 8 * side**2 / (0.4 * MEMORY)
        found.append(f"{side}²: {work / (work + messages):.2f}")
    title = "one iteration of `condition_balance` on 64 devices, $e$ = 0.4"
    lines.append([title, ", ".join(found)])
    sent = _sent(rows, "condition, 1 rows", "weak")
    found = []
    for devices in (8, 64, 512):
        messages = _reductions(sent["all-reduce"], devices)
        work = 32 * 1e9 / devices / (0.7 * MEMORY)
        share = work / (work + messages)
        time = f"{1e3 * (work + messages):.2g} ms"
        found.append(f"{devices} devices: {share:.2f} ({time})")
    title = "`condition`, 1 row, $10^9$ unknowns in total, $e$ = 0.7"
    lines.append([title, ", ".join(found)])
    return lines


def _sent(rows: list[dict[str, Any]], what: str, scaling: str) -> dict[str, Any]:
    """What a program sends on most devices."""
    fit = [r for r in rows if (r["what"], r["scaling"]) == (what, scaling)]
    return max(fit, key=lambda row: row["devices"])["sent"]


def _permutes(sent: dict[str, int], times: float) -> float:
    """Seconds of the exchanges, each of `times` the bytes that were counted."""
    return sent["count"] * LATENCY + times * sent["bytes"] / MESSAGE


def _reductions(sent: dict[str, int], devices: int) -> float:
    """Seconds of all-reduces."""
    share = (devices - 1) / devices
    start = sent["count"] * LATENCY * math.log2(devices)
    return 2 * (start + share * sent["bytes"] / MESSAGE)
