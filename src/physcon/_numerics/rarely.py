"""A computation that is needed rarely, and skipped otherwise, in batches too.

`jax.lax.cond` with a condition per sample computes both branches for every sample under
`jax.vmap`. Here a batch computes the rare branch only if one of its samples needs it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from physcon._typing import Array, Bool, PyTree


def unless(
    sure: Bool[Array, ""],
    found: PyTree,
    otherwise: Callable[..., PyTree],
    *args: PyTree,
) -> PyTree:
    """`found` if `sure`, else ``otherwise(*args)``; for values, not derivatives.

    Args:
        found: has the shapes and dtypes of what `otherwise` returns.
        args: all arrays that `otherwise` needs: it closes over none.
    """

    @custom_vmap
    def chosen(sure: Array, found: PyTree, args: tuple) -> PyTree:
        return jax.lax.cond(sure, lambda: found, lambda: otherwise(*args))

    @chosen.def_vmap
    def _(size: Any, batched: Any, *operands: Any) -> tuple[PyTree, PyTree]:
        sure, found, _ = operands
        every = partial(_of_each, otherwise, size, batched)
        repeated = jax.tree.map(partial(_repeated, size), found, batched[1])
        out = unless(jnp.all(sure), repeated, every, *operands)
        return out, jax.tree.map(lambda _: True, out)

    return chosen(sure, found, args)


def _of_each(
    otherwise: Callable[..., PyTree],
    size: Any,
    batched: Any,
    sure: Array,
    found: PyTree,
    args: tuple,
) -> PyTree:
    """The rare computation of a batch, where its samples need it."""

    def one(sure: Array, found: PyTree, args: tuple) -> PyTree:
        new = otherwise(*args)
        return jax.tree.map(partial(jnp.where, sure), found, new)

    axes = jax.tree.map(lambda moving: 0 if moving else None, tuple(batched))
    return jax.vmap(one, axes, axis_size=size)(sure, found, args)


def _repeated(size: Any, x: Array, batched: bool) -> Array:
    return x if batched else jnp.broadcast_to(x, (size, *x.shape))
