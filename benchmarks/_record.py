"""Interleaved timing, and JSON files that record the environment of a benchmark."""

import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

import _history

RESULTS = Path(__file__).parent / "results"


def interleaved(
    fns: dict[str, Callable[[], Any]],
    repeats: int = 5,
    seconds: float = 5.0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, float]]:
    """Seconds of each function: the first call, which compiles, and the median call.

    Every round calls all functions one after another, so that other load on the machine
    affects all of them. Ratios of the medians are therefore reliable where the times
    are not. The rounds end early, but not before the third, once they have taken
    `seconds` for each function. With `time.process_time` as the clock, waiting for
    other programs does not count; the processor time of every thread does.
    """
    times: dict[str, list[float]] = {name: [] for name in fns}
    for done in range(1 + repeats):
        if done > 3 and sum(sum(t[1:]) for t in times.values()) > seconds * len(fns):
            break
        for name, fn in fns.items():
            start = clock()
            jax.block_until_ready(fn())
            times[name].append(clock() - start)
    return {
        name: {
            "first_s": first,
            "run_s": statistics.median(rest),
            "run_min_s": min(rest),
            "compile_s": max(0.0, first - statistics.median(rest)),
            "rounds": len(rest),
        }
        for name, (first, *rest) in times.items()
    }


def environment() -> dict[str, Any]:
    """Device, cores, versions, commit and date of this process."""
    device = jax.devices()[0]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "device": device.device_kind,
        "platform": device.platform,
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": {
            name: version(name) for name in ("jax", "jaxlib", "equinox", "numpy")
        },
    }


def record(name: str, results: Any, path: str | os.PathLike) -> None:
    """Write benchmark, command, environment and results as JSON.

    A result of a commit without local changes also adds a line to the history, unless
    it is a trial: with small sizes, or written to another folder.
    """
    content = {
        "benchmark": name,
        "command": _command(),
        "environment": environment(),
        "results": results,
    }
    write(content, path)
    path = Path(path).resolve()
    commit = content["environment"]["commit"] or "+"
    trial = path.parent != RESULTS or "quick" in path.stem
    if not trial and not commit.endswith("+"):
        _history.append(content)


def earlier(path: str | os.PathLike) -> dict[str, Any]:
    """The results of an earlier file, of which only some are measured again.

    Each says with which commit it was measured.
    """
    if not Path(path).is_file():
        return {}
    content = json.loads(Path(path).read_text())
    measured = measured_at(content)

    def marked(found: Any) -> Any:
        if isinstance(found, list):
            return [marked(row) for row in found]
        return {"measured": measured, **found} if isinstance(found, dict) else found

    return {name: marked(found) for name, found in content["results"].items()}


def measured_at(content: dict[str, Any]) -> dict[str, Any]:
    """The date and the commit of a file of results."""
    return {key: content["environment"][key] for key in ("date", "commit")}


def write(content: Any, path: str | os.PathLike) -> None:
    """Write JSON under a temporary name, then rename it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    new = Path(path).with_suffix(".tmp")
    new.write_text(json.dumps(content, indent=2) + "\n")
    new.replace(path)


def _commit() -> str | None:
    """The commit of this repository; "+" is appended if the code has local changes."""

    def git(*args: str) -> str:
        root = Path(__file__).parents[1]
        return subprocess.run(
            ["git", *args], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "src", "benchmarks/*.py")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _command() -> str:
    """The command of this process; of paths, the last part alone."""
    program, *rest = (Path(word).name if os.sep in word else word for word in sys.argv)
    return shlex.join(["python", f"benchmarks/{program}", *rest])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":")[1].strip()
            for line in lines
            if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor()
