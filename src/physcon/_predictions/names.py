"""The names of the arrays in a file of predictions."""

from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]
Dimensions = tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """Names of the arrays in the file.

    Attributes:
        mean: predicted mean, ``(*batch, *x)``: space axes last.
        std: its standard deviation, same shape.
        variance: its variance, if there is no `std`.
        samples: an ensemble ``(members, *batch, *x)``, instead of a mean or next to
            it. In a file with named dimensions the members may be on another axis: see
            `member`.
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
