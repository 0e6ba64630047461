"""A mean and its spread, or an ensemble, in a file: which array and axis is what."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physcon._checks import require
from physcon.grid import Grid
from physcon.io import array_names, read_arrays, read_dimensions
from physcon.io.predictions import read_units

Arrays = dict[str, np.ndarray]
Dimensions = tuple[str, ...]
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


@dataclass(frozen=True)
class Names:
    """Names of the arrays in the file.

    Attributes:
        mean: predicted mean, ``(*batch, *x)``: space axes last.
        std: its standard deviation, same shape.
        variance: its variance, if there is no `std`.
        samples: an ensemble ``(members, *batch, *x)``, if there is no `mean`. In a file
            with named dimensions the members may be on another axis: see `member`.
        coordinates: one 1-D array per space axis; n values are nodes (the array holds
            point values), n + 1 values are cell faces (it holds cell averages).
        member: name of the dimension of the members, in a file that names dimensions;
            by default "member", "ensemble", "realization" and similar names.
    """

    mean: str = "mean"
    std: str = "std"
    variance: str = "variance"
    samples: str = "samples"
    coordinates: tuple[str, ...] | str = ("x",)
    member: str | None = None

    def axes(self) -> tuple[str, ...]:
        """Return `coordinates` as one name per space axis.

        A single text may hold several names: ``"x,y"``, ``"x y"`` or ``"[x, y]"``.
        """
        given = self.coordinates
        if isinstance(given, str):
            given = tuple(given.strip("[]() ").replace(",", " ").split())
        return tuple(name.strip(" '\"") for name in given)


class Spread(NamedTuple):
    """Standard deviations of distinct fields, and which of them each field has."""

    std: np.ndarray
    index: np.ndarray


@dataclass
class Predictions:
    """Predictions that were read from a file.

    Attributes:
        mean: the mean or the members; ``(members, *batch, *x)`` for an ensemble.
        std: standard deviation; ``(*batch, *x)``.
        spreads: names of the arrays of the file that hold the std or the variance.
        ensemble: whether `mean` holds members.
        member_axis: where the file has the axis of the members.
        positions: per space axis the nodes or the cell faces.
        faces: whether positions are faces.
        dims: names of the axes of `mean` in the order of this object, or None.
        present: the names of all arrays in the file, for messages.
    """

    mean: np.ndarray
    std: np.ndarray
    spreads: dict[str, np.dtype]
    ensemble: bool
    member_axis: int
    positions: list[np.ndarray]
    faces: bool
    dims: Dimensions | None
    present: list[str]
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one field."""
        return self.mean.shape[self.mean.ndim - len(self.positions) :]

    def grid(self) -> Grid:
        """Return the grid of one field."""
        return (
            Grid.cells(*self.positions) if self.faces else Grid.nodes(*self.positions)
        )

    def rows(self) -> Spread:
        """Return the stds as a list of fields, and the one that each field uses."""
        std = self.std.reshape(-1, *self.shape)
        count = self.mean.size // max(1, int(np.prod(self.shape)))
        return Spread(std, np.arange(count) % max(1, len(std)))

    def output(self, names: Names) -> Arrays:
        """Return the arrays to write, in the order of axes and the type of the file."""
        mean = self.mean.astype(self.dtype, copy=False)
        if self.ensemble:
            out = {names.samples: np.moveaxis(mean, 0, self.member_axis)}
            std = np.std(self.mean, axis=0, ddof=1, dtype=np.float64)
            for name, dtype in self.spreads.items():
                values = std**2 if name == names.variance else std
                out[name] = values.astype(dtype)
            return out
        out = {names.mean: mean}
        for name, dtype in self.spreads.items():
            squared = name == names.variance
            values = self.std.astype(np.float64) ** 2 if squared else self.std
            out[name] = values.astype(dtype, copy=False)
        return out


def read_predictions(path: str | Path, names: Names) -> Predictions:
    """Read the arrays named, and nothing else of the file.

    Raises:
        ValueError: an array is missing, or does not fit the others.
    """
    present = array_names(path)
    listed = ", ".join(sorted(present)) or "no arrays"
    for name in names.axes():
        require(
            name in present,
            f"coordinates {name!r}",
            listed,
            "name them by --names.coordinates",
        )
    _refuse_degrees(path, names)
    ensemble = names.mean not in present
    field = names.samples if ensemble else names.mean
    require(
        field in present,
        f"{names.mean!r} or {names.samples!r}",
        listed,
        "name the array by --names.mean or --names.samples",
    )
    spreads = [] if ensemble else [names.std, names.variance]
    spreads = [name for name in spreads if name in present]
    require(
        ensemble or bool(spreads),
        f"{names.std!r} or {names.variance!r}",
        listed,
        "name the array by --names.std or --names.variance",
    )
    arrays = read_arrays(path, [field, *spreads, *names.axes()])
    if ensemble:  # a std next to the members is kept consistent with them
        for name in (names.std, names.variance):
            if name in present:
                arrays |= read_arrays(path, [name])
    for name, array in arrays.items():
        require(
            array.dtype.kind in "fiu",
            f"real numbers in {name!r}",
            f"an array of {array.dtype}",
            "store real and imaginary parts as two arrays"
            if array.dtype.kind == "c"
            else "convert it to numbers",
        )
    dims = read_dimensions(path)
    return _assembled(arrays, dims, names, field, spreads, present)


def _refuse_degrees(path: str | Path, names: Names) -> None:
    """Refuse angles, whose integral is not that over a plane of degrees."""
    for name, unit in read_units(path, names.axes()).items():
        require(
            not unit.strip().lower().startswith("degree"),
            f"lengths along {name!r}",
            f"units {unit!r}",
            "degrees are no lengths: write the law as text, which uses areas on the "
            "sphere: physcon constrain FILE 'mean: {of: NAME, equals: VALUE}'",
        )


def target(integral: str, data: Predictions, path: str | Path) -> np.ndarray:
    """Return the totals, with axes that broadcast against those of the batch.

    In a file with named dimensions, an array of totals is matched by these names.
    """
    batch = batch_shape(data)
    try:
        total = np.asarray(float(integral))
        dims: Dimensions | None = ()
    except ValueError:
        require(
            integral in data.present,
            f"a number or an array {integral!r}",
            ", ".join(sorted(data.present)),
            "name an array of the file",
        )
        total = read_arrays(path, [integral])[integral]
        dims = read_dimensions(path, [integral]).get(integral)
    require(
        total.dtype.kind in "fiu" and bool(np.all(np.isfinite(total))),
        "a finite integral",
        "NaN or infinity" if total.dtype.kind == "f" else f"numbers of {total.dtype}",
        "fill the missing values or correct the numbers",
    )
    named = data.dims is not None and dims is not None and total.ndim > 0
    if named and data.dims is not None and dims is not None:
        batch_dims = data.dims[: len(batch)]
        strangers = [d for d in dims if d not in batch_dims]
        if not strangers:
            order = [dims.index(d) for d in batch_dims if d in dims]
            sizes = [
                n if d in dims else 1 for d, n in zip(batch_dims, batch, strict=True)
            ]
            return total.transpose(order).reshape(sizes).astype(np.float64)
        if any(d in batch_dims for d in dims):
            require(
                False,
                f"an integral with dimensions among {batch_dims}",
                dims,
                "reduce or rename its other dimensions",
            )
        places = _places(total.shape, batch)
        require(
            places <= 1,
            f"an integral with dimensions among {batch_dims}",
            dims,
            "its shape fits in several ways: rename its dimensions",
        )
    fits = total.ndim <= len(batch) and all(
        m in (1, n) for m, n in zip(total.shape[::-1], batch[::-1], strict=False)
    )
    require(
        fits,
        f"an integral that broadcasts to {batch}",
        total.shape,
        "pass one value per batch entry",
    )
    return total.astype(np.float64)


def batch_shape(data: Predictions) -> tuple[int, ...]:
    """Return the shape of everything but the space axes, members first."""
    return data.mean.shape[: data.mean.ndim - len(data.positions)]


def _places(shape: tuple[int, ...], batch: tuple[int, ...]) -> int:
    """Count the ways in which axes of `shape` can be axes of `batch`, in order."""
    if not shape:
        return 1
    first, rest = shape[0], shape[1:]
    return sum(_places(rest, batch[k + 1 :]) for k, n in enumerate(batch) if n == first)


def _assembled(
    arrays: Arrays,
    dims: dict[str, Dimensions],
    names: Names,
    field: str,
    spreads: list[str],
    present: list[str],
) -> Predictions:
    ensemble = field == names.samples and not spreads
    mean = arrays[field]
    for spread in spreads:
        require(
            arrays[spread].shape == mean.shape,
            f"{spread!r} of shape {mean.shape}",
            arrays[spread].shape,
            "pass one value per point",
        )
    for label in (field, *spreads):
        bad = int(np.sum(~np.isfinite(arrays[label])))
        require(
            bad == 0,
            f"finite values in {label!r}",
            f"{bad} NaN or infinite",
            "fill or drop them; a NetCDF file with a mask goes with a file of laws",
        )
    positions, faces = _positions(arrays, names, mean.shape)
    _check_order(dims.get(field), dims, names, mean.shape, faces, arrays)
    order = dims.get(field)
    member_axis = 0
    if ensemble:
        member_axis = _member_axis(order, names, mean.ndim - len(positions))
        mean = np.moveaxis(mean, member_axis, 0)
        if order is not None:
            others = [d for k, d in enumerate(order) if k != member_axis]
            order = (order[member_axis], *others)
        require(
            mean.shape[0] >= 2,
            "2 or more members",
            mean.shape[0],
            "pass a mean and a std instead",
        )
    # Written in place: a copy where the reader's array can't be written to.
    dtype = mean.dtype if mean.dtype.kind == "f" else np.dtype(np.float32)
    if arrays[field].dtype.kind in "iu" and arrays[field].dtype.itemsize > 2:
        dtype = np.dtype(np.float64)
    work = np.float64 if dtype.itemsize >= 8 else np.float32
    mean = np.require(mean.astype(work, copy=False), requirements=["C", "W"])
    kept = spreads
    if ensemble:
        kept = [n for n in (names.std, names.variance) if n in arrays]
        kept = [n for n in kept if arrays[n].shape == mean.shape[1:]]
    kinds = {name: _floating(arrays[name].dtype, dtype) for name in kept}
    if ensemble:
        std = np.std(mean, axis=0, ddof=1, dtype=np.float64).astype(work)
    else:
        std = _std(arrays, names, spreads[0], mean, dims, field)
    label = field if ensemble else spreads[0]
    bad = int(np.sum(std <= 0))
    require(
        bad == 0,
        f"a positive {label!r}",
        f"{bad} values <= 0",
        "pass a positive spread at every point",
    )
    return Predictions(
        mean, std, kinds, ensemble, member_axis, positions, faces, order, present, dtype
    )


def _std(
    arrays: Arrays,
    names: Names,
    spread: str,
    mean: np.ndarray,
    dims: dict[str, Dimensions],
    field: str,
) -> np.ndarray:
    std = arrays[spread]
    here, there = dims.get(field), dims.get(spread)
    if here is not None and there is not None and set(here) == set(there):
        require(
            here == there,
            f"{spread!r} with dimensions {here}",
            there,
            "transpose it to the order of the field",
        )
    bad = int(np.sum(std <= 0))
    require(
        bad == 0,
        f"a positive {spread!r}",
        f"{bad} values <= 0",
        "pass a positive spread at every point",
    )
    if spread == names.variance:
        std = np.sqrt(std.astype(np.float64))
    return np.require(std.astype(mean.dtype, copy=False), requirements=["C", "W"])


def _floating(dtype: np.dtype, other: np.dtype) -> np.dtype:
    return dtype if dtype.kind == "f" else other


def _member_axis(dims: Dimensions | None, names: Names, batch: int) -> int:
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


def _positions(
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


def _check_order(
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
    short = dimension.rpartition("/")[2].lower()
    return coordinates.rpartition("/")[2].lower().startswith(short)


def _anonymous(field: Dimensions) -> bool:
    """Whether the names of dimensions say nothing, as in ``phony_dim_0``."""
    return all(d.rpartition("_")[2].isdigit() for d in field)
