"""Which blocks of an unfinished store are finished, for a run that was killed.

The folder of an unfinished store holds the journal and the store.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from physcon._require import require
from physcon.datasets._entries import Along, Cell, LawReport, VariableReport
from physcon.datasets._laws import Laws
from physcon.datasets._report import Report

try:
    import fcntl
except ImportError:  # Windows: unfinished stores are not locked there
    fcntl = None

_NAME = "journal"


class Journal:
    """A file next to an unfinished store: a line for the run, and one per block.

    A block is listed once all of its values are written. A line that was cut off when
    the process was killed does not count.
    """

    def __init__(self, path: Path, identity: str, output: Path) -> None:
        self.store = _store_in(path.parent)
        self._path = path
        self._identity = identity
        self._blocks = _read(path, identity)
        self.ready = self._blocks is not None
        if self.ready and is_published(output):
            self.store = output

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, output: Path, source: Path, laws: Laws, *, resume: bool
    ) -> Iterator["Journal"]:
        """Yield the journal of an unfinished output, which is locked for this run.

        After an error of the laws or of the data the folder is removed. Otherwise it
        stays, so that the run can be resumed.

        Raises:
            ValueError: the folder exists and `resume` is False, or it belongs to
                another run.
        """
        folder = _folder(output)
        require(
            resume or not folder.exists(),
            "no unfinished output",
            f"{folder}",
            "continue it by --resume, or remove that folder",
        )
        folder.mkdir(exist_ok=True)
        with _locked(folder):
            try:
                journal = cls(folder / _NAME, _identity(source, laws), output)
                yield journal
            except ValueError:
                if not resume:
                    shutil.rmtree(folder, ignore_errors=True)
                raise
            shutil.rmtree(set_aside(folder, output))

    def start(self) -> None:
        """Note that the rest of the store is copied."""
        self._append({"run": self._identity})
        self._blocks = {}
        self.ready = True

    def finished(self, start: int, count: int) -> Report | None:
        """Return the report of a finished block, or None."""
        entry = (self._blocks or {}).get((start, count))
        return None if entry is None else _report_of(entry)

    def add(self, start: int, count: int, report: Report) -> None:
        """Note that a block is finished."""
        entry = {"start": start, "count": count, "report": report.to_dict()}
        self._append(entry)

    def _append(self, entry: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


def is_published(output: Path) -> bool:
    """Whether a run was ended between the renaming of its store and its last step."""
    folder = _folder(output)
    return (
        output.exists() and (folder / _NAME).exists() and not _store_in(folder).exists()
    )


def set_aside(folder: Path, output: Path) -> Path:
    """Rename a folder that is no longer needed; a killed run may leave it there."""
    old = output.with_name(f"{output.name}.{secrets.token_hex(8)}.old")
    os.rename(folder, old)
    return old


def _folder(output: Path) -> Path:
    return output.with_name(f"{output.name}.partial")


def _store_in(folder: Path) -> Path:
    return folder / "store"


def _read(path: Path, identity: str) -> dict[tuple[int, int], Any] | None:
    """Return the reports of finished blocks; None if the copy was not complete."""
    if not path.exists():
        return None
    entries = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(ValueError):
            entries.append(json.loads(line))
    if not entries or "run" not in entries[0]:
        return None
    require(
        entries[0]["run"] == identity,
        f"an unfinished output of the same file and laws in {path.parent}",
        "one of other settings",
        "remove that folder to start anew",
    )
    return {(e["start"], e["count"]): e["report"] for e in entries[1:] if "start" in e}


def _identity(source: Path, laws: Laws) -> str:
    text = f"{source.resolve()} {source.stat().st_mtime_ns} {laws!r}"
    return hashlib.sha256(text.encode()).hexdigest()


def _report_of(entry: dict[str, Any]) -> Report:
    """Return a report from its dictionary."""

    def along(values: Any) -> Any:
        return None if values is None else Along(**values)

    laws = [LawReport(**(e | {"times": along(e["times"])})) for e in entry["laws"]]
    variables = [
        VariableReport(
            **(
                e
                | {
                    "times": along(e["times"]),
                    "cells": [Cell(**c) for c in e["cells"]],
                }
            )
        )
        for e in entry["variables"]
    ]
    return Report(tuple(laws), tuple(variables))


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone, where the system can."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BlockingIOError(
                f"another process is writing {folder}; wait for it, or choose another "
                "output"
            ) from error
        yield
    finally:
        os.close(handle)
