"""Values of a function at points: the inputs of a model, or the values to predict."""

from typing import NamedTuple

from physcon._show import shown
from physcon._typing import Array, Float


class Observations(NamedTuple):
    """Values of one function at n points, in any order.

    Attributes:
        points: coordinates, ``(n, dim)``; (t, x) for the equations of this package. A
            batch of functions has a leading axis on both arrays.
        values: the function at the points, ``(n, c)``.
    """

    points: Float[Array, "*tasks n dim"]
    values: Float[Array, "*tasks n c"]

    __repr__ = shown

    @property
    def inputs(self) -> Float[Array, "*tasks n dim"]:
        """`points`, under its name in version 0.1."""
        return self.points

    @property
    def outputs(self) -> Float[Array, "*tasks n c"]:
        """`values`, under its name in version 0.1."""
        return self.values
