"""The largest and the smallest entry of an array, NaN if any entry is.

`jax.numpy.max` and `min` are documented to return NaN then, but compiled for CPUs they
ignore it in arrays of some thousand entries (jax 0.10 to 0.12). A check that relies on
it, such as the check of a time step, would call a NaN good.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from physcon._typing import Array, ArrayLike

Axes = int | Sequence[int] | None


def largest_of(
    x: ArrayLike, axis: Axes = None, *, initial: Any = None, keepdims: bool = False
) -> Array:
    """max(x) along axes.

    >>> largest_of(jnp.ones(20_000).at[7].set(jnp.nan))
    Array(nan, dtype=float32)
    """
    found = jnp.max(jnp.asarray(x), axis=axis, initial=initial, keepdims=keepdims)
    return _with_nan(found, x, axis, keepdims)


def smallest_of(
    x: ArrayLike, axis: Axes = None, *, initial: Any = None, keepdims: bool = False
) -> Array:
    """min(x) along axes."""
    found = jnp.min(jnp.asarray(x), axis=axis, initial=initial, keepdims=keepdims)
    return _with_nan(found, x, axis, keepdims)


def first_largest(x: Array) -> Array:
    """The index of the first of the largest entries of a vector.

    `jax.numpy.argmax` is lowered in float32 inside of a local float64 program.
    """
    index = jnp.arange(x.size, dtype=jnp.int32)
    return jnp.min(jnp.where(x == jnp.max(x), index, x.size - 1))


def _with_nan(found: Array, x: ArrayLike, axis: Axes, keepdims: bool) -> Array:
    if not jnp.issubdtype(found.dtype, jnp.floating):
        return found
    unknown = jnp.any(jnp.isnan(jnp.asarray(x)), axis=axis, keepdims=keepdims)
    return jnp.where(unknown, jnp.nan, found)
