"""Which axes of a field are space and which holds the members of an ensemble."""

import numpy as np

from physcon._predictions.names import Arrays, Dimensions, Names
from physcon._require import require

_MEMBERS = (
    "member",
    "members",
    "ensemble",
    "ensemble_member",
    "ens",
    "realization",
    "realisation",
    "sample",
    "samples",
    "draw",
)


def member_axis_of(dims: Dimensions | None, names: Names, batch: int) -> int:
    """Return the axis of the members: by name, or the only one, or the first."""
    if dims is None:
        require(
            names.member is None,
            "a file that names its dimensions, for --names.member",
            "one without such names",
            "put the members on the first axis",
        )
        return 0
    if names.member is not None:
        require(
            names.member in dims[:batch],
            f"the members' dimension {names.member!r}",
            dims,
            "name a dimension of the ensemble",
        )
        return dims.index(names.member)
    known = [d for d in dims[:batch] if d.rpartition("/")[2].lower() in _MEMBERS]
    if len(known) == 1:
        return dims.index(known[0])
    anonymous = all(d.rpartition("_")[2].isdigit() for d in dims)
    require(
        batch == 1 or anonymous,
        f"one dimension of members, such as {_MEMBERS[0]!r}",
        dims,
        "name it by --names.member",
    )
    return 0


def space_positions(
    arrays: Arrays, names: Names, shape: tuple[int, ...]
) -> tuple[list[np.ndarray], bool]:
    """Return nodes or faces of every space axis, and whether they are faces."""
    axes = [arrays[name].astype(np.float64) for name in names.axes()]
    for name, a in zip(names.axes(), axes, strict=True):
        require(
            a.ndim == 1, f"1-D coordinates {name!r}", a.shape, "give one axis per name"
        )
        require(
            bool(np.all(np.diff(a) > 0)),
            f"increasing coordinates {name!r}",
            "unsorted or repeated ones",
            "sort the file along this axis",
        )
    space = shape[len(shape) - len(axes) :]
    sizes = tuple(a.size for a in axes)
    cells = tuple(n + 1 for n in space)
    faces = sizes == cells
    require(
        len(space) == len(axes) and (faces or sizes == space),
        f"coordinates of {space} (nodes) or {cells} (cell faces)",
        sizes,
        f"space axes come last, in the order {names.axes()}",
    )
    return axes, faces


def check_order(
    field: Dimensions | None,
    dims: dict[str, Dimensions],
    names: Names,
    shape: tuple[int, ...],
    faces: bool,
    arrays: Arrays,
) -> None:
    """Refuse a field whose space axes, known by name or by size, are not the last."""
    if field is None:
        return
    axes = names.axes()
    space = tuple(d for name in axes for d in dims.get(name, ()))
    remedy = "transpose the file (xarray: data.transpose), or see --names.coordinates"
    if len(space) == len(axes) and set(space) <= set(field):
        last = field[len(field) - len(space) :]
        require(last == space, f"last axes {space}", field, remedy)
        return
    # Faces have a dimension of their own. An axis is recognised by its size; where
    # another axis has that size as well, by a name that begins like the faces' name.
    first = len(field) - len(axes)
    for k, name in enumerate(axes):
        size = arrays[name].size - faces
        here = first + k
        rivals = [i for i in range(len(field)) if i != here and shape[i] == size]
        begins = _alike(field[here], name)
        wrong = [field[i] for i in rivals if _alike(field[i], name) and not begins]
        batch = any(i < first for i in rivals)
        doubtful = batch and not begins and not _anonymous(field)
        require(
            not wrong and not doubtful,
            f"a last axis named like {name!r}",
            f"dimensions {field}, of which several have {size} points",
            remedy,
        )


def _alike(dimension: str, coordinates: str) -> bool:
    """Whether the name of coordinates begins with the name of a dimension."""
    short = dimension.rpartition("/")[2].lower()
    return coordinates.rpartition("/")[2].lower().startswith(short)


def _anonymous(field: Dimensions) -> bool:
    """Whether the names of dimensions are only numbered, as in ``phony_dim_0``."""
    return all(d.rpartition("_")[2].isdigit() for d in field)
