"""Sparse matrices on the host, as arrays of rows, columns and entries."""

from typing import NamedTuple

import numpy as np

Ints = np.ndarray


class Coordinates(NamedTuple):
    """A matrix from the elements of a field (columns) to an array's (rows).

    Attributes:
        shape: of the array.
        row, column, entry: one for each stored entry; repeated ones are added.
    """

    shape: tuple[int, ...]
    row: Ints
    column: Ints
    entry: np.ndarray

    @property
    def size(self) -> int:
        """The number of rows."""
        return int(np.prod(self.shape, dtype=int))

    def reshaped(self, shape: tuple[int, ...]) -> "Coordinates":
        """The same rows in an array of another shape."""
        return self._replace(shape=tuple(shape))

    def times(self, factor: np.ndarray | float) -> "Coordinates":
        """Every row times its factor."""
        each = np.broadcast_to(np.asarray(factor, float), self.shape).reshape(-1)
        return self._replace(entry=self.entry * each[self.row])

    def chosen(self, index: Ints) -> "Coordinates":
        """The rows with the given numbers; -1 is a row of zeros."""
        flat = index.reshape(-1)
        row = np.flatnonzero(flat >= 0)
        ones = np.ones(row.size)
        return Coordinates(index.shape, row, flat[row], ones).after(self)

    def moved(self, target: Ints, shape: tuple[int, ...]) -> "Coordinates":
        """Rows added up: row r goes to row `target[r]`, or nowhere if that is -1."""
        to = target.reshape(-1)[self.row]
        kept = to >= 0
        moved = Coordinates(tuple(shape), to[kept], self.column[kept], self.entry[kept])
        return moved.merged()

    def plus(self, other: "Coordinates") -> "Coordinates":
        """The sum of two matrices."""
        pairs = zip(self[1:], other[1:], strict=True)
        return Coordinates(self.shape, *(np.concatenate(p) for p in pairs)).merged()

    def after(self, first: "Coordinates") -> "Coordinates":
        """The product self @ first, where `first` makes the array that self acts on."""
        order = np.argsort(first.row, kind="stable")
        starts = np.searchsorted(first.row[order], np.arange(first.size + 1))
        counts = np.diff(starts)[self.column]
        offsets = np.arange(counts.sum()) - np.repeat(
            np.cumsum(counts) - counts, counts
        )
        place = order[np.repeat(starts[self.column], counts) + offsets]
        return Coordinates(
            self.shape,
            np.repeat(self.row, counts),
            first.column[place],
            np.repeat(self.entry, counts) * first.entry[place],
        ).merged()

    def merged(self) -> "Coordinates":
        """Repeated entries added up, and zeros left out; ordered by row."""
        width = int(self.column.max(initial=0)) + 1
        keys, place = np.unique(self.row * width + self.column, return_inverse=True)
        entry = np.bincount(place, self.entry, keys.size)
        kept = entry != 0
        row, column = np.divmod(keys[kept], width)
        return Coordinates(self.shape, row, column, entry[kept])


def stacked(parts: list[Coordinates]) -> Coordinates:
    """The rows of several matrices, one after the other."""
    starts = np.cumsum([0] + [part.size for part in parts])
    row = [part.row + start for part, start in zip(parts, starts, strict=False)]
    return Coordinates(
        (int(starts[-1]),),
        np.concatenate(row),
        np.concatenate([part.column for part in parts]),
        np.concatenate([part.entry for part in parts]),
    )


def identity(shape: tuple[int, ...]) -> Coordinates:
    """The field itself."""
    index = np.arange(int(np.prod(shape, dtype=int)))
    return Coordinates(tuple(shape), index, index, np.ones(index.size))
