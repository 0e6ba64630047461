"""The times of the snapshots of a run, which may start at any time."""

from typing import NamedTuple

import numpy as np

from physcon._checks import require
from physcon.fv._clock import clock
from physcon.studies.solver.settings import SolveConfig


class Instants(NamedTuple):
    """The times of the snapshots, and the lengths of the intervals between them.

    Attributes:
        times: of all snapshots, the initial one included, in float64 for a
            state of any dtype, since a run may start at 1.7e9 s.
        lengths: in the dtype of the state, one fewer. They are counted from the start,
            so that they do not depend on it.
    """

    times: np.ndarray
    lengths: np.ndarray


def instants(config: SolveConfig) -> Instants:
    """The times at which a run is saved.

    Raises:
        ValueError: for times that are equal once they are rounded.
    """
    elapsed = np.linspace(0.0, config.end - config.start, config.snapshots + 1)
    times = config.start + elapsed
    require(
        bool((np.diff(times) > 0).all()),
        f"{config.snapshots} times that differ in float64",
        f"{config.start!r} to {config.end!r}",
        "ask for fewer snapshots, or count time from a later origin",
    )
    lengths = clock(elapsed[1:], 0.0, config.dtype).lengths
    return Instants(times, np.asarray(lengths))
