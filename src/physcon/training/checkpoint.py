"""One file that holds a complete training run: a line of JSON, then the arrays.

    physcon-checkpoint
    {"version": 1, "step": 1200, "identity": {...}, "seal": ..., "sha256": ...}
    <eqx.tree_serialise_leaves>

The file is written under a temporary name and then renamed. It is read without
unpickling, and refused with a reason if it is truncated, damaged, in another format, or
from another run. The line of JSON has its own checksum, because a step with one wrong
digit would resume the run at the wrong place.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

from physcon._files import read_sealed, refuse, write_sealed
from physcon._typing import PyTree

VERSION = 1


def save_checkpoint(
    path: str | os.PathLike, state: PyTree, step: int, identity: dict[str, Any]
) -> None:
    """Write the state of a run after a number of steps.

    Args:
        path: the file to write.
        state: a pytree of arrays.
        step: number of steps that led to the state.
        identity: JSON values that describe the run.
    """
    payload = io.BytesIO()
    eqx.tree_serialise_leaves(payload, state)
    header = {
        "step": step,
        "identity": identity,
        "identity_hash": identity_hash(identity),
        "jax": jax.__version__,
    }
    header["seal"] = identity_hash(header)
    write_sealed(path, "checkpoint", VERSION, header, payload.getvalue())


def load_checkpoint(
    path: str | os.PathLike, like: Callable[[int], PyTree], identity: dict[str, Any]
) -> tuple[PyTree, int]:
    """Read a state and its step.

    Args:
        path: the file to read.
        like: ``like(step)`` has the structure, shapes and dtypes that are expected.
        identity: JSON values that describe the run.

    Raises:
        ValueError: if the file is not a checkpoint, is truncated or damaged, has
            another format version, or was written by a run of another `identity` (the
            message names the entries that differ).
    """
    start_afresh = "remove it to start afresh"
    header, payload = read_sealed(path, "checkpoint", VERSION, start_afresh)
    sealed = {k: header.get(k) for k in ("step", "identity", "identity_hash", "jax")}
    if "seal" in header and header["seal"] != identity_hash(sealed):
        got = "one whose header has a wrong checksum (damaged)"
        refuse(path, "a whole checkpoint", got, start_afresh)
    differing = _differences(identity, header["identity"])
    if differing:
        remedy = f"resume with the settings that wrote it, or {start_afresh}"
        refuse(path, "a checkpoint of this run", "; ".join(differing), remedy)
    step = header["step"]
    try:
        state = eqx.tree_deserialise_leaves(io.BytesIO(payload), like(step))
    except (RuntimeError, ValueError, TypeError) as error:
        got = f"one of other arrays ({str(error).splitlines()[0][:200]})"
        refuse(path, "a checkpoint of this run", got, start_afresh)
    return state, step


def identity_hash(identity: dict[str, Any]) -> str:
    """A short hash of JSON values, equal for equal values."""
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _differences(expected: Any, got: Any, name: str = "") -> list[str]:
    """Name the entries in which two JSON values differ."""
    expected = json.loads(json.dumps(expected))  # tuples are lists in the file
    if isinstance(expected, dict) and isinstance(got, dict):
        out = []
        for key in sorted(expected.keys() | got.keys()):
            inner = f"{name}.{key}" if name else key
            out += _differences(
                expected.get(key, "absent"), got.get(key, "absent"), inner
            )
        return out
    return (
        []
        if expected == got
        else [f"{name} is {got!r} in the file and {expected!r} here"]
    )
