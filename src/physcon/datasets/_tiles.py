"""A variable in a temporary file, which is written by time and read by place.

The chunks of a store often hold a few times of the whole globe, whereas some laws need
all times of a few cells. In this file the values of each tile (a few cells) lie one
after the other, in the order of time, so that both ways of access are fast.
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Tile = Mapping[str, slice]


class Tiles:
    """One variable on disk, divided into tiles.

    The file has no name, so that nothing is left of it if the process is killed.

    Args:
        dims: the dimensions of the variable.
        sizes: their lengths.
        dtype: of the values in the file.
        along: the dimension along which the variable is written.
        tiles: which indices of other dimensions each tile has; together all of them.
        folder: where the file lies; default: the folder for temporary files.
    """

    def __init__(
        self,
        dims: Sequence[str],
        sizes: Mapping[str, int],
        dtype: np.dtype,
        along: str,
        tiles: Sequence[Tile],
        folder: Path | None,
    ) -> None:
        self._dims = tuple(dims)
        self._sizes = {d: sizes[d] for d in dims}
        self._dtype = dtype
        self._order = (along, *(d for d in dims if d != along))
        self._along = along
        self._tiles = tiles
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        counts = [math.prod(self._shape(tile)) for tile in tiles]
        self._starts = np.cumsum([0, *counts]).tolist()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def write(self, where: slice, values: np.ndarray) -> None:
        """Write the values of all tiles at some indices of the dimension `along`."""
        values = self._transposed(values.astype(self._dtype, copy=False))
        for number, tile in enumerate(self._tiles):
            self._seek(number, where.start)
            self._file.write(np.ascontiguousarray(values[self._of(tile)]).data)

    def read(self, where: slice) -> np.ndarray:
        """Return the values of all tiles at some indices of the dimension `along`."""
        count = where.stop - where.start
        shape = [count, *(self._sizes[d] for d in self._order[1:])]
        values = np.empty(shape, self._dtype)
        for number, tile in enumerate(self._tiles):
            self._seek(number, where.start)
            values[self._of(tile)] = self._next(self._shape(tile, count))
        return self._back(values)

    def write_tile(self, number: int, values: np.ndarray) -> None:
        """Write all values of one tile."""
        values = self._transposed(values.astype(self._dtype, copy=False))
        self._seek(number, 0)
        self._file.write(np.ascontiguousarray(values).data)

    def read_tile(self, number: int) -> np.ndarray:
        """Return all values of one tile."""
        self._seek(number, 0)
        return self._back(self._next(self._shape(self._tiles[number])))

    def _shape(self, tile: Tile, count: int | None = None) -> tuple[int, ...]:
        """Return the shape of a tile in the file, for some indices along `along`."""
        sizes = self._sizes | {d: s.stop - s.start for d, s in tile.items()}
        shape = tuple(sizes[d] for d in self._order)
        return shape if count is None else (count, *shape[1:])

    def _of(self, tile: Tile) -> tuple[slice, ...]:
        return tuple(tile.get(d, slice(None)) for d in self._order)

    def _seek(self, number: int, index: int) -> None:
        row = math.prod(self._shape(self._tiles[number], 1))
        place = self._starts[number] + index * row
        self._file.seek(place * self._dtype.itemsize)

    def _next(self, shape: tuple[int, ...]) -> np.ndarray:
        values = np.empty(shape, self._dtype)
        found = self._file.readinto(values.data.cast("B")) if values.size else 0
        if found != values.nbytes:
            raise OSError("a temporary file is shorter than what was written to it")
        return values

    def _transposed(self, values: np.ndarray) -> np.ndarray:
        return values.transpose([self._dims.index(d) for d in self._order])

    def _back(self, values: Any) -> np.ndarray:
        return values.transpose([self._order.index(d) for d in self._dims])
