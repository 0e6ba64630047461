"""The multipliers for which the rows that chunks share hold."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from physcon._checks import require
from physcon._extras import needs
from physcon.datasets._chunk import measured
from physcon.datasets._laws import Between, Laws, Order, title
from physcon.datasets._shared import Cut, Multipliers, Shared

with needs("data"):
    import scipy.sparse as sp
    from dask.base import compute
    from dask.delayed import delayed
    from scipy.sparse.linalg import splu

_PASSES = 40
_MET = 1e-13
_MOST_ROWS = 4096  # for new standard deviations


class _System(NamedTuple):
    """All shared rows: what they miss, and the slope of their totals."""

    missing: np.ndarray
    noise: np.ndarray
    size: np.ndarray
    slope: Any
    prior: Any
    start: dict[int, int]


def multipliers_of(
    parts: Sequence[Any], cuts: Sequence[Cut], laws: Laws
) -> Multipliers:
    """Return the multipliers for which the shared rows hold."""
    linear = not any(isinstance(law, Between | Order) for law in laws.laws)
    found = Multipliers({}, {})
    system = _system(parts, cuts, laws, found)
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
            new = _system(parts, cuts, laws, _by_law(system, trial))
            rest = (new.missing - new.noise * trial) / new.size
            if np.linalg.norm(rest) < norm:
                break
            size *= 0.5
        else:
            break
        system, dual = new, trial
    _check_linear(system, system.missing - system.noise * dual, laws)
    return _with_inverse(system, dual)


def _system(
    parts: Sequence[Any], cuts: Sequence[Cut], laws: Laws, multipliers: Multipliers
) -> _System:
    """Read all chunks and add up the shared rows."""
    measure = delayed(measured, pure=True)
    tasks = [
        measure(part, laws, cut, multipliers)
        for part, cut in zip(parts, cuts, strict=True)
    ]
    pieces = compute(*tasks)
    counts = {s.law: s.count for piece in pieces for s in piece.laws}
    start: dict[int, int] = {}
    count = 0
    for law in sorted(counts):
        start[law] = count
        count += counts[law]
    total = np.zeros(count)
    size = np.zeros(count)
    value = np.zeros(count)
    std = np.zeros(count)
    weight = np.zeros(count)
    slope: Any = sp.csr_matrix((count, count))
    mean = np.zeros(count, bool)
    prior: Any = sp.csr_matrix((count, count))
    for piece in pieces:
        rows = [start[s.law] + s.number for s in piece.laws]
        for s, at in zip(piece.laws, rows, strict=True):
            _add(s, at, (total, size, value, std, weight, mean))
        place = np.concatenate(rows)
        spread = sp.csr_matrix(
            (np.ones(len(place)), (place, np.arange(len(place)))), (count, len(place))
        )
        slope = slope + spread @ piece.slope @ spread.T
        if piece.prior is not None:
            prior = prior + spread @ piece.prior @ spread.T
    factor = np.where(mean, weight, 1.0)
    size = size + np.abs(value * factor)
    size = np.where(size > 0, size, 1.0)
    missing = value * factor - total
    noise = (std * factor) ** 2
    return _System(missing, noise, size, slope.tocsc(), prior.tocsc(), start)


def _add(s: Shared, at: np.ndarray, into: tuple[np.ndarray, ...]) -> None:
    """Add the rows of one law of a chunk to those of all chunks."""
    total, size, value, std, weight, mean = into
    total[at] += s.total
    size[at] += s.size
    value[at] = s.value
    std[at] = s.std
    if s.weight is not None:
        weight[at] += s.weight
        mean[at] = True


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
