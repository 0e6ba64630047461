"""The multipliers for which the rows that chunks share hold."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._laws import Between, Laws, Order, title
from physcon.datasets._shared import Measured, Multipliers

with needs("data"):
    import scipy.sparse as sp

_PASSES = 40
_MET = 1e-13
_MOST_ROWS = 4096  # for new standard deviations


class Sums(NamedTuple):
    """What several chunks add to all shared rows.

    Attributes:
        start: number of the first row of each law.
        total: sums of the values, with the weights of the rows.
        size: sums of the absolute terms.
        value: right-hand sides.
        std: their standard deviations.
        weight: sums of the weights of means.
        mean: which rows are means.
        seen: which rows see a value.
        slope: derivative of the totals by the multipliers, sparse.
        prior: the same if no value were at a bound; zero unless stds are updated.
    """

    start: dict[int, int]
    total: np.ndarray
    size: np.ndarray
    value: np.ndarray
    std: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    seen: np.ndarray
    slope: Any
    prior: Any


class _System(NamedTuple):
    """All shared rows: what they miss, and the slope of their totals."""

    missing: np.ndarray
    noise: np.ndarray
    size: np.ndarray
    slope: Any
    prior: Any
    start: dict[int, int]


def multipliers_of(measure: Callable[[Multipliers], Sums], laws: Laws) -> Multipliers:
    """Return the multipliers for which the shared rows hold.

    Args:
        measure: reads all chunks and returns their sums for given multipliers.
        laws: all laws.
    """
    linear = not any(isinstance(law, Between | Order) for law in laws.laws)
    system = _system(measure(Multipliers({}, {})))
    dual = np.zeros(len(system.missing))
    for _ in range(_PASSES):
        left = system.missing - system.noise * dual
        if np.all(np.abs(left) <= _MET * system.size):
            return _with_inverse(system, dual)
        step = _solved(system, left)
        change = system.slope @ step + system.noise * step
        if linear:
            _check_linear(system, left - change, laws)
            return _with_inverse(system, dual + step)
        size = 1.0
        norm = np.linalg.norm(left / system.size)
        for _ in range(20):
            trial = dual + size * step
            new = _system(measure(_by_law(system, trial)))
            rest = (new.missing - new.noise * trial) / new.size
            if np.linalg.norm(rest) < norm:
                break
            size *= 0.5
        else:
            break
        system, dual = new, trial
    _check_linear(system, system.missing - system.noise * dual, laws)
    return _with_inverse(system, dual)


def sums_of(piece: Measured) -> Sums:
    """Return what one chunk adds to all shared rows."""
    start: dict[int, int] = {}
    count = 0
    for s in sorted(piece.laws, key=lambda s: s.law):
        start[s.law] = count
        count += s.count
    total, size, value, std, weight = (np.zeros(count) for _ in range(5))
    mean = np.zeros(count, bool)
    seen = np.zeros(count, bool)
    rows = [start[s.law] + s.number for s in piece.laws]
    for s, at in zip(piece.laws, rows, strict=True):
        total[at] = s.total
        size[at] = s.size
        value[at] = s.value
        std[at] = s.std
        seen[at] = True
        if s.weight is not None:
            weight[at] = s.weight
            mean[at] = True
    place = np.concatenate(rows)
    columns = np.arange(len(place))
    spread = sp.csr_matrix((np.ones(len(place)), (place, columns)), (count, len(place)))
    slope = (spread @ piece.slope @ spread.T).tocsr()
    prior: Any = sp.csr_matrix((count, count))
    if piece.prior is not None:
        prior = (spread @ piece.prior @ spread.T).tocsr()
    return Sums(start, total, size, value, std, weight, mean, seen, slope, prior)


def added(several: Sequence[Sums]) -> Sums:
    """Return the sums of several groups of chunks, in their order."""
    whole = several[0]
    for other in several[1:]:
        whole = Sums(
            whole.start,
            whole.total + other.total,
            whole.size + other.size,
            np.where(other.seen, other.value, whole.value),
            np.where(other.seen, other.std, whole.std),
            whole.weight + other.weight,
            whole.mean | other.mean,
            whole.seen | other.seen,
            (whole.slope + other.slope).tocsr(),
            (whole.prior + other.prior).tocsr(),
        )
    return whole


def _system(sums: Sums) -> _System:
    """Return what the shared rows miss."""
    factor = np.where(sums.mean, sums.weight, 1.0)
    size = sums.size + np.abs(sums.value * factor)
    size = np.where(size > 0, size, 1.0)
    missing = sums.value * factor - sums.total
    noise = (sums.std * factor) ** 2
    slope = sums.slope.tocsc()
    return _System(missing, noise, size, slope, sums.prior.tocsc(), sums.start)


def _by_law(system: _System, dual: np.ndarray) -> Multipliers:
    """Return the multipliers of each law."""
    ends = [*list(system.start.values())[1:], len(dual)]
    pairs = zip(system.start.items(), ends, strict=True)
    found = {law: dual[begin:end] for (law, begin), end in pairs}
    return Multipliers(found, system.start)


def _with_inverse(system: _System, dual: np.ndarray) -> Multipliers:
    """Return the multipliers of each law, and the inverse system where it is used."""
    found = _by_law(system, dual)
    if not system.prior.nnz:
        return found
    whole = (system.prior + sp.diags(system.noise)).tocsc()
    diagonal = whole.diagonal()
    safe = np.where(diagonal > 0, diagonal, 1.0)
    if (whole - sp.diags(diagonal)).nnz == 0:
        inverse: Any = sp.diags(np.where(diagonal > 0, 1 / safe, 0.0)).tocsr()
    elif len(diagonal) <= _MOST_ROWS:
        scale = sp.diags(1 / np.sqrt(safe))
        dense = np.linalg.pinv((scale @ whole @ scale).toarray(), hermitian=True)
        inverse = (scale @ sp.csr_matrix(dense) @ scale).tocsr()
    else:
        return found
    return found._replace(inverse=inverse)


def _solved(system: _System, left: np.ndarray) -> np.ndarray:
    """Solve (slope + noise) step = left; rows that see nothing get no multiplier."""
    whole = (system.slope + sp.diags(system.noise)).tocsc()
    diagonal = whole.diagonal()
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = (sp.diags(scale) @ whole @ sp.diags(scale)).tocsc()
    from scipy.sparse.linalg import splu  # see `_dual.newton`

    factor = splu((scaled + 1e-12 * sp.eye(len(scale))).tocsc())
    right = scale * left
    step = factor.solve(right)
    for _ in range(3):
        step = step + factor.solve(right - scaled @ step)
    return np.where(diagonal > 0, scale * step, 0.0)


def _check_linear(system: _System, left: np.ndarray, laws: Laws) -> None:
    """Raise with the law whose shared rows can't be met."""
    bad = np.abs(left) > 1e-9 * system.size
    if not bad.any():
        return
    first = int(np.flatnonzero(bad)[0])
    law = max((k for k, s in system.start.items() if s <= first))
    require(
        False,
        f"{title(laws.laws[law])!r} within reach",
        f"{int(bad.sum())} rows that no correction meets",
        "give more values a spread, widen the bounds, or correct the law",
    )
