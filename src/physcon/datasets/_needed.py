"""The variables of a dataset that laws may read."""

from typing import Any

from physcon.datasets._laws import Laws
from physcon.datasets._names import changed_names, spread_names


def small(data: Any, laws: Laws) -> Any:
    """Return the dataset without large variables that no law reads."""
    needed = _needed(data, laws)
    return data.drop_vars([n for n in data.data_vars if n not in needed])


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


class Source:
    """Reads parts of a dataset along a dimension, without variables that no law reads.

    Args:
        data: the dataset, in memory, in a file or in dask chunks.
        laws: the laws.
        outer: the dimension that is divided, or None.
    """

    def __init__(self, data: Any, laws: Laws, outer: str | None) -> None:
        self._data = data
        self._laws = laws
        self._outer = outer
        self._names = [*changed_names(laws), *spread_names(data, laws)]
        self._lazy = any(v.chunks is not None for v in data.variables.values())
        self._held: tuple[slice, Any] | None = None

    def part(self, where: slice) -> Any:
        """Return the part at some indices."""
        if self._outer is None:
            return self._loaded(self._data)
        if self._held is not None:
            known, data = self._held
            if known.start <= where.start and where.stop <= known.stop:
                shift = known.start
                inner = slice(where.start - shift, where.stop - shift)
                return data.isel({self._outer: inner})
        return self._loaded(self._data.isel({self._outer: where}))

    def hold(self, where: slice) -> None:
        """Read a part whose pieces are used next: a chunk of a file is read once."""
        self._held = None
        if self._outer is None:
            return
        data = self._loaded(self._data.isel({self._outer: where}))
        for name in self._names:
            data[name].load()
        self._held = (where, data)

    def _loaded(self, data: Any) -> Any:
        """Return a part in memory; values of a file are read when they are used."""
        return small(data, self._laws).compute() if self._lazy else data
