"""Files that are whole or absent, never half-written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path`; it takes that name once complete and on the disk.

    A reader sees the old file or the new one. After an exception the old file stands; after a kill
    at most ``<name>.partial`` is left, which the next write replaces.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
    """An open temporary file that becomes `path` once complete, see `atomic_path`."""
    with atomic_path(path) as partial, partial.open(mode) as file:
        yield file
