"""Gather what a page shows block by block, in memory that is bounded."""

from typing import Any

import numpy as np

from physcon.datasets._laws import Laws
from physcon.datasets._plans import Plan, plan_of
from physcon.datasets._where import cell_sizes

MOST_VARIABLES = 6


class Gathered:
    """Sums over pixels and over the points of a profile, for each frame.

    Attributes:
        plan: what is kept.
        weighted: whether profiles are means by the area of cells.
    """

    def __init__(self, data: Any, plan: Plan, laws: Laws, names: tuple[str, ...]):
        self.plan = plan
        self._names = names
        sizes = data[plan.name].sizes
        frames = [len(kept) for kept in plan.frames.values()]
        if plan.map_dims is not None:
            pairs = zip(plan.map_dims, plan.by, strict=True)
            pixels = [-(-sizes[d] // by) for d, by in pairs]
            self._maps = np.zeros((len(names), 2, *frames, *pixels))
        if plan.profile is not None:
            points = -(-sizes[plan.profile] // plan.step)
            self._profiles = np.zeros((len(names), 2, *frames[: plan.moves], points))
        self._area, self.weighted = self._areas(data, laws)

    def add(self, blocks: tuple[Any, ...], outer: str | None, start: int) -> None:
        """Add a block of the dataset: the values before and, if known, after."""
        plan = self.plan
        for k, block in enumerate(blocks):
            array = block[plan.name].reset_coords(drop=True)
            first = start if outer in plan.fixed else 0
            if first:
                continue
            array = array.isel({d: 0 for d in plan.fixed})
            if plan.map_dims is not None:
                self._add_maps(self._maps[k], array, outer, start)
            if plan.profile is not None:
                self._add_profiles(self._profiles[k], array, outer, start)

    def maps(self) -> list[np.ndarray]:
        """Return maps before and after, ``(*frames, rows, columns)``."""
        return [_mean(sums) for sums in self._maps]

    def profiles(self) -> list[np.ndarray]:
        """Return profiles before and after, ``(*frames, points)``."""
        return [_mean(sums) for sums in self._profiles]

    def _areas(self, data: Any, laws: Laws) -> tuple[Any, bool]:
        plan = self.plan
        across = plan.map_dims
        if across is None or plan.profile is None or plan.profile in across:
            return None, False
        try:
            return cell_sizes(data, plan.name, across, None, laws), True
        except ValueError:
            return None, False

    def _add_maps(self, sums: np.ndarray, array: Any, outer: str | None, start: int):
        plan = self.plan
        rows, columns = plan.map_dims or ("", "")
        array, where = _frames(array, plan.frames, outer, start)
        if array is None:
            return
        values = array.transpose(*plan.frames, rows, columns).values.astype(np.float64)
        present = np.isfinite(values)
        groups = [
            (np.arange(array.sizes[d]) + (start if d == outer else 0)) // by
            for d, by in zip((rows, columns), plan.by, strict=True)
        ]
        both = (np.where(present, values, 0.0), present.astype(np.float64))
        for part, total in zip(both, sums, strict=True):
            small, at = _grouped(part, groups)
            total[np.ix_(*where, *at)] += small

    def _add_profiles(
        self, sums: np.ndarray, array: Any, outer: str | None, start: int
    ) -> None:
        plan = self.plan
        along = plan.profile or ""
        moving = dict(list(plan.frames.items())[: plan.moves])
        array, where = _frames(array, moving, outer, start)
        if array is None:
            return
        rest = [d for d in map(str, array.dims) if d not in moving and d != along]
        weight = 1.0 if self._area is None else self._area
        weight = weight * array.notnull()
        both = ((array.fillna(0.0) * weight).sum(rest), weight.sum(rest))
        first = start if along == outer else 0
        group = (np.arange(array.sizes[along]) + first) // plan.step
        for part, total in zip(both, sums, strict=True):
            values = part.transpose(*moving, along).values.astype(np.float64)
            small, at = _grouped(values, [group])
            total[np.ix_(*where, *at)] += small


def gatherers(
    data: Any, laws: Laws, names: list[str], *, after: bool
) -> list[tuple[str, Gathered]]:
    """Return what gathers the first variables of a dataset that have dimensions."""
    shown = [n for n in names if data[n].size > 1][:MOST_VARIABLES]
    kinds = ("before", "after") if after else ("before",)
    return [
        (n, Gathered(data, plan_of(data, n, len(shown)), laws, kinds)) for n in shown
    ]


def _frames(
    array: Any, frames: dict[str, np.ndarray], outer: str | None, start: int
) -> tuple[Any, list[np.ndarray]]:
    """Return the frames that a block holds, and their positions among all."""
    positions = []
    for dim, kept in frames.items():
        first = start if dim == outer else 0
        inside = (kept >= first) & (kept < first + array.sizes[dim])
        here = np.flatnonzero(inside)
        if not here.size:
            return None, []
        positions.append(here)
        array = array.isel({dim: kept[here] - first})
    return array, positions


def _grouped(
    values: np.ndarray, groups: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return sums over contiguous groups of the last axes, and the groups' numbers."""
    numbers = []
    for k, group in enumerate(groups):
        begins = np.flatnonzero(np.diff(group, prepend=-1))
        values = np.add.reduceat(values, begins, k - len(groups))
        numbers.append(group[begins])
    return values, numbers


def _mean(sums: np.ndarray) -> np.ndarray:
    total, count = sums
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)
