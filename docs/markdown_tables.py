"""One table in Markdown, followed by a line that says how it was made."""

from collections.abc import Sequence
from typing import Any


def markdown(lines: Sequence[Sequence[str]], made: str) -> str:
    """A table whose first line is its head, and the line below it."""
    head, *rest = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([head, "|" + " --- |" * len(lines[0]), *rest, "", made])


def made_by(content: dict[str, Any], spread: str) -> str:
    """Command, day, machine, versions and seed of a file of evidence."""
    about = content["provenance"]
    versions = about["versions"]
    return (
        f"`{content['command']}`; {about['started'][:10]}, {about['cores']} cores of "
        f"{content['processor']}, jax {versions['jax']}, numpy {versions['numpy']}, "
        f"{spread}."
    )
