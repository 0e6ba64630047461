"""Laws across chunks in two passes: measure the shared rows, then correct each chunk.

The first pass reads every chunk and adds up what it contributes to the rows that chunks
share: their totals, and how these answer to a multiplier of each row. One small system
gives the multipliers, and the second pass corrects each chunk when it is computed. If
bounds are at work, the first pass is repeated until the shared rows hold (Newton's
method on the dual problem).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon.datasets._across import addable, cut_of, with_sizes
from physcon.datasets._chunk import corrected, measured
from physcon.datasets._laws import Laws
from physcon.datasets._multipliers import Sums, added, multipliers_of, sums_of
from physcon.datasets._names import spread_names
from physcon.datasets._shared import Cut, Multipliers

with needs("data"):
    import dask.array
    from dask.base import compute
    from dask.delayed import delayed

_TOGETHER = 8


def shared_dim(data: Any, laws: Laws, names: Sequence[str]) -> str | None:
    """Return a dimension in several chunks along which the laws can be added up."""
    for dimension, sizes in data[names[0]].chunksizes.items():
        if len(sizes) > 1 and addable(data, laws, names, str(dimension)):
            return str(dimension)
    return None


def in_two_passes(data: Any, laws: Laws, names: Sequence[str], outer: str) -> Any:
    """Return the lazy dataset whose chunks obey laws that tie them together."""
    original = data
    data = with_sizes(data, laws, outer)
    lengths = data[names[0]].chunksizes[outer]
    stops = [int(stop) for stop in np.cumsum(lengths)]
    begins = [0, *stops[:-1]]
    cuts = [cut_of(data, laws, outer, a, b) for a, b in zip(begins, stops, strict=True)]
    parts = [data.isel({outer: cut.whole}) for cut in cuts]

    def measure(multipliers: Multipliers) -> Sums:
        return _measured(parts, cuts, laws, multipliers)

    multipliers = multipliers_of(measure, laws)
    fixed = data.copy()
    make = delayed(corrected, pure=True)
    blocks: list[Any] = [
        make(part, laws, cut, multipliers)
        for part, cut in zip(parts, cuts, strict=True)
    ]
    for name in [*names, *spread_names(data, laws)]:
        array = original[name]
        axis = array.dims.index(outer)
        dtype = array.dtype if array.dtype.kind == "f" else np.float64
        pieces = []
        for block, cut in zip(blocks, cuts, strict=True):
            shape = list(array.shape)
            shape[axis] = cut.stop - cut.start
            pieces.append(dask.array.from_delayed(block[name], tuple(shape), dtype))
        whole = dask.array.concatenate(pieces, axis=axis)
        fixed[name] = array.copy(data=whole)
        fixed[name].encoding = dict(array.encoding)
    return fixed


def _measured(
    parts: Sequence[Any], cuts: Sequence[Cut], laws: Laws, multipliers: Multipliers
) -> Sums:
    """Read all chunks, and add up their sums in groups, in the order of the chunks."""
    measure = delayed(_sums, pure=True)
    add = delayed(added, pure=True)
    sums: list[Any] = [
        measure(part, laws, cut, multipliers)
        for part, cut in zip(parts, cuts, strict=True)
    ]
    while len(sums) > 1:
        sums = [add(sums[k : k + _TOGETHER]) for k in range(0, len(sums), _TOGETHER)]
    (found,) = compute(sums[0])
    return found


def _sums(part: Any, laws: Laws, cut: Cut, multipliers: Multipliers) -> Sums:
    """Return the sums of one chunk."""
    return sums_of(measured(part, laws, cut, multipliers))
