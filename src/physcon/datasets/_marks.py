"""Marks of missing values in another precision than the values they mark.

A file may say ``missing_value = 1e20`` in double precision for values in single
precision, where no value equals it. NetCDF's own tools compare in the type of the
variable, and so does this module.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._require import require

with needs("data"):
    import xarray as xr

_MARKS = ("_FillValue", "missing_value")


def open_marked(path: Path, **options: Any) -> Any:
    """Open a dataset without decoding times; marks are compared as said above.

    Args:
        path: the file or store.
        options: others of `xarray.open_dataset`.
    """
    times: Any = {"decode_times": False, "decode_timedelta": False}
    data = xr.open_dataset(path, **options, **times)
    if not any(rounded_marks(v, v.encoding) for v in data.variables.values()):
        return data
    data.close()
    stored = xr.open_dataset(path, decode_cf=False, **options)
    for variable in stored.variables.values():
        variable.attrs.update(rounded_marks(variable, variable.attrs))
    return xr.decode_cf(stored, **times)


def rounded_marks(variable: Any, attributes: Any) -> dict[str, Any]:
    """Return the marks of a variable that differ from what its type can hold.

    Args:
        variable: with the type of the stored values, now or in its encoding.
        attributes: where the marks are.
    """
    dtype = np.dtype(variable.encoding.get("dtype", variable.dtype))
    if dtype.kind != "f":
        return {}
    found = {}
    for key in _MARKS:
        mark = np.asarray(attributes.get(key, 0.0))
        if mark.dtype.kind != "f":
            continue
        with np.errstate(over="ignore"):
            rounded = mark.astype(dtype)
        if np.any(rounded != mark) and np.all(np.isfinite(rounded)):
            found[key] = rounded[()]
    return found


def check_marks(data: Any, names: Sequence[str]) -> None:
    """Raise ValueError for values in memory that a mark should have hidden.

    `xarray.open_dataset` compares marks in their own precision.
    """
    for name in names:
        variable = data[name].variable
        for key, mark in rounded_marks(variable, variable.encoding).items():
            number = int(np.sum(np.isin(variable.values, mark)))
            require(
                number == 0,
                f"missing values of {name!r} as NaN",
                f"{number} values of {mark!s}, its {key} in another precision",
                f"mask them: data[{name!r}].where(data[{name!r}] != {mark!r})",
            )
