"""Datasets in dask chunks: constrained chunk by chunk when they are computed."""

from collections.abc import Callable
from typing import Any

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._batches import batch_dim
from physcon.datasets._initial import with_first_targets
from physcon.datasets._laws import Laws
from physcon.datasets._names import spread_names
from physcon.datasets._needed import small
from physcon.datasets._passes import in_two_passes, shared_dim
from physcon.datasets._perturb import check_divisible

with needs("data"):
    import xarray as xr


def lazily(data: Any, laws: Laws, names: list[str], constrained: Callable) -> Any:
    """Constrain dask chunks one by one, when they are computed.

    Args:
        data: the dataset in chunks.
        laws: the laws.
        names: the variables that the laws are about.
        constrained: returns a loaded dataset in which the laws hold.
    """
    original = data
    data, laws = with_first_targets(data, laws)
    outer = batch_dim(data, laws, names)
    shared = shared_dim(data, laws, names)
    divided = outer is not None and len(data[names[0]].chunksizes.get(outer, (1,))) > 1
    if shared is not None and not divided:
        check_divisible(data, laws, [shared])
        less = small(data, laws)
        whole = {d: -1 for d in less.dims if d != shared}
        fixed = in_two_passes(less.chunk(whole), laws, names, shared)
        names = [*names, *spread_names(data, laws)]
        return original.assign({name: fixed[name] for name in names})
    require(
        outer is not None,
        "laws that can be added up over chunks, or a dimension along which no law sums",
        "neither",
        "load the dataset first (data.load())",
    )
    check_divisible(data, laws, [outer])
    whole = {d: -1 for d in data.dims if d != outer}
    if not divided:  # such as columns of a budget, in chunks of time
        whole[outer] = _length(data, names, str(outer))
    split = data.chunk(whole)
    fixed = original.copy()

    def block(part: Any) -> Any:
        return constrained(part, laws)[names]

    names = [*names, *spread_names(data, laws)]
    template = split[names]
    result = xr.map_blocks(block, small(split, laws), template=template)
    for name in names:
        fixed[name] = result[name].transpose(*data[name].dims)
        fixed[name].attrs = dict(data[name].attrs)
        fixed[name].encoding = dict(data[name].encoding)
    return fixed


def _length(data: Any, names: list[str], outer: str) -> int:
    """Return how many indices of a dimension make a chunk of about 10^6 values."""
    values = sum(int(data[n].size) for n in names)
    return max(1, 10**6 * data.sizes[outer] // max(1, values))
