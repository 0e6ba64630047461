"""Predictions in memory: fields with members first, and their standard deviations."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from physcon._predictions.names import Arrays, Dimensions, Names
from physcon.grid import Grid


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
        dtype: floating-point type of the fields in the file.
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


def batch_shape(data: Predictions) -> tuple[int, ...]:
    """Return the shape of everything but the space axes, members first."""
    return data.mean.shape[: data.mean.ndim - len(data.positions)]
