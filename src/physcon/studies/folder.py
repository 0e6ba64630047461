"""The folder of a run, which is locked while the run works and keeps its settings."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from physcon._checks import require
from physcon._files import write_json
from physcon._mesh import by_writer, is_writer
from physcon._signals import cleaned_up

try:
    import fcntl
except ImportError:  # Windows: run folders are not locked there
    fcntl = None

LOCK = ".lock"
SETTINGS = "settings.json"
PROVENANCE = "provenance.json"


@contextmanager
def run_folder(
    folder: Path, settings: dict[str, Any], provenance: dict[str, Any], resume: bool
) -> Iterator[None]:
    """Hold a run folder for this run alone, and keep its settings there.

    Every process of a run enters it; process 0 writes. If an error ends the run, a new
    folder that holds nothing but settings is removed again.

    Args:
        folder: the run folder; it is created if it does not exist.
        settings: the resolved settings, as JSON values.
        provenance: versions, commit and device of the run, written next to the
            settings.
        resume: whether to accept a folder that holds a run with the same settings.

    Raises:
        ValueError: if another process holds the folder, if it holds files and the run
            is not to be resumed, or if its run has other settings. The folder is left
            unchanged.
    """
    new = not folder.exists()
    lock = None

    def begin() -> None:
        nonlocal lock
        folder.mkdir(parents=True, exist_ok=True)
        lock = _locked(folder)
        _check_empty_or_same(folder, settings, resume)
        write_json(folder / SETTINGS, settings)
        write_json(folder / PROVENANCE, provenance)

    def leave(*, whole: bool) -> None:
        if new and writer and not whole:
            _remove_if_nothing_was_done(folder)
        if lock is not None:
            _unlock(folder, lock)
            if new:
                with suppress(OSError):  # it holds files, or it is gone
                    folder.rmdir()

    writer = is_writer()
    whole = False
    with cleaned_up(lambda: leave(whole=False)):
        try:
            by_writer(begin)
            yield
            whole = True
        finally:
            leave(whole=whole)


def _check_empty_or_same(folder: Path, settings: dict[str, Any], resume: bool) -> None:
    occupied = any(path.name != LOCK for path in folder.iterdir())
    require(
        resume or not occupied,
        "a new run folder",
        f"{folder} holds files",
        "add --resume to continue the run in it, or choose another --output",
    )
    kept = folder / SETTINGS
    if not kept.is_file():
        return
    try:
        old = dict(json.loads(kept.read_text()))
    except (ValueError, TypeError):
        raise ValueError(
            f"expected the settings of a run in {kept}, got a file that is not a JSON "
            "object; choose another --output"
        ) from None
    names = [k for k in {**old, **settings} if old.get(k) != settings.get(k)]
    require(
        not names,
        f"the settings in {kept}",
        f"others for {', '.join(names)}",
        "resume with the settings that began it, or choose another --output",
    )


def _remove_if_nothing_was_done(folder: Path) -> None:
    with suppress(OSError):
        if {path.name for path in folder.iterdir()} <= {SETTINGS, PROVENANCE, LOCK}:
            for name in (SETTINGS, PROVENANCE):
                (folder / name).unlink(missing_ok=True)


def _locked(folder: Path) -> int:
    """Lock the folder until `_unlock`, or until this process ends in any way."""
    path = folder / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if fcntl is None:
            return descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 1000).decode(errors="replace").strip()
            os.close(descriptor)
            raise ValueError(
                f"expected a run folder that no other process uses, got {folder}, held "
                f"by {holder or 'another process'}; wait until it ends, or choose "
                "another --output"
            ) from None
        except OSError:  # a file system without locks
            return descriptor
        if _is_at(path, descriptor):
            break
        os.close(descriptor)  # its holder removed it at that moment
    began = datetime.now(UTC).isoformat(timespec="seconds")
    text = f"process {os.getpid()} on {socket.gethostname()} since {began}\n"
    os.ftruncate(descriptor, 0)
    os.write(descriptor, text.encode())
    return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _unlock(folder: Path, descriptor: int) -> None:
    with suppress(OSError):
        (folder / LOCK).unlink()
    os.close(descriptor)
