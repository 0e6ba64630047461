"""The table of the page on many rows, from benchmarks/results/bench_rows.json."""

import json
from pathlib import Path
from typing import Any

#: Facts that have the reader's interest, and how a number of each is written.
_SHOWN = ("first call", "batch of 16", "memory", "objective", "wrong meter among")


def table(path: Path) -> str:
    """A row per piece of work: seconds of physcon and of its peers, and the aim."""
    content = json.loads(path.read_text())
    where = content["environment"]
    lines = [
        f"Measured {where['date'][:10]} on one core of {where['processor']} with "
        f"jax {where['versions']['jax']}, Python {where['python']}. Each row states "
        "the load of the machine while it was measured.",
        "",
        "| work | physcon | for comparison | aim | load | also measured |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in content["results"]:
        others = [
            f"{name}: {_time(seconds)} (ratio {row['over'][name]:.2g})"
            for name, seconds in row["others_s"].items()
        ]
        facts = [
            f"{name}: {value:.2g}" if isinstance(value, float) else f"{name}: {value}"
            for name, value in row["facts"].items()
            if any(word in name for word in _SHOWN)
        ]
        cells = [
            row["work"],
            _time(row["physcon_s"]),
            "<br>".join(others) or "not installed",
            row["reach"],
            f"{row['load_average']:.1f}",
            "<br>".join(facts),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _time(seconds: Any) -> str:
    if seconds < 1e-3:
        return f"{1e6 * seconds:.0f} µs"
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
