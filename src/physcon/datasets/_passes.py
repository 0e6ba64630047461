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
from physcon.datasets._chunk import corrected
from physcon.datasets._laws import Budget, Laws, Total
from physcon.datasets._multipliers import multipliers_of
from physcon.datasets._names import ensemble_dims, spread_names
from physcon.datasets._rows import summed_dims
from physcon.datasets._shared import Cut, is_shared
from physcon.datasets._where import cell_sizes

with needs("data"):
    import dask.array
    from dask.delayed import delayed


def shared_dim(data: Any, laws: Laws, names: Sequence[str]) -> str | None:
    """Return a dimension in several chunks along which the laws can be added up."""
    for dimension, sizes in data[names[0]].chunksizes.items():
        tied = [law for law in laws.laws if dimension in summed_dims(law, data)]
        every = all(dimension in data[name].dims for name in names)
        addable = all(is_shared(law, data, str(dimension)) for law in tied)
        columns = [law for law in tied if isinstance(law, Budget)]
        short = all(law.per == "total" for law in columns)
        members = dimension in ensemble_dims(data, laws)
        if len(sizes) > 1 and every and addable and short and not members:
            return str(dimension)
    return None


def in_two_passes(data: Any, laws: Laws, names: Sequence[str], outer: str) -> Any:
    """Return the lazy dataset whose chunks obey laws that tie them together."""
    data = _with_widths(data, laws, outer)
    cuts = _cuts(data, laws, names, outer)
    parts = [
        data.isel({outer: slice(c.start - c.before, c.stop + _after(c, laws, data))})
        for c in cuts
    ]
    multipliers = multipliers_of(parts, cuts, laws)
    fixed = data.copy()
    make = delayed(corrected, pure=True)
    blocks: list[Any] = [
        make(part, laws, cut, multipliers)
        for part, cut in zip(parts, cuts, strict=True)
    ]
    for name in [*names, *spread_names(data, laws)]:
        array = data[name]
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


def _cuts(data: Any, laws: Laws, names: Sequence[str], outer: str) -> list[Cut]:
    """Return the chunks; a budget sees one more time before and after each."""
    lengths = data[names[0]].chunksizes[outer]
    stops = np.cumsum(lengths)
    budget = any(isinstance(law, Budget) and law.time == outer for law in laws.laws)
    count = data.sizes[outer]
    return [
        Cut(outer, int(b - n), int(b), int(budget and b > n), count)
        for n, b in zip(lengths, stops, strict=True)
    ]


def _after(cut: Cut, laws: Laws, data: Any) -> int:
    """Return how many indices to add after a chunk."""
    budget = any(
        isinstance(law, Budget) and law.time == cut.dimension for law in laws.laws
    )
    return int(budget and cut.stop < cut.count)


def _with_widths(data: Any, laws: Laws, outer: str) -> Any:
    """State the widths of cells along the divided dimension, for totals over it."""
    for law in laws.laws:
        if not isinstance(law, Total) or outer not in (law.over or ()):
            continue
        if law.weights is None and f"{outer}_bnds" not in data.variables:
            widths = cell_sizes(data, law.of, (outer,), None, laws)
            if widths.dims == (outer,):
                w = widths.values
                pair = np.stack([np.zeros_like(w), w], -1)
                data = data.assign({f"{outer}_bnds": ((outer, "_two"), pair)})
    return data
