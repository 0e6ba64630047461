"""The known totals: a number, or an array of the file, one total per field."""

from pathlib import Path

import numpy as np

from physcon._predictions.fields import Predictions, batch_shape
from physcon._predictions.names import Dimensions
from physcon._predictions.read import refuse_dates
from physcon._require import require
from physcon.io import read_arrays, read_dimensions


def target(integral: str, data: Predictions, path: str | Path) -> np.ndarray:
    """Return the totals, with axes that broadcast against the axes of the batch.

    In a file with named dimensions, an array of totals is matched by these names.
    """
    batch = batch_shape(data)
    total, dims = _given(integral, data.present, path)
    require(
        total.dtype.kind in "fiu" and bool(np.all(np.isfinite(total))),
        "a finite integral",
        "NaN or infinity" if total.dtype.kind == "f" else f"numbers of {total.dtype}",
        "fill the missing values or correct the numbers",
    )
    if data.dims is not None and dims is not None and total.ndim > 0:
        batch_dims = data.dims[: len(batch)]
        if set(dims) <= set(batch_dims):
            return _by_name(total, dims, batch_dims, batch)
        _check_unnamed(total.shape, dims, batch_dims, batch)
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


def _given(
    integral: str, present: list[str], path: str | Path
) -> tuple[np.ndarray, Dimensions | None]:
    """Return the number, or the array of the file and the names of its dimensions."""
    try:
        return np.asarray(float(integral)), ()
    except ValueError:
        require(
            integral in present,
            f"a number or an array {integral!r}",
            ", ".join(sorted(present)),
            "name an array of the file",
        )
    refuse_dates(path, [integral])
    total = read_arrays(path, [integral])[integral]
    return total, read_dimensions(path, [integral]).get(integral)


def _by_name(
    total: np.ndarray,
    dims: Dimensions,
    batch_dims: Dimensions,
    batch: tuple[int, ...],
) -> np.ndarray:
    """Return the totals with the batch's dimensions, of size 1 where they have none."""
    order = [dims.index(d) for d in batch_dims if d in dims]
    sizes = [n if d in dims else 1 for d, n in zip(batch_dims, batch, strict=True)]
    return total.transpose(order).reshape(sizes).astype(np.float64)


def _check_unnamed(
    shape: tuple[int, ...],
    dims: Dimensions,
    batch_dims: Dimensions,
    batch: tuple[int, ...],
) -> None:
    """Refuse foreign names, unless all are foreign and the shape fits in one way."""
    if any(d in batch_dims for d in dims):
        require(
            False,
            f"an integral with dimensions among {batch_dims}",
            dims,
            "reduce or rename its other dimensions",
        )
    require(
        _places(shape, batch) <= 1,
        f"an integral with dimensions among {batch_dims}",
        dims,
        "its shape fits in several ways: rename its dimensions",
    )


def _places(shape: tuple[int, ...], batch: tuple[int, ...]) -> int:
    """Count the ways in which axes of `shape` can be axes of `batch`, in order."""
    if not shape:
        return 1
    first, rest = shape[0], shape[1:]
    return sum(_places(rest, batch[k + 1 :]) for k, n in enumerate(batch) if n == first)
