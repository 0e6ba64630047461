"""A computation that is needed rarely, and skipped otherwise, in batches too.

`jax.lax.cond` with a condition per sample computes both branches for every sample under
`jax.vmap`. Here a batch computes the rare branch only if one of its samples needs it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from physcon._typing import Array, Bool, PyTree


@custom_vmap
def any_sample(flag: Bool[Array, ""]) -> Bool[Array, ""]:
    """Whether `flag` holds for any sample of the batch; `flag` itself without one."""
    return flag


@any_sample.def_vmap
def _(size: Any, batched: list[bool], flag: Array) -> tuple[Array, bool]:
    del size
    return any_sample(jnp.any(flag, axis=0) if batched[0] else flag), False


def rarely(
    needed: Bool[Array, ""],
    special: Callable[..., PyTree],
    usual: Callable[..., PyTree],
    *args: PyTree,
) -> Any:
    """``special(*args)`` where `needed`, else ``usual(*args)``."""
    needed = jax.lax.stop_gradient(needed)
    special = jax.named_scope("rarely")(special)

    def either(*args: PyTree) -> PyTree:
        return jax.lax.cond(needed, special, usual, *args)

    return jax.lax.cond(any_sample(needed), either, usual, *args)
