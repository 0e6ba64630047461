"""How a dataset is divided into blocks, of which one is in memory at a time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from physcon.datasets._across import addable
from physcon.datasets._apart import Apart
from physcon.datasets._batches import batch_dim, free_dims
from physcon.datasets._block import with_values
from physcon.datasets._laws import Laws
from physcon.datasets._names import changed_names, spread_names
from physcon.datasets._perturb import check_divisible
from physcon.datasets._report import Report
from physcon.datasets._tied import Tied
from physcon.datasets._turned import Turned

Work = Apart | Tied | Turned
VALUES_AT_ONCE = 1_000_000
_LARGE = 32  # times as many values are held in memory, if chunks are so large
_CHUNKS_AT_ONCE = 4  # times as many values, if the chunks of a file are so large


def work_on(
    data: Any,
    laws: Laws,
    *,
    fixing: bool,
    stored: Mapping[str, int] | None = None,
    folder: Path | None = None,
) -> Work:
    """Return how to treat a dataset in blocks.

    Blocks that no law ties together are preferred, unless the chunks of a file make
    them too large. Then it is divided along a dimension along which the laws add up, or
    copied to temporary files, from which such blocks can be read.

    Args:
        data: the dataset.
        laws: the laws.
        fixing: whether values are changed; otherwise the dataset is audited.
        stored: lengths of the chunks of the file along dimensions.
        folder: where temporary files lie.
    """
    names = changed_names(laws)
    if _count(data, names) <= VALUES_AT_ONCE:
        return Apart(data, laws, batch_dim(data, laws, names), fixing=fixing)
    work = _divided(data, laws, names, fixing, stored or {}, folder)
    if fixing:
        tiles = isinstance(work, Turned)
        check_divisible(data, laws, work.cuts if tiles else [work.outer])
    return work


def _divided(
    data: Any,
    laws: Laws,
    names: list[str],
    fixing: bool,
    stored: Mapping[str, int],
    folder: Path | None,
) -> Work:
    """Return how to treat a dataset in several blocks."""
    outer = batch_dim(data, laws, names)
    values = _count(data, names)

    def least(dimension: str) -> int:
        """Return the number of values in a block of one chunk."""
        size = max(1, data.sizes[dimension])
        return min(stored.get(dimension, 1), size) * (values // size)

    common = [d for d in map(str, data[names[0]].dims) if data.sizes[d] > 1]
    common = [d for d in common if all(d in data[name].dims for name in names)]
    best = min(common, key=least, default=None)
    if outer is None or least(outer) > _CHUNKS_AT_ONCE * VALUES_AT_ONCE:
        tied = [d for d in common if addable(data, laws, names, d)]
        shared = min(tied, key=least, default=None)
        if shared is not None and (outer is None or least(shared) < least(outer)):
            return Tied(data, laws, names, shared, fixing=fixing)
        free = free_dims(data, laws, names)
        outer = min(free, key=least, default=None)
        if outer is not None and best is not None and least(best) < least(outer):
            return Turned(
                data, laws, best, fixing=fixing, most=VALUES_AT_ONCE, folder=folder
            )
    return Apart(data, laws, outer, fixing=fixing)


def block_length(data: Any, laws: Laws, outer: str) -> int:
    """Return how many indices of a dimension to constrain at once."""
    size = max(1, data.sizes[outer])
    per_index = max(1, _count(data, changed_names(laws)) // size)
    return max(1, VALUES_AT_ONCE // per_index)


def places_of(work: Work, chunk: int = 1) -> list[slice]:
    """Return the indices of the blocks of a dataset, in whole chunks of a file."""
    if work.outer is None:
        return [slice(None)]
    step = block_length(work.data, work.laws, work.outer)
    step = max(chunk, step - step % chunk)
    return _cut(slice(0, work.data.sizes[work.outer]), step) or [slice(None)]


def chunk_of(work: Work, stored: Mapping[str, int]) -> int:
    """Return the length of a file's chunk, or 1 if it has many values."""
    if work.outer is None:
        return 1
    chunk = stored.get(work.outer, 1)
    length = block_length(work.data, work.laws, work.outer)
    return chunk if chunk <= _LARGE * length else 1


def done(work: Work, where: slice) -> tuple[Any, Any, Report]:
    """Return a block before and after, and its report.

    A block that is long, because the chunks of a file are, is treated in pieces.
    """
    pieces = pieces_of(work, where)
    outer = work.outer
    if outer is None or len(pieces) <= 1:
        return work.fixed(where)
    work.hold(where)
    before = work.data.isel({outer: where})
    found = [work.fixed(piece) for piece in pieces]
    starts = [piece.start - (where.start or 0) for piece in pieces]
    whole = Report.joined([f[2] for f in found], outer, starts)
    after = before.copy()
    for name in [*changed_names(work.laws), *spread_names(before, work.laws)]:
        axis = before[name].dims.index(outer)
        values = [f[1][name].values for f in found]
        after[name] = with_values(before[name], np.concatenate(values, axis))
    return before, after, whole


def pieces_of(work: Work, where: slice) -> list[slice]:
    """Return the pieces of a block that are solved at once."""
    if work.outer is None or where.start is None:
        return [where]
    return _cut(where, block_length(work.data, work.laws, work.outer))


def blocks_of(work: Work, chunk: int = 1) -> list[tuple[slice, list[slice]]]:
    """Return the blocks of a dataset, and the pieces of each."""
    return [(place, pieces_of(work, place)) for place in places_of(work, chunk)]


def joined(whole: Report | None, new: Report, outer: str | None, start: int) -> Report:
    """Return the report of all blocks up to a new one."""
    if whole is None:
        return new
    return Report.joined([whole, new], outer, [0, start])


def _cut(where: slice, step: int) -> list[slice]:
    starts = range(where.start, where.stop, step)
    return [slice(start, min(start + step, where.stop)) for start in starts]


def _count(data: Any, names: list[str]) -> int:
    return sum(int(data[name].size) for name in names)
