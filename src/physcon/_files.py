"""Files that are either complete or absent, never half-written."""

import hashlib
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from physcon._require import require
from physcon._signals import cleaned_up


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path next to `path`, and rename it to `path` at the end.

    A reader sees the old file or the complete new one. The temporary file has a random
    name and is created exclusively, so that two writers never share one and a symbolic
    link is never followed. After an exception the old file is unchanged. A killed
    process can leave one ``<name>.*.partial``, which the next write on the same
    machine removes.
    """
    path = Path(path)
    _remove_leftovers(path)
    partial = _new_partial(path)
    with cleaned_up(lambda: partial.unlink(missing_ok=True)):
        try:
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _new_partial(path: Path) -> Path:
    """Create an empty file with a random name that says who owns it."""
    owner = f"{_machine()}-{os.getpid()}"
    token = secrets.token_hex(8)
    partial = path.with_name(f"{path.name[:180]}.{owner}-{token}.partial")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(partial, flags, 0o666))
    return partial


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` whose process no longer runs."""
    start = f"{path.name[:180]}.{_machine()}-"
    if not path.parent.is_dir():
        return
    for name in os.listdir(path.parent):
        if name.startswith(start) and name.endswith(".partial"):
            owner = name[len(start) :].partition("-")[0]
            if owner.isdigit() and not _is_running(int(owner)):
                path.with_name(name).unlink(missing_ok=True)


def _machine() -> str:
    """Eight digits that identify this machine, for folders that several share."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user
        return True
    return True


@contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
    """Yield an open temporary file that becomes `path` at the end: `atomic_path`."""
    with atomic_path(path) as partial, partial.open(mode) as file:
        yield file


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file that ends with a newline, completely or not at all."""
    with atomic_write(path, "w") as file:
        file.write(text.rstrip("\n") + "\n")


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write a JSON file, completely or not at all."""
    write_text(path, json.dumps(content, indent=2))


def write_sealed(
    path: str | os.PathLike,
    kind: str,
    version: int,
    header: dict[str, Any],
    payload: bytes,
) -> None:
    """Write a line ``physcon-<kind>``, a line of JSON, and the bytes of the payload.

    The JSON line holds `header`, the version of the format, and the SHA-256 of the
    payload.
    """
    line = {"version": version, **header, "sha256": hashlib.sha256(payload).hexdigest()}
    with atomic_write(path) as file:
        file.write(f"physcon-{kind}\n".encode() + json.dumps(line).encode() + b"\n")
        file.write(payload)


def read_sealed(
    path: str | os.PathLike,
    kind: str,
    version: int,
    remedy: str,
    sha256: str | None = None,
) -> tuple[dict[str, Any], bytes]:
    """Return header and payload of a file written by `write_sealed`.

    Args:
        sha256: the digest that the whole file must have, in hexadecimal.

    Raises:
        ValueError: the file is absent, of another digest, kind or version, or damaged.
    """
    if not Path(path).is_file():
        refuse(path, f"a physcon {kind}", "no file", "check the path")
    content = Path(path).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if sha256 is not None and digest != sha256.strip().lower():
        wanted = f"a file with the SHA-256 digest {sha256}"
        refuse(path, wanted, digest, "do not use the file: it is not the one you know")
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
    """Raise a `ValueError` that names the file."""
    raise ValueError(f"expected {expected} at {path}, got {got}; {remedy}")


def _json_object(line: bytes) -> dict[str, Any] | None:
    try:
        header = json.loads(line)
    except ValueError:
        return None
    return header if isinstance(header, dict) else None


def check_output(path: Path, *inputs: Path, force: bool) -> None:
    """Raise ValueError if `path` can't be written, or is one of the files read."""
    there = [x for x in inputs if path.exists() and x.exists()]
    require(
        not any(path.samefile(x) for x in there),
        "an output other than the input",
        f"{path}, which is the same file",
        "choose another name: the input is kept",
    )
    require(
        force or not path.exists(),
        "a new file",
        f"{path} exists",
        "choose another name, or replace the file by --force",
    )
    require(
        path.parent.is_dir(),
        "an existing folder",
        f"{path.parent}",
        "create the folder first",
    )
