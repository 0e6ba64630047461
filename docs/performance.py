"""The performance page: every file in benchmarks/results as tables."""

import json
from pathlib import Path
from typing import Any

#: Files whose tables are on another page.
_ELSEWHERE = {
    "bench_rows": "The table is on the page on many rows: {ref}`rows-cost`.",
    "bench_fv_accuracy": "The tables are on the page on finite volumes: "
    "{ref}`fv-schemes`.",
}


def page(results: Path, history: list[str]) -> str:
    """A figure per history, then a section per file, a row or column per record."""
    lines = [
        "# Performance",
        "",
        "This page is generated from the files that `benchmarks/bench_*.py` write.",
        "Ratios compare times from one run, with the same work and dtype, interleaved.",
        "Times are in seconds.",
        "",
        "## Ratios over time",
        "",
        "Each run of a benchmark adds a line of ratios to `benchmarks/history`. A plus",
        "sign marks a commit with local changes.",
    ]
    for name in history:
        lines += ["", f"![Ratios of {name} at each commit](history_{name}.png)"]
    for path in [*sorted(results.glob("*.json")), *sorted(results.glob("gpu/*.json"))]:
        if path.stem in _ELSEWHERE:
            lines += ["", f"## {path.stem}", "", _ELSEWHERE[path.stem]]
            continue
        content = json.loads(path.read_text())
        title = path.stem if path.parent == results else f"{path.stem} on a GPU"
        lines += ["", f"## {title}", "", _sentence(content.get("environment", {}))]
        lines += _tables(content.get("results", content))
    return "\n".join(lines) + "\n"


def _tables(results: Any, title: str = "") -> list[str]:
    """Records that share names in one table, other records one after another."""
    head = ["", f"### {title}"] if title else []
    pairs = (
        [(_label(r, i), r) for i, r in enumerate(results)]
        if isinstance(results, list)
        else []
    )
    pairs = pairs or list(results.items())
    if all(
        isinstance(record, dict) and not _has_records(record) for _, record in pairs
    ):
        records = [{"": key, **_flat(record)} for key, record in pairs]
        shared = set.intersection(*(set(record) for record in records)) != {""}
        if shared or len(records) == 1:
            return [*head, "", *_table(records)]
    facts = {k: v for k, v in pairs if not isinstance(v, dict) and not _is_records(v)}
    below = [(k, v) for k, v in pairs if k not in facts]
    lines = [*head, "", _sentence(facts)] if facts else []
    return lines + [
        line for k, v in below for line in _tables(v, f"{title}, {k}" if title else k)
    ]


def _table(records: list[dict[str, Any]]) -> list[str]:
    """A row per record, or a column per record if a few records have many numbers."""
    names = list(dict.fromkeys(name for record in records for name in record))
    grid = [names, *([_cell(record.get(name)) for name in names] for record in records)]
    if len(names) > 10 and len(records) <= 8:
        grid = [list(column) for column in zip(*grid, strict=True)]
    first, *rest = (f"| {' | '.join(row)} |" for row in grid)
    return [first, "|" + " --- |" * len(grid[0]), *rest]


def _is_long(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 4


def _is_records(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(v, dict) for v in value)
    )


def _has_records(record: dict[str, Any]) -> bool:
    return any(map(_is_records, record.values()))


def _label(record: dict[str, Any], index: int) -> str:
    """The first text or sizes of a record name it."""
    found = next((v for v in record.values() if isinstance(v, str | list)), index + 1)
    return found if isinstance(found, str) else _cell(found)


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested scalars with joined names and short lists; long lists are omitted."""
    out = {}
    for key, value in record.items():
        if isinstance(value, dict):
            out |= _flat(value, f"{prefix}{key} ")
        elif key not in ("first_s", "run_min_s") and not (
            isinstance(value, list) and len(value) > 4
        ):
            out[prefix + key] = value
    return out


def _sentence(facts: dict[str, Any]) -> str:
    return "; ".join(f"{k} {_cell(v)}" for k, v in _flat(facts).items()) + "."


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " × ".join(map(_cell, value))
    return (
        f"{value:.3g}"
        if isinstance(value, float)
        else ""
        if value is None
        else str(value)
    )
