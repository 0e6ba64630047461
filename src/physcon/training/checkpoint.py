"""One file that holds all of a training run: a line of JSON, then the arrays.

    physcon-checkpoint
    {"version": 1, "step": 1200, "identity": {...}, "identity_hash": ..., "jax": ..., "sha256": ...}
    <eqx.tree_serialise_leaves>

The file is written under a temporary name and then renamed. It is read without unpickling, and
refused with a reason if it is cut off, of another format, or of another run.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import equinox as eqx
import jax

from physcon._files import atomic_write
from physcon._typing import PyTree

MAGIC = b"physcon-checkpoint\n"
VERSION = 1


def save_checkpoint(
    path: str | os.PathLike, state: PyTree, step: int, identity: dict[str, Any]
) -> None:
    """Write `state` after `step` steps of the run that `identity` describes (JSON values)."""
    payload = io.BytesIO()
    eqx.tree_serialise_leaves(payload, state)
    header = {
        "version": VERSION,
        "step": step,
        "identity": identity,
        "identity_hash": identity_hash(identity),
        "jax": jax.__version__,
        "sha256": hashlib.sha256(payload.getbuffer()).hexdigest(),
    }
    with atomic_write(path) as file:
        file.write(MAGIC + json.dumps(header).encode() + b"\n")
        file.write(payload.getbuffer())


def load_checkpoint(
    path: str | os.PathLike, like: Callable[[int], PyTree], identity: dict[str, Any]
) -> tuple[PyTree, int]:
    """The state and its step. `like(step)` has the structure, shapes and dtypes expected.

    Raises:
        ValueError: not a checkpoint, cut off or damaged, of another format version, or written by
            a run of another `identity` (the differing entries are named).
    """
    start_afresh = "remove it to start afresh"
    content = Path(path).read_bytes()
    magic, _, rest = content.partition(b"\n")
    line, newline, payload = rest.partition(b"\n")
    if magic + b"\n" != MAGIC:
        _refuse(
            path, "a physcon checkpoint", f"a file that begins with {content[:20]!r}", start_afresh
        )
    header = _parse(line) if newline else None
    if header is None:
        _refuse(path, "a whole checkpoint", "one cut off in its header", start_afresh)
    if header.get("version") != VERSION:
        remedy = f"read it with the physcon that wrote it, or {start_afresh}"
        _refuse(path, f"checkpoint version {VERSION}", f"version {header.get('version')}", remedy)
    if hashlib.sha256(payload).hexdigest() != header["sha256"]:
        got = f"one of {len(payload)} bytes whose checksum is wrong (cut off or damaged)"
        _refuse(path, "a whole checkpoint", got, start_afresh)
    differing = _differences(identity, header["identity"])
    if differing:
        remedy = f"resume with the settings that wrote it, or {start_afresh}"
        _refuse(path, "a checkpoint of this run", "; ".join(differing), remedy)
    step = header["step"]
    return eqx.tree_deserialise_leaves(io.BytesIO(payload), like(step)), step


def identity_hash(identity: dict[str, Any]) -> str:
    """A short name of a run's settings: equal for equal JSON values."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        header = json.loads(line)
    except ValueError:
        return None
    return header if isinstance(header, dict) else None


def _differences(expected: Any, got: Any, name: str = "") -> list[str]:
    """Where two JSON values differ, by dotted name."""
    expected = json.loads(json.dumps(expected))  # tuples are lists in the file
    if isinstance(expected, dict) and isinstance(got, dict):
        out = []
        for key in sorted(expected.keys() | got.keys()):
            inner = f"{name}.{key}" if name else key
            out += _differences(expected.get(key, "absent"), got.get(key, "absent"), inner)
        return out
    return [] if expected == got else [f"{name} is {got!r} in the file and {expected!r} here"]


def _refuse(path: str | os.PathLike, expected: str, got: str, remedy: str) -> NoReturn:
    raise ValueError(f"expected {expected} at {path}, got {got}; {remedy}")
