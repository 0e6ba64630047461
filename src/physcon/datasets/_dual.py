"""Maximise the dual function of rows, inequalities and bounds by Newton's method."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from physcon._extras import needs
from physcon.datasets._scaled_rows import Scaled

with needs("data"):
    import scipy.sparse as sp

_EPS = np.finfo(np.float64).eps
_STEPS = 200
_SHIFT = 1e-11  # relative, so that redundant rows can be factorised


class _State(NamedTuple):
    """The dual function at some multipliers.

    Attributes:
        value: of the function.
        gradient: by the multipliers.
        z: scaled corrections that belong to the multipliers.
        free: which corrections are not at a bound.
    """

    value: float
    gradient: np.ndarray
    z: np.ndarray
    free: np.ndarray


def maximise(
    scaled: Scaled,
    offset: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    one_sided: np.ndarray,
    dual: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Maximise the dual function; return multipliers and scaled corrections."""
    a, noise, live = scaled.a, scaled.noise, scaled.live
    at = a.T
    if scaled.disjoint and not one_sided.any():
        # One equation per row; without bounds at work this is the answer.
        dual = np.where(live, offset, 0.0)
        z = at @ dual
        if np.all((z >= low) & (z <= high)):
            return dual, z
        dual = np.zeros_like(dual)

    def state(dual: np.ndarray) -> _State:
        pull = at @ dual
        z = np.clip(pull, low, high)
        gradient = np.where(live, offset - a @ z - noise * dual, 0.0)
        value = dual @ gradient + 0.5 * (z @ z) + 0.5 * (dual * noise) @ dual
        return _State(float(value), gradient, z, (pull > low) & (pull < high))

    now = state(dual)
    # Rounding errors of a row's terms; below them nothing is gained.
    rounding = 4 * _EPS * (np.abs(offset) + np.sqrt(np.diff(a.indptr) + 1.0))
    least = np.inf
    stalled = 0
    for _ in range(_STEPS):
        wrong = _wrong(dual, now.gradient, one_sided)
        worst = float(np.max(np.abs(wrong) / rounding, initial=0.0))
        stalled = 0 if worst < 0.5 * least else stalled + 1
        least = min(least, worst)
        if worst <= 1 or (stalled >= 3 and worst < 30) or stalled >= 60:
            break
        use = live & (~one_sided | (dual + now.gradient < 0))
        step = np.where(one_sided, -dual, 0.0)
        right = now.gradient[use]
        step[use] = newton(a[use], now.free, noise[use], right, scaled.disjoint)
        found = _line_search(state, dual, step, now, one_sided)
        if found is None:
            break
        dual, now = found
    return dual, now.z


def _line_search(
    state: Callable[[np.ndarray], _State],
    dual: np.ndarray,
    step: np.ndarray,
    now: _State,
    one_sided: np.ndarray,
) -> tuple[np.ndarray, _State] | None:
    """Return multipliers along a step with a larger value, or None without any."""
    norm = float(np.linalg.norm(_wrong(dual, now.gradient, one_sided)))
    size = 1.0
    for _ in range(60):
        trial = dual + size * step
        trial = np.where(one_sided, np.minimum(trial, 0.0), trial)
        new = state(trial)
        gain = float(now.gradient @ (trial - dual))
        # Where the value is too large to show the gain, the gradient decides.
        if gain <= 64 * _EPS * (abs(now.value) + abs(new.value)):
            rest = _wrong(trial, new.gradient, one_sided)
            accepted = float(np.linalg.norm(rest)) < norm
        else:
            accepted = new.value >= now.value + 1e-4 * gain
        if accepted:
            return trial, new
        size *= 0.5
    return None


def _wrong(dual: np.ndarray, gradient: np.ndarray, one_sided: np.ndarray) -> np.ndarray:
    """Return by how much the conditions for a maximum fail, for each row."""
    to = dual + gradient
    return dual - np.where(one_sided, np.minimum(0.0, to), to)


def newton(
    a: Any, free: np.ndarray, noise: np.ndarray, r: np.ndarray, disjoint: bool
) -> np.ndarray:
    """Solve (A A^T + N) d = r over the free values; redundant rows do no harm."""
    if disjoint:
        squares = type(a)((a.data**2, a.indices, a.indptr), a.shape)
        diagonal = squares @ free.astype(np.float64) + noise
        return r / np.where(diagonal > 1e-26, diagonal, 1e-10)
    part = a @ sp.diags(free.astype(np.float64))
    s = (part @ part.T + sp.diags(noise)).tocsc()
    diagonal = s.diagonal()
    # A row whose values are all at a bound gets a long step, which frees some of them.
    scale = 1 / np.sqrt(np.where(diagonal > 1e-26, diagonal, 1e-10))
    r = scale * r
    if (s - sp.diags(diagonal)).nnz == 0:
        return scale * r
    s = (sp.diags(scale) @ s @ sp.diags(scale)).tocsc()
    from scipy.sparse.linalg import splu  # a fifth of a second, for coupled rows only

    factor = splu(
        (s + _SHIFT * sp.eye(len(diagonal))).tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    d = factor.solve(r)
    for _ in range(3):
        d = d + factor.solve(r - s @ d)
    return scale * d
