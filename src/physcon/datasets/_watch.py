"""What accompanies the work on each block: a progress bar and a page's figures."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from physcon._extras import needs
from physcon._files import write_text
from physcon._page import check_path
from physcon.datasets._gather import Gathered, gatherers
from physcon.datasets._laws import Laws
from physcon.datasets._names import changed_names
from physcon.datasets._report import Report

ENDINGS = (".html", ".json", ".txt")


class Watch:
    """Shows progress, and gathers what the page of a report shows.

    Args:
        report: the file of the report, or None; it ends with .html, .json or .txt.
        progress: whether a bar is shown, if standard error is a terminal.
    """

    def __init__(self, report: Path | None = None, *, progress: bool = False) -> None:
        if report is not None:
            check_path(report, ENDINGS)
        self._path = report
        self._progress = progress
        self._gathered: list[tuple[str, Gathered]] = []
        self._data: Any = None
        self._bar: Any = None

    @property
    def needs_values(self) -> bool:
        """Whether the values of every block are needed, for a page."""
        return bool(self._gathered)

    @contextlib.contextmanager
    def over(
        self, data: Any, laws: Laws, outer: str | None, *, after: bool
    ) -> Iterator["Watch"]:
        """Watch the work on all blocks of a dataset along a dimension."""
        self._data = data
        if self._path is not None and self._path.suffix.lower() == ".html":
            self._gathered = gatherers(data, laws, changed_names(laws), after=after)
        if not self._progress:
            yield self
            return
        with needs("cli"):
            from tqdm import tqdm

        total = 1 if outer is None else data.sizes[outer]
        # Without a terminal, such as in a pipe, tqdm shows nothing.
        with tqdm(total=total, disable=None, unit=outer or "block") as self._bar:
            yield self

    @contextlib.contextmanager
    def reading(self, count: int, unit: str) -> Iterator[Callable[[int], Any]]:
        """Watch a pass that only reads; yield what is told how much has been read."""
        if not self._progress:
            yield lambda n: None
            return
        with needs("cli"):
            from tqdm import tqdm

        words: Any = {"desc": "reading", "unit": unit, "leave": False}
        with tqdm(total=count, disable=None, **words) as bar:
            yield bar.update

    def block(
        self, values: tuple[Any, ...], outer: str | None, start: int, count: int
    ) -> None:
        """Take note of a finished block.

        Args:
            values: the dataset before and, unless it is an audit, after.
            outer: the dimension of blocks.
            start: the first index of the block along it.
            count: how many indices it has.
        """
        for _, gathered in self._gathered:
            gathered.add(values, outer, start)
        if self._bar is not None:
            self._bar.update(count)

    def write(self, report: Report, title: str, lead: list[str]) -> None:
        """Write the file of the report, in the format that its ending says."""
        if self._path is None:
            return
        ending = self._path.suffix.lower()
        if ending == ".json":
            write_text(self._path, report.to_json())
        elif ending == ".txt":
            write_text(self._path, str(report))
        else:
            from physcon.datasets._show import page_of

            page_of(title, lead, report, self._data, self._gathered).write(self._path)
