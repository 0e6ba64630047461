"""Numbers of the settings, shaped as fields over the points."""

from collections.abc import Sequence

import numpy as np

from physcon._checks import require

Numbers = Sequence[float]


def fill(state: Numbers, channels: int, name: str, x: np.ndarray) -> np.ndarray:
    """Shape a state as a column against points; one number stands for all variables."""
    require(
        len(state) in (1, channels),
        f"{channels} numbers in {name}",
        len(state),
        "pass one number for each variable",
    )
    column = np.broadcast_to(np.asarray(state, float), (channels,))
    return column.reshape((channels,) + (1,) * (x.ndim - 1))


def per_axis(values: Sequence, dimensions: int) -> list:
    require(
        len(values) in (1, dimensions),
        f"one number per axis ({dimensions})",
        values,
        "pass one number for each axis, or one for all axes",
    )
    return list(values) * (dimensions if len(values) == 1 else 1)


def square(x: np.ndarray, centre: Numbers) -> np.ndarray:
    place = np.reshape(per_axis(centre, len(x)), (-1,) + (1,) * (x.ndim - 1))
    return np.sum((x - place) ** 2, axis=0)


def angles(x: np.ndarray, box: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    return [2 * np.pi * (xi - a) / (b - a) for xi, a, b in zip(x, *box, strict=True)]
