"""The history of every benchmark's ratios: one JSON line per run and commit.

    {"commit": "a1b2...", "date": ..., "processor": ..., "ratios": {"name": number}}

Ratios of times from one interleaved run can be compared between commits, where times
cannot. `record` adds a line for every run; docs/performance.py draws them.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "history"
_RATIO = re.compile(r"(^|[_ ])(ratio|over)([_ ]|$)")
#: What a line keeps of the environment.
_KEPT = ("commit", "date", "platform", "device", "processor", "cores", "load_average")


def ratios(results: Any) -> dict[str, float]:
    """Every number in `results` whose key, or a key above it, speaks of a ratio."""
    found: dict[str, float] = {}
    for path, value in _leaves(results):
        name = ", ".join(path)
        if any(_RATIO.search(part) for part in path) and value not in (None, 1.0):
            found[name] = float(f"{value:.4g}")
    return found


def line(content: dict[str, Any]) -> dict[str, Any] | None:
    """The history line of what a benchmark wrote; None without any ratio."""
    found = ratios(content["results"])
    environment = content["environment"]
    kept = {key: environment[key] for key in _KEPT if key in environment}
    kept["jax"] = environment["versions"]["jax"]
    return {**kept, "ratios": found} if found else None


def append(content: dict[str, Any], folder: Path = FOLDER) -> None:
    """Add the line of a run to ``<benchmark>.jsonl``."""
    new = line(content)
    if new is not None:
        folder.mkdir(exist_ok=True)
        with (folder / f"{content['benchmark']}.jsonl").open("a") as file:
            file.write(json.dumps(new) + "\n")


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[list[str], Any]]:
    """Numbers with the labels above them; a record in a list goes by its label."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            if isinstance(value, dict):
                yield from _leaves(value, (*path, _label(value, index)))
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield list(path), tree


def _label(record: dict[str, Any], index: int) -> str:
    """The texts and sizes of a record name it."""
    words = [v for v in record.values() if isinstance(v, str)]
    sizes = [
        "x".join(map(str, v))
        for v in record.values()
        if isinstance(v, list | tuple) and all(isinstance(n, int) for n in v)
    ]
    counts = [f"{k} {v}" for k, v in record.items() if isinstance(v, int)]
    return " ".join([*words, *sizes, *counts][:3]) or str(index)
