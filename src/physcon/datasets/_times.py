"""The dimension of time along which a law starts from its first value."""

from collections.abc import Sequence
from typing import Any

from physcon._require import require
from physcon.datasets._axes import is_time


def time_of(data: Any, name: str, over: Sequence[str]) -> str:
    """Return the one dimension of time that is not summed over."""
    times = [d for d in map(str, data[name].dims) if d not in over and is_time(data, d)]
    require(
        len(times) == 1,
        f"one dimension of time of {name!r}, for equals: initial",
        times,
        "name a variable of targets instead",
    )
    return times[0]
