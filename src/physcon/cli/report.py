"""`physcon report`: print the table of a finished run."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """The run folder."""
    report = ArgumentParser(description="Print the table of a finished run.")
    report.add_argument("folder", type=Path, help="a run folder")
    return report


def main(options: Namespace) -> None:
    """Print table.txt."""
    from physcon._checks import require

    table = options.folder / "table.txt"
    require(
        table.is_file(),
        "a finished run",
        f"no {table}",
        "finish it: physcon run ... --resume",
    )
    print(table.read_text(), end="")
