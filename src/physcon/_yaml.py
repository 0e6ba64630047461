"""What YAML of settings or laws must not hold, although its parser would take it.

Of two lines with one name YAML takes the last, 1:30 is 90 and 010 is 8 to it, and a few
lines of references can stand for millions.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from physcon._require import require

#: Entries, with the ones that references repeat.
_MOST_ENTRIES = 10_000
_MISREAD = re.compile(r"[-+]?(\d+(:\d+)+(\.\d*)?|0[0-9_]+)")


def check(text: str, source: str = "it") -> None:
    """Raise ValueError for YAML that can't be read as it was meant.

    What is no YAML at all is left to the parser, which says where it fails.

    Args:
        text: the YAML.
        source: the name of the file, for messages.
    """
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return
    if root is None:
        return
    require(
        _entries(root, {}) <= _MOST_ENTRIES,
        f"at most {_MOST_ENTRIES} entries",
        f"more in {source}, by references",
        "write them out",
    )
    for found in _faults(root):
        raise ValueError(f"{found} of {source}")


def read(path: Path) -> str:
    """Return the text of a file in UTF-8.

    Raises: ValueError for another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"expected text in UTF-8, got byte {error.start} of {path} in another "
            "encoding; save the file as UTF-8"
        ) from error


def _entries(node: Any, known: dict[int, float]) -> float:
    """Entries below a node; a reference counts again, and a loop without end."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        known[id(node)] = 1.0 + sum(_entries(x, known) for x in _below(node))
    return known[id(node)]


def _below(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _faults(node: Any) -> Iterator[str]:
    """Sentences about names that are given twice, and numbers that are misread."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                yield (
                    f"expected each name once, got {key.value!r} again; remove it "
                    f"from line {seen[key.value]} or line {line}"
                )
            seen[key.value] = line
    number = getattr(node, "tag", "").endswith((":int", ":float"))
    if number and _MISREAD.fullmatch(node.value):
        yield (
            f"expected a decimal number, got {node.value}, which YAML reads in base 60 "
            f"or 8; correct line {node.start_mark.line + 1}"
        )
    for child in _below(node):
        yield from _faults(child)
