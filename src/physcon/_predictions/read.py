"""Read the named arrays of a file of predictions, and refuse unusable ones."""

from collections.abc import Iterable
from pathlib import Path

from physcon._predictions.assemble import assembled
from physcon._predictions.fields import Predictions
from physcon._predictions.names import Arrays, Names
from physcon._require import require
from physcon.io import array_names, read_arrays, read_dimensions
from physcon.io.predictions import read_units


def read_predictions(
    path: str | Path, names: Names, *, members: bool = False
) -> Predictions:
    """Read the arrays named, and nothing else of the file.

    Args:
        path: the file.
        names: the names of its arrays.
        members: read the members of an ensemble even if the file has a mean as well.

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
    ensemble = members or names.mean not in present
    field = names.samples if ensemble else names.mean
    require(
        field in present,
        f"{names.mean!r} or {names.samples!r}",
        listed,
        "name the array by --names.mean or --names.samples",
    )
    both = [name for name in (names.std, names.variance) if name in present]
    spreads = [] if ensemble else both
    require(
        ensemble or bool(spreads),
        f"{names.std!r} or {names.variance!r}",
        listed,
        "name the array by --names.std or --names.variance",
    )
    refuse_dates(path, [field, *spreads])
    arrays = read_arrays(path, [field, *spreads, *names.axes()])
    if ensemble:  # a std next to the members is kept consistent with them
        for name in both:
            arrays |= read_arrays(path, [name])
    _check_numbers(arrays)
    dims = read_dimensions(path)
    return assembled(arrays, dims, names, field, spreads, present)


def refuse_dates(path: str | Path, wanted: Iterable[str]) -> None:
    """Refuse dates, which NetCDF files store as numbers since a day."""
    for name, unit in read_units(path, wanted).items():
        require(
            " since " not in unit.lower(),
            f"real numbers in {name!r}",
            f"dates ({unit})",
            "name another array, or remove its units if these are numbers",
        )


def _check_numbers(arrays: Arrays) -> None:
    """Refuse arrays that do not hold real numbers."""
    for name, array in arrays.items():
        parts = "store real and imaginary parts as two arrays"
        require(
            array.dtype.kind in "fiu",
            f"real numbers in {name!r}",
            f"an array of {array.dtype}",
            parts if array.dtype.kind == "c" else "convert it to numbers",
        )


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
