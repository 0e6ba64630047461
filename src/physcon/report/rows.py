"""Write rows of any content as an aligned text table and as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from physcon._files import write_json, write_text


def rows_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format rows with the same keys as aligned text, with numbers to four digits.

    >>> print(rows_text([{"method": "a", "error": 0.123456}]))
    method   error
         a  0.1235
    """
    cells = [list(rows[0])]
    for row in rows:
        cells.append(
            [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()]
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [[c.rjust(w) for c, w in zip(line, widths, strict=True)] for line in cells]
    return "\n".join("  ".join(line) for line in lines)


def write_rows(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``table.txt`` and ``table.json``; each file is complete or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "table.json", list(rows))
    write_text(folder / "table.txt", rows_text(rows))
