"""Files that are whole or absent, never half-written."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path`; it takes that name once complete and on the disk.

    A reader sees the old file or the new one. After an exception the old file stands;
    after a kill at most ``<name>.partial`` is left, which the next write replaces.
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


def write_text(path: str | os.PathLike, text: str) -> None:
    """A text file, whole or absent, that ends with a newline."""
    with atomic_write(path, "w") as file:
        file.write(text.rstrip("\n") + "\n")


def write_json(path: str | os.PathLike, content: Any) -> None:
    """JSON, whole or absent."""
    write_text(path, json.dumps(content, indent=2))


def write_sealed(
    path: str | os.PathLike,
    kind: str,
    version: int,
    header: dict[str, Any],
    payload: bytes,
) -> None:
    """Three parts, whole or absent: ``physcon-<kind>``, a line of JSON, the payload's
    bytes.

    The JSON line is `header` with the format's version and the payload's SHA-256.
    """
    line = {"version": version, **header, "sha256": hashlib.sha256(payload).hexdigest()}
    with atomic_write(path) as file:
        file.write(f"physcon-{kind}\n".encode() + json.dumps(line).encode() + b"\n")
        file.write(payload)


def read_sealed(
    path: str | os.PathLike, kind: str, version: int, remedy: str
) -> tuple[dict[str, Any], bytes]:
    """Header and payload of a file of `write_sealed`.

    Raises:
        ValueError: absent, of another kind or format version, cut off, or damaged.
    """
    if not Path(path).is_file():
        refuse(path, f"a physcon {kind}", "no file", "check the path")
    content = Path(path).read_bytes()
    magic, _, rest = content.partition(b"\n")
    line, newline, payload = rest.partition(b"\n")
    if magic != f"physcon-{kind}".encode():
        refuse(
            path,
            f"a physcon {kind}",
            f"a file that begins with {content[:20]!r}",
            remedy,
        )
    header = _json_object(line) if newline else None
    if header is None:
        refuse(path, f"a whole {kind}", "one cut off in its header", remedy)
    if header.get("version") != version:
        other = f"read it with the physcon that wrote it, or {remedy}"
        refuse(
            path, f"{kind} version {version}", f"version {header.get('version')}", other
        )
    if hashlib.sha256(payload).hexdigest() != header.get("sha256"):
        got = (
            f"one of {len(payload)} bytes whose checksum is wrong (cut off or damaged)"
        )
        refuse(path, f"a whole {kind}", got, remedy)
    return header, payload


def refuse(path: str | os.PathLike, expected: str, got: str, remedy: str) -> NoReturn:
    """Raise `ValueError` about a file."""
    raise ValueError(f"expected {expected} at {path}, got {got}; {remedy}")


def _json_object(line: bytes) -> dict[str, Any] | None:
    try:
        header = json.loads(line)
    except ValueError:
        return None
    return header if isinstance(header, dict) else None
