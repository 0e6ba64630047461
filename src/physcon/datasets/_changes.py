"""How a variable changed: in all, at each time, and in the cells that changed most."""

from typing import Any

import numpy as np

from physcon.datasets._axes import is_time
from physcon.datasets._entries import MOST_CELLS, Along, Cell, VariableReport
from physcon.datasets._labels import labels_of, places_of


def change_of(
    data: Any,
    name: str,
    before: np.ndarray,
    after: np.ndarray,
    std: np.ndarray,
    *,
    metric: bool,
) -> VariableReport:
    """Summarise the change of a variable, from flat values before and after."""
    array = data[name]
    present = ~np.isnan(array.values.astype(np.float64)).ravel()
    change = np.where(present, np.abs(after - before), 0.0)
    relative = np.where(std > 0, change / np.where(std > 0, std, 1.0), 0.0)
    points = int(present.sum())
    return VariableReport(
        name,
        str(array.attrs.get("units", "")),
        points,
        float(change.sum() / max(1, points)),
        float(change.max(initial=0.0)),
        float(relative.max(initial=0.0)),
        float(relative @ relative),
        float(np.linalg.norm(change)),
        metric,
        _cells(array, before, after, change if metric else relative, relative),
        _per_time(data, name, change, relative),
    )


def _per_time(
    data: Any, name: str, change: np.ndarray, relative: np.ndarray
) -> Along | None:
    """Return the change at each time, for a variable that has times."""
    array = data[name]
    time = next((d for d in map(str, array.dims) if is_time(data, d)), None)
    if time is None or not array.size:
        return None
    axis = array.dims.index(time)
    rest = tuple(k for k in range(array.ndim) if k != axis)
    changes = change.reshape(array.shape)
    scaled = relative.reshape(array.shape)
    values = {
        "largest_change": changes.max(rest).tolist(),
        "largest_in_std": scaled.max(rest).tolist(),
        "chi_squared": (scaled**2).sum(rest).tolist(),
        "norm": np.sqrt((changes**2).sum(rest)).tolist(),
    }
    return Along(time, labels_of(data, time), values)


def _cells(
    array: Any,
    before: np.ndarray,
    after: np.ndarray,
    size: np.ndarray,
    relative: np.ndarray,
) -> list[Cell]:
    """Return the values that changed most, the largest first."""
    most = min(MOST_CELLS, size.size)
    if not most:
        return []
    first = np.argpartition(size, size.size - most)[size.size - most :]
    order = first[np.argsort(-size[first], kind="stable")]
    order = [int(k) for k in order if size[k] > 0]
    places = places_of(array, order)
    return [
        Cell(place, float(before[k]), float(after[k]), float(relative[k]))
        for k, place in zip(order, places, strict=True)
    ]
