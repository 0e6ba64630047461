"""What a page shows of a variable: map, profile, and the sliders that move them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from physcon._page.pack import factors
from physcon.datasets._axes import angles, is_member, is_time

_BYTES = 2_000_000  # of all maps of a page, before they become text
_MOST_FRAMES = 40
_MOST_LEVELS = 12
_MOST_PIXELS = 64_800
_NUMBERS = 30_000  # of the profiles of a variable


class Plan(NamedTuple):
    """What is kept of one variable.

    Attributes:
        name: of the variable.
        frames: which indices of a dimension are kept, for at most two dimensions.
        fixed: dimensions of which only the first index is shown.
        map_dims: the dimensions of rows and columns of maps, or None without maps.
        by: how many rows and columns of cells become one pixel.
        profile: the dimension of profiles, or None.
        step: how many cells along it become one point.
        moves: how many of the sliders move the profile.
    """

    name: str
    frames: dict[str, np.ndarray]
    fixed: tuple[str, ...]
    map_dims: tuple[str, str] | None
    by: tuple[int, int]
    profile: str | None
    step: int
    moves: int


def plan_of(data: Any, name: str, share: int) -> Plan:
    """Return what to keep of a variable.

    Args:
        data: the dataset.
        name: name of the variable.
        share: number of variables that share the page.
    """
    dims = tuple(map(str, data[name].dims))
    sizes = data[name].sizes
    across = _map_dims(data, name)
    others = [d for d in dims if d not in (across or ())]
    spatial = [d for d in others if not is_time(data, d) and not is_member(d)]
    if across is None:
        others = [d for d in others if d not in spatial[-1:]]
    order = sorted(others, key=lambda d: (not is_time(data, d), is_member(d)))
    sliders = [d for d in order if sizes[d] > 1][:2]
    frames = {}
    left = _MOST_FRAMES
    for d in sliders:
        most = left if not frames else max(1, min(_MOST_LEVELS, left))
        frames[d] = _spaced(sizes[d], most if len(sliders) < 2 else min(most, 20))
        left = max(1, 60 // len(frames[d]))
    count = int(np.prod([len(k) for k in frames.values()], dtype=int))
    by = (1, 1)
    if across is not None:
        pixels = int(min(_MOST_PIXELS, _BYTES / share / (3 * count)))
        by = factors((sizes[across[0]], sizes[across[1]]), max(400, pixels))
    profile = _profile_dim(spatial, across, sizes)
    points = max(20, min(200, _NUMBERS // (2 * count)))
    step = -(-sizes[profile] // points) if profile else 1
    moves = len([d for d in frames if d != profile])
    if profile in frames and list(frames)[-1] != profile:
        moves = 0  # only sliders before it can move a profile
    fixed = tuple(d for d in order if d not in frames)
    return Plan(name, frames, fixed, across, by, profile, step, moves)


def _map_dims(data: Any, name: str) -> tuple[str, str] | None:
    """Return the dimensions of rows and columns: latitude and longitude, if known."""
    array = data[name]
    dims = tuple(map(str, array.dims))
    found: list[str] = []
    for kind in ("latitude", "longitude"):
        for coordinate in angles(data, name, kind)[:1]:
            found += [str(d) for d in coordinate.dims if d not in found]
    if len(found) == 2 and all(array.sizes[d] > 1 for d in found):
        one_each = all(len(a.dims) == 1 for a in angles(data, name, "latitude")[:1])
        rows, columns = found if one_each else [d for d in dims if d in found]
        return rows, columns
    free = [
        d
        for d in dims
        if not is_time(data, d) and not is_member(d) and array.sizes[d] > 1
    ]
    return (free[-2], free[-1]) if len(free) >= 2 else None


def _profile_dim(
    spatial: Sequence[str], across: tuple[str, str] | None, sizes: Any
) -> str | None:
    """Return levels if there are some, else the rows of a map."""
    levels = [d for d in spatial if sizes[d] > 1]
    if levels:
        return levels[-1] if across is None else levels[0]
    return across[0] if across else None


def _spaced(size: int, most: int) -> np.ndarray:
    """Return at most `most` indices, equally spaced, with both ends."""
    if size <= most:
        return np.arange(size)
    return np.unique(np.linspace(0, size - 1, max(most, 2)).round().astype(int))
