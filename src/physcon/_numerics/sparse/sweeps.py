"""Sweeps over groups of depths: one program for all depths of a group."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from physcon._numerics.sparse.analysis import Levels
from physcon._typing import Array

#: From an array of all children, or of each front's parent, and one depth to the array
#: of this depth and what is kept of it.
Step = Callable[[Array, Any], tuple[Array, Any]]


def from_leaves(step: Step, children: Array, group: Any) -> tuple[Array, Any]:
    """Apply `step` to each depth of a group, the deepest one first.

    Args:
        children: ``(n, b, ...)``, what the group below leaves; n may be zero.
        group: `Levels`, and other arrays with the same leading axis.
    """
    levels = _levels(group)
    g, k, _ = levels.pivots.shape
    b = levels.place.shape[2]
    width = children.shape[1] if g == 1 else max(b, children.shape[1])
    start = _resized(children, 2 * k, width)
    left, kept = _swept(step, start, group, reverse=True)
    return _resized(left, left.shape[0], b), kept


def from_root(step: Step, parent: Array, group: Any) -> tuple[Array, Any]:
    """Apply `step` to each depth of a group, the one next to the root first.

    Args:
        parent: ``(n, f)``, of the group above; n may be zero.
    """
    levels = _levels(group)
    g, k, _ = levels.pivots.shape
    f = levels.take.shape[2]
    width = parent.shape[1] if g == 1 else max(f, parent.shape[1])
    # What one depth leaves is carried to the next: all k fronts of the deepest one.
    start = _resized(parent, (k + 1) // 2 if g == 1 else k, width)

    def from_parents(parents: Array, one: Any) -> tuple[Array, Any]:
        return step(jnp.repeat(parents, 2, axis=0)[:k], one)

    return _swept(from_parents, start, group, reverse=False)


def _levels(group: Any) -> Levels:
    """The levels of a group with further arrays."""
    while not isinstance(group, Levels):
        group = group[0]
    return group


def _swept(step: Step, start: Array, group: Any, *, reverse: bool) -> tuple[Array, Any]:
    def resized_step(carry: Array, one: Any) -> tuple[Array, Any]:
        left, kept = step(carry, one)
        return _resized(left, carry.shape[0], carry.shape[1]), kept

    if _levels(group).pivots.shape[0] > 1:
        return jax.lax.scan(resized_step, start, group, reverse=reverse)
    left, kept = step(start, jax.tree.map(lambda x: x[0], group))
    return left, jax.tree.map(lambda x: x[None], kept)


def _resized(x: Array, count: int, width: int) -> Array:
    """The first `count` fronts, with all further axes of `width`; zero where absent."""
    axes = x.ndim - 1
    x = x[(slice(count), *(slice(width) for _ in range(axes)))]
    missing = (count - x.shape[0], *(width - size for size in x.shape[1:]))
    return jnp.pad(x, [(0, more) for more in missing])
