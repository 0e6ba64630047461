"""Figures of benchmarks/history: ratios of each benchmark over its runs."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

#: Lines in one figure at most.
MOST = 8


def write_figures(history: Path, out: Path) -> list[str]:
    """One figure per benchmark with more than one run; returns their names."""
    names = []
    for path in sorted(history.glob("*.jsonl")):
        runs = [json.loads(line) for line in path.read_text().splitlines()]
        if len(runs) > 1:
            _figure(path.stem, runs, out / f"history_{path.stem}.png")
            names.append(path.stem)
    return names


def _figure(name: str, runs: list[dict[str, Any]], out: Path) -> None:
    """Ratios that several runs share, most frequent first, on a logarithmic axis."""
    counts: dict[str, int] = {}
    for run in runs:
        for ratio in run["ratios"]:
            counts[ratio] = counts.get(ratio, 0) + 1
    shared = [ratio for ratio, count in counts.items() if count > 1]
    shown = sorted(shared, key=lambda ratio: -counts[ratio])[:MOST]
    size = (8, 2.6 + 0.17 * len(shown))
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    for ratio in shown:
        at = [i for i, run in enumerate(runs) if ratio in run["ratios"]]
        values = [runs[i]["ratios"][ratio] for i in at]
        axis.plot(at, values, "o-", ms=4, lw=1, label=ratio)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xticks(range(len(runs)), [_label(run) for run in runs], fontsize=8)
    axis.set(ylabel="ratio of times", title=name)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", fontsize=7, frameon=False, ncols=1)
    figure.savefig(out, dpi=130)
    plt.close(figure)


def _label(run: dict[str, Any]) -> str:
    """Commit and date; "+" means that the code had local changes."""
    commit = run["commit"] or "unknown"
    changed = "+" if commit.endswith("+") else ""
    return f"{commit[:7]}{changed}\n{run['date'][:10]}"
