"""Variables in the groups of a file, under names such as ``surface/ts``."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from physcon._extras import needs
from physcon.datasets._marks import open_marked

_REFERENCES = ("bounds", "cell_measures", "formula_terms")


def groups_of(names: Iterable[str]) -> list[str]:
    """Return the groups of variables whose names are joined with "/"."""
    found = {name.rpartition("/")[0] for name in names}
    return sorted(found - {""})


def store_groups(path: Path) -> list[str]:
    """Return the groups of a Zarr store that hold arrays."""
    with needs("data"):
        import zarr

    store = zarr.open_group(path, mode="r", use_consolidated=False)
    every = store.members(max_depth=None)
    return groups_of(name for name, item in every if isinstance(item, zarr.Array))


@contextmanager
def with_groups(
    data: Any, path: Path, groups: Sequence[str], odd: Sequence[str], options: Any
) -> Iterator[Any]:
    """Yield a dataset with the variables of all groups, which are opened for it.

    A dimension of a group has the name that it has in the file, unless the group has
    its own coordinate or another length under that name. Then it is a dimension of its
    own, such as ``surface/lat``.

    Args:
        data: the variables outside of groups.
        path: the file or store.
        groups: their names.
        odd: variables that are left out, with the names of their groups.
        options: how the file is opened.
    """
    with ExitStack() as stack:
        for group in groups:
            start = f"{group}/"
            inner = [n.removeprefix(start) for n in odd if n.startswith(start)]
            part = open_marked(path, group=group, drop_variables=inner, **options)
            data = _joined(data, stack.enter_context(part), start)
        yield data


def _joined(data: Any, part: Any, start: str) -> Any:
    """Return a dataset with the variables of a group added."""
    own = [
        dim
        for dim in part.dims
        if dim in part.variables or data.sizes.get(dim) not in (None, part.sizes[dim])
    ]
    attributes = {}
    for name, variable in part.variables.items():
        for key in _REFERENCES:
            if key in variable.attrs:
                words = str(variable.attrs[key]).split()
                new = [start + w if w in part.variables else w for w in words]
                attributes.setdefault(name, {})[key] = " ".join(new)
    for name, found in attributes.items():
        part[name].attrs.update(found)
    names = {name: f"{start}{name}" for name in [*part.variables, *own]}
    renamed = part.rename(names)
    found = {n: renamed.variables[n] for n in renamed.data_vars}
    coordinates = {n: renamed.variables[n] for n in renamed.coords}
    return data.assign(found).assign_coords(coordinates)
