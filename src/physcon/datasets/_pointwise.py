"""Laws about single values, bounds and known values, which need no rows."""

import numpy as np

from physcon.datasets._laws import Between, Values
from physcon.datasets._layout import Layout
from physcon.datasets._right_side import right_side


def bound(law: Between, values: Layout, lower: np.ndarray, upper: np.ndarray) -> None:
    """Tighten the ends of the intervals of all values by the bounds of a law."""
    index = values.index(law.of)
    for given, ends, tighter in (
        (law.lower, lower, np.maximum),
        (law.upper, upper, np.minimum),
    ):
        if given is None:
            continue
        known = right_side(values.data, given, law)
        known = known.broadcast_like(index).transpose(*index.dims).values.ravel()
        where = index.values.ravel()
        known = np.where(np.isnan(known), ends[where], known)
        ends[where] = tighter(ends[where], known)


def outside(law: Between, values: Layout, u: np.ndarray) -> np.ndarray:
    """Return by how much values are outside of their bounds, at each point."""
    lower = np.full(len(u), -np.inf)
    upper = np.full(len(u), np.inf)
    bound(law, values, lower, upper)
    index = values.index(law.of).values.ravel()
    inside = values.inside(law.of).values.ravel()
    here = index[inside]
    v = u[here]
    return np.maximum(np.maximum(lower[here] - v, v - upper[here]), 0.0)


def fix(law: Values, values: Layout, mean: np.ndarray, std: np.ndarray) -> None:
    """Set known values, which are certain from then on."""
    index, mask, known = fixed_values(law, values)
    here = index[mask]
    mean[here] = known[mask]
    std[here] = 0.0


def missed(law: Values, values: Layout, u: np.ndarray) -> np.ndarray:
    """Return the distance of values from the known ones, at each known point."""
    index, mask, known = fixed_values(law, values)
    return np.abs(u[index[mask]] - known[mask])


def fixed_values(law: Values, values: Layout) -> tuple[np.ndarray, ...]:
    """Return positions, a mask of the known points, and the known values."""
    index = values.index(law.of)
    where = right_side(values.data, law.where, law)
    known = right_side(values.data, law.equals, law)
    order = index.dims
    mask = where.fillna(0.0).broadcast_like(index).transpose(*order).values.ravel() != 0
    known = known.broadcast_like(index).transpose(*order).values.ravel()
    inside = values.inside(law.of).values.ravel()
    return index.values.ravel(), mask & inside & np.isfinite(known), known
