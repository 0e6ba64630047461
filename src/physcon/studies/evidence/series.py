"""A hierarchy of series from a file: what is the sum of what."""

import csv
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._typing import Float, Int
from physcon.conditioning import LinearConstraint, from_matrix
from physcon.studies.evidence.hierarchy_settings import HierarchyConfig

_REMEDY = (
    "pass a CSV file; for the monthly nights of tourists in Australia in the package "
    "pyhts, run pip install --no-deps --target real pyhts and pass --data "
    "real/pyhts/data/Tourism.csv"
)


class Hierarchy(NamedTuple):
    """All series of a hierarchy, level by level, the total first.

    Attributes:
        series: the values, ``(t, n)``.
        summing: which bottom series each series is the sum of, ``(n, m)``.
        level: the number of the level of each series, ``(n)``.
        names: of the levels.
    """

    series: Float[np.ndarray, "t n"]
    summing: Float[np.ndarray, "n m"]
    level: Int[np.ndarray, " n"]
    names: tuple[str, ...]

    @property
    def law(self) -> LinearConstraint:
        """One row for each series above the bottom: it equals the sum of its parts."""
        groups = len(self.summing) - self.summing.shape[1]
        rows = np.hstack([np.eye(groups), -self.summing[:groups]])
        return from_matrix(jnp.asarray(rows, jnp.float32), 0.0)


def read_hierarchy(config: HierarchyConfig, data: Path | None) -> Hierarchy:
    """Read the bottom series and add them up.

    Raises:
        ValueError: if there is no file, if it lacks a column of labels, or if it is
            too short for the origins.
    """
    require(data is not None, "--data FILE with series", "no file", _REMEDY)
    path = Path(str(data))
    require(path.is_file(), f"a file {path}", "none", _REMEDY)
    with path.open(newline="") as file:
        head, *lines = list(csv.reader(file))
    for name in config.levels:
        require(name in head, f"a column {name} in {path}", head[:8], "set levels")
    start = max(head.index(name) for name in config.levels) + 1
    bottom = np.array([[float(x) for x in line[start:]] for line in lines]).T
    earliest = config.window + 2 * config.horizon + 2 * config.period
    shortest = config.first + config.horizon
    require(len(bottom) >= shortest, f"{shortest} values", len(bottom), "lower first")
    require(
        config.first >= earliest,
        f"{earliest} values at first",
        config.first,
        "raise first or lower window",
    )
    require(
        config.horizon <= config.period,
        f"a horizon of at most one season, {config.period}",
        config.horizon,
        "lower horizon",
    )
    columns = [head.index(name) for name in config.levels]
    labels = [tuple(line[c] for c in columns) for line in lines]
    return _summed(bottom, labels, config.levels)


def _summed(
    bottom: Float[np.ndarray, "t m"], labels: list[tuple[str, ...]], names: tuple
) -> Hierarchy:
    """All series; one that has a single part is left out, except at the bottom."""
    rows = [np.ones(len(labels))]
    level = [0]
    for depth in range(1, len(names)):
        groups = [label[:depth] for label in labels]
        for group in dict.fromkeys(groups):
            rows.append(np.array([float(one == group) for one in groups]))
            level.append(depth)
    above = np.array(rows)
    level = np.array(level)
    kept = above.sum(axis=1) > 1
    summing = np.vstack([above[kept], np.eye(len(labels))])
    level = np.concatenate([level[kept], np.full(len(labels), len(names))])
    return Hierarchy(bottom @ summing.T, summing, level, ("total", *names))
