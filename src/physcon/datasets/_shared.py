"""What chunks tell each other about the rows of laws that tie them together."""

from typing import Any, NamedTuple

import numpy as np

from physcon.datasets._assemble import LawRows
from physcon.datasets._laws import Budget, Total


class Cut(NamedTuple):
    """Which part of a dataset a chunk is.

    Attributes:
        dimension: that is divided.
        start: first index of the chunk.
        stop: index after its last one.
        before: how many indices were added before the chunk.
        after: how many indices were added after it.
        count: length of the dimension.
    """

    dimension: str
    start: int
    stop: int
    before: int
    after: int
    count: int

    @property
    def whole(self) -> slice:
        """The indices of the chunk and of what was added."""
        return slice(self.start - self.before, self.stop + self.after)

    @property
    def own(self) -> slice:
        """The indices of the chunk among these."""
        return slice(self.before, self.before + self.stop - self.start)


class Shared(NamedTuple):
    """What a chunk contributes to the rows of one law that it shares with others.

    Attributes:
        law: place of the law in the list of laws.
        count: number of rows over all chunks.
        number: of each row of the chunk, among these.
        total: sum of the chunk's values in each row.
        size: sum of the absolute terms.
        value: right-hand side of each row.
        std: its standard deviation.
        weight: sum of the chunk's weights in each row of a mean; None for other laws.
    """

    law: int
    count: int
    number: np.ndarray
    total: np.ndarray
    size: np.ndarray
    value: np.ndarray
    std: np.ndarray
    weight: np.ndarray | None


class Measured(NamedTuple):
    """What a chunk adds to all shared rows.

    Attributes:
        laws: for each shared law.
        slope: derivative of the totals by the multipliers, sparse.
        prior: the same if no value were at a bound; None unless stds are updated.
    """

    laws: list[Shared]
    slope: Any
    prior: Any


class Multipliers(NamedTuple):
    """What the chunks need to know of each other.

    Attributes:
        of: multipliers of the shared rows of each law.
        start: number of the first row of each law.
        inverse: of the system of all shared rows, sparse; None if it is not needed.
    """

    of: dict[int, np.ndarray]
    start: dict[int, int]
    inverse: Any = None


def is_shared(law: Any, data: Any, dimension: str) -> bool:
    """Whether the rows of a law see several chunks of a dimension."""
    if isinstance(law, Total):
        return dimension in (law.over or ())
    return isinstance(law, Budget) and law.time == dimension


def row_numbers(made: LawRows, cut: Cut) -> np.ndarray:
    """Return the numbers of the rows of a law among those of all chunks."""
    if not made.shape:
        return made.known
    place = list(np.unravel_index(made.known, tuple(made.shape.values())))
    if cut.dimension in made.shape:  # a budget: row k is the step to time k + 1
        axis = list(made.shape).index(cut.dimension)
        place[axis] = place[axis] + cut.start - cut.before
    sizes = row_sizes(made, cut)
    return np.ravel_multi_index(tuple(place), tuple(sizes.values()))


def row_count(made: LawRows, cut: Cut) -> int:
    """Return the number of rows of a law over all chunks."""
    return int(np.prod(list(row_sizes(made, cut).values()), dtype=int))


def row_sizes(made: LawRows, cut: Cut) -> dict[str, int]:
    """Return the dimensions of the rows of a law over all chunks, and their sizes."""
    sizes = dict(made.shape)
    if cut.dimension in sizes:
        sizes[cut.dimension] = cut.count - 1
    return sizes
