"""The options of a command that several processes run together, and how this one joins
them.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from physcon._checks import require


def add_options(parser: ArgumentParser, shared: str) -> None:
    """--distributed, which shares the work among processes, and who they are."""
    parser.add_argument(
        "--distributed",
        action="store_true",
        help=f"share {shared} among several processes",
    )
    parser.add_argument("--coordinator", default=None, help="host:port of process 0")
    parser.add_argument(
        "--processes", type=int, default=None, help="number of processes"
    )
    parser.add_argument(
        "--process_id", type=int, default=None, help="number of this one, from 0"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=45.0,
        help="seconds in which all processes must come",
    )


def joined(
    options: Namespace, settings: dict[str, Any], files: Iterable[Path] = ()
) -> bool:
    """Join the other processes, if this is one of several.

    To be called before anything else of JAX runs. The processes compare their settings,
    versions and data files first.

    Args:
        options: of `add_options`.
        settings: the resolved settings of this process, as JSON values.
        files: data that all processes read; a folder stands for the files in it.

    Returns: whether this is one of several processes.

    Raises: ValueError for a process number without --distributed, for processes that
        are not all there, or that differ.
    """
    given = [options.coordinator, options.processes, options.process_id]
    if not options.distributed:
        require(
            given == [None] * 3, "--distributed with them", given, "add --distributed"
        )
        return False
    require(
        options.wait > 0,
        "a positive --wait",
        options.wait,
        "pass a larger number of seconds",
    )
    from physcon._version import __version__
    from physcon.cli.info import versions
    from physcon.parallel import processes

    about = {
        "settings": settings,
        "resume": options.resume,
        "versions": {"physcon": __version__, **versions()},
        "files": _digests(files),
    }
    processes.start(*given, about=about, wait=options.wait)
    return True


def _digests(files: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of every file, by name."""
    out = {}
    for path in files:
        parts = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        for part in parts:
            try:
                with part.open("rb") as file:
                    out[part.name] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:
                out[part.name] = "absent"
    return out
