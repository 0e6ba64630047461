"""The part of an array, of a law or of a boundary that belongs to one device."""

from typing import Any

import jax
import jax.numpy as jnp

from physcon._mesh import Axes
from physcon._typing import Array
from physcon.boundary import Boundary, Seam
from physcon.fv.protocols import Divisible


class Cut:
    """Cut out this device's part of an array over the whole grid, space axes last.

    Along an axis of n cells the array has n entries, n + 1 (faces) or n + 2 (with the
    cells beyond both sides). The part exceeds the block by the same number.
    """

    def __init__(self, whole: tuple[int, ...], block: tuple[int, ...], axes: Axes):
        self.whole = whole
        self.block = block
        self.axes = axes

    def __call__(self, x: Array, without: int | None = None) -> Array:
        """Return the part of x that belongs to this device.

        Args:
            x: an array over the whole grid, with the space axes last.
            without: the grid axis that `x` lacks, if any.
        """
        kept = [k for k in range(len(self.whole)) if k != without]
        if x.ndim < len(kept):
            return x
        for at, k in enumerate(kept, x.ndim - len(kept)):
            name = self.axes[k]
            n = self.block[k]
            more = x.shape[at] - self.whole[k]
            if name is not None and more in (0, 1, 2):
                start = jax.lax.axis_index(name) * n
                x = jax.lax.dynamic_slice_in_dim(x, start, n + more, axis=at)
        return x


def is_divisible(node: Any) -> bool:
    return isinstance(node, Divisible)


def nodes(module: Any) -> list[Any]:
    """The leaves of a module, where a part that can cut itself counts as a leaf."""
    return jax.tree.leaves(module, is_leaf=is_divisible)


def restricted(module: Any, cut: Cut) -> Any:
    """A law, source or event whose parts are cut to this block, if they support it."""

    def restrict(node: Any) -> Any:
        return node.on_block(cut) if is_divisible(node) else node

    return jax.tree.map(restrict, module, is_leaf=is_divisible)


def seams(boundary: Boundary, cut: Cut) -> Boundary:
    """The conditions of this block: its part of the values, and its seams."""

    def on_side(value: Any, axis: int) -> Any:
        if callable(value):
            return lambda t: on_side(value(t), axis)
        return value if jnp.ndim(value) <= 1 else cut(value, axis)

    pairs = []
    for axis, sides in enumerate(boundary.sides):
        local = jax.tree.map(lambda v, a=axis: on_side(v, a), sides, is_leaf=callable)
        name = cut.axes[axis]
        pairs.append(local if name is None else tuple(Seam(c, name) for c in local))
    return Boundary(*pairs)
