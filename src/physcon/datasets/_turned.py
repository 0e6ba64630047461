"""Laws that tie all times of a cell, for files whose chunks hold a few times.

The values are copied to temporary files, which are read in tiles of a few cells with
all times. Each tile is constrained, and the new values are read in the order of the
file. Neither the memory nor the number of times that the file is read depends on its
size.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physcon._require import require
from physcon.datasets._apart import Blocks
from physcon.datasets._batches import free_dims
from physcon.datasets._block import constrain_block, with_values
from physcon.datasets._errors import report_on
from physcon.datasets._laws import Laws
from physcon.datasets._names import changed_names, spread_names
from physcon.datasets._problem import problem_of
from physcon.datasets._report import Report
from physcon.datasets._tiles import Tiles

_COPIED = 16  # times as many values as a tile has are copied at once


class Turned:
    """Constrains tiles of cells, in a file that is written time by time.

    Args:
        data: the dataset, whose values are read when they are copied.
        laws: the laws.
        outer: the dimension along which the file is read and written.
        fixing: whether the values will change; otherwise this is an audit.
        most: number of values of a tile.
        folder: where temporary files lie; default: the folder for temporary files.
    """

    def __init__(
        self,
        data: Any,
        laws: Laws,
        outer: str,
        *,
        fixing: bool,
        most: int,
        folder: Path | None,
    ) -> None:
        self.data = data
        self.laws = laws
        self.outer = outer
        self._fixing = fixing
        self._folder = folder
        changed = [*changed_names(laws), *spread_names(data, laws)]
        self._names = list(dict.fromkeys(changed))
        free = free_dims(data, laws, changed_names(laws))
        self._most = most
        self.cuts = tiles_of(data, changed_names(laws), free, most)
        self._tiles = _products(self.cuts)
        values = sum(int(data[name].size) for name in self._names)
        self._ahead = max(1, _COPIED * most * data.sizes[outer] // max(1, values))
        self._files: dict[str, Tiles] = {}
        self._next = slice(0, 0)
        self._values: dict[str, np.ndarray] = {}
        self._report: Report | None = None

    def prepare(self, blocks: Blocks, reading: Callable) -> None:
        """Copy all values, and constrain every tile.

        Raises:
            OSError: the disk is full.
        """
        self._files = {name: self._file_of(name) for name in self._copied()}
        with reading() as advance:
            for where in self._several(blocks):
                for name, file in self._files.items():
                    file.write(where, self.data[name].isel({self.outer: where}).values)
                advance(where.stop - where.start)
        self._report = self._solved(reading)

    def hold(self, where: slice) -> None:
        """Do nothing: values are read from temporary files."""

    def fixed(self, where: slice) -> tuple[Any, Any, Report]:
        """Return a block before and after; its report is part of the whole one."""
        before = self.data.isel({self.outer: where})
        after = before
        if self._fixing:
            after = before.copy()
            for name, values in self._read(where).items():
                after[name] = with_values(before[name], values)
        return before, after, Report(())

    def note(self, where: slice, after: Any) -> None:
        """Do nothing: the report covers whole tiles."""

    def whole(self, report: Report) -> Report:
        """Return the report of all tiles, and remove the temporary files."""
        for file in self._files.values():
            file.close()
        return report if self._report is None else self._report

    def _copied(self) -> list[str]:
        """Return the variables that change, and large ones that the laws name."""
        divided = {self.outer, *self.cuts}
        text = repr(self.laws)

        def is_copied(name: str) -> bool:
            array = self.data[name]
            large = array.size > self._most and repr(name) in text
            return divided <= set(array.dims) and (name in self._names or large)

        return [name for name in map(str, self.data.data_vars) if is_copied(name)]

    def _file_of(self, name: str) -> Tiles:
        array = self.data[name]
        kind = array.dtype
        if name in self._names and kind.kind != "f":
            kind = np.dtype(np.float64)
        sizes = {str(d): n for d, n in array.sizes.items()}
        folder = Path(tempfile.gettempdir()) if self._folder is None else self._folder
        free = shutil.disk_usage(folder).free
        require(
            array.size * kind.itemsize <= free,
            f"{array.size * kind.itemsize / 1e6:.3g} MB of free space in {folder}",
            f"{free / 1e6:.3g} MB",
            "remove files there, or choose another folder for the output; an audit "
            "uses the folder of the environment variable TMPDIR",
        )
        return Tiles(list(sizes), sizes, kind, self.outer, self._tiles, self._folder)

    def _several(self, blocks: Blocks) -> Iterator[slice]:
        """Yield the indices of several blocks, so that few large pieces are copied."""
        start = 0
        for where, _ in blocks:
            last = where.stop == self.data.sizes[self.outer]
            if last or where.stop - start >= self._ahead:
                yield slice(start, where.stop)
                start = where.stop

    def _read(self, where: slice) -> dict[str, np.ndarray]:
        """Return the new values of a block, and read the next blocks with it."""
        if not self._next.start <= where.start < where.stop <= self._next.stop:
            least = max(where.stop, where.start + self._ahead)
            stop = min(least, self.data.sizes[self.outer])
            self._next = slice(where.start, stop)
            self._values = {n: self._files[n].read(self._next) for n in self._names}
        first = self._next.start
        inner = slice(where.start - first, where.stop - first)
        found = {}
        for name, values in self._values.items():
            axis = self.data[name].dims.index(self.outer)
            found[name] = values[(*[slice(None)] * axis, inner)]
        return found

    def _solved(self, reading: Callable) -> Report:
        """Constrain all tiles, and return their report."""
        count = self.data.sizes[self.outer]
        numbers = iter(range(len(self._tiles)))
        with reading() as advance:

            def below(dims: Sequence[str], where: dict[str, slice]) -> Report:
                """Return the report of all tiles at these indices."""
                if not dims:
                    found = self._tile(next(numbers), where)
                    advance(count / len(self._tiles))
                    return found
                first = dims[0]
                whole: Report | None = None
                for cut in self.cuts[first]:
                    new = below(dims[1:], where | {first: cut})
                    both = [new] if whole is None else [whole, new]
                    whole = Report.joined(both, first, [0, cut.start][-len(both) :])
                assert whole is not None
                return whole

            return below(list(self.cuts), {})

    def _tile(self, number: int, where: dict[str, slice]) -> Report:
        """Constrain a tile, and return its report."""
        part = self.data.isel(where)
        for name, file in self._files.items():
            part[name] = part[name].variable.copy(data=file.read_tile(number))
        if not self._fixing:
            problem = problem_of(part, self.laws, with_spread=False)
            return report_on(self.laws, problem, problem.mean, None)
        fixed, report = constrain_block(part, self.laws)
        for name in self._names:
            self._files[name].write_tile(number, fixed[name].values)
        return report


def tiles_of(
    data: Any, names: Sequence[str], free: Sequence[str], most: int
) -> dict[str, list[slice]]:
    """Return how dimensions are cut, so that a tile of all has at most `most` values.

    Args:
        data: the dataset.
        names: the variables that are divided.
        free: dimensions of all of them along which they can be divided.
        most: number of values of a tile; one index of each dimension may have more.
    """
    cells = 1
    for dim in free:
        cells *= max(1, data.sizes[dim])
    values = sum(int(data[name].size) for name in names)
    left = max(1, most * cells // max(1, values))
    steps = {}
    for dim in reversed(free):
        steps[dim] = min(left, max(1, data.sizes[dim]))
        left = max(1, left // steps[dim])
        if steps[dim] < data.sizes[dim]:
            left = 1
    return {
        dim: [
            slice(k, min(k + steps[dim], data.sizes[dim]))
            for k in range(0, data.sizes[dim], steps[dim])
        ]
        for dim in free
    }


def _products(cuts: Mapping[str, Sequence[slice]]) -> list[dict[str, slice]]:
    """Return all tiles, in the order of nested loops over the dimensions."""
    found: list[dict[str, slice]] = [{}]
    for dim, several in cuts.items():
        found = [tile | {dim: cut} for tile in found for cut in several]
    return found
