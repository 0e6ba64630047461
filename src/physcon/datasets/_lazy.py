"""Datasets in dask chunks: constrained chunk by chunk when they are computed."""

from collections.abc import Callable
from typing import Any

from physcon._checks import require
from physcon._extras import needs
from physcon.datasets._batches import batch_dim
from physcon.datasets._laws import Laws
from physcon.datasets._names import spread_names

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
    outer = batch_dim(data, laws, names)
    require(
        outer is not None,
        "a dimension along which no law sums, for a dataset in chunks",
        "none",
        "load the dataset first (data.load())",
    )
    whole = {d: -1 for d in data.dims if d != outer}
    split = data.chunk(whole)
    fixed = data.copy()

    def block(part: Any) -> Any:
        return constrained(part, laws)[names]

    names = [*names, *spread_names(data, laws)]
    template = split[names]
    small = split.drop_vars(
        [n for n in split.data_vars if n not in _needed(split, laws)]
    )
    result = xr.map_blocks(block, small, template=template)
    for name in names:
        fixed[name] = result[name].transpose(*data[name].dims)
        fixed[name].attrs = dict(data[name].attrs)
        fixed[name].encoding = dict(data[name].encoding)
    return fixed


def _needed(data: Any, laws: Laws) -> set[str]:
    """Return the variables that laws may read: all but large ones never mentioned."""
    stated = ("formula_terms", "cell_measures", "bounds", "coordinates")
    attrs = [{**v.encoding, **v.attrs} for v in data.variables.values()]
    words = " ".join(str(a[k]) for a in attrs for k in stated if k in a).split()
    text = repr(laws) + repr(words)
    return {
        str(n)
        for n in data.data_vars
        if repr(str(n)) in text or data[n].chunks is None or data[n].size < 10**7
    }
