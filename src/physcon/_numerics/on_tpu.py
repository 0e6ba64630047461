"""Operations that TPUs have in float32 only."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from physcon._typing import Array


def in_float32_on_tpu(fn: Callable[..., Any], *args: Array) -> Any:
    """fn(*args), of which a TPU computes float64 values in float32."""
    dtype = jnp.result_type(*args)
    if dtype != jnp.float64:
        return fn(*args)

    def in_float32(*args: Array) -> Any:
        found = fn(*(a.astype(jnp.float32) for a in args))
        return jax.tree.map(lambda a: a.astype(dtype), found)

    return jax.lax.platform_dependent(*args, tpu=in_float32, default=fn)
