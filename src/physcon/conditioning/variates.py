"""Random numbers by inversion: truncated normal variates, and 64-bit uniform ones."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri

from physcon._typing import Array


def truncated_normal(p: Array, low: Array, high: Array) -> Array:
    """Standard normal variates in [low, high] from uniform ones, by inversion.

    Exact to rounding of float64 up to 37 standard deviations from the mean. Farther out
    the exponential limit of the tail is used, with an error below 1 / low² of its own
    scale.
    """
    flip = low + high > 0  # work in the left tail
    near = jnp.where(flip, -low, high)
    far = jnp.where(flip, -high, low)
    mass = ndtr(far) + p * (ndtr(near) - ndtr(far))
    central = ndtri(jnp.maximum(mass, jnp.finfo(low.dtype).tiny))
    rate = jnp.maximum(jnp.abs(near), 1)
    depth = rate * jnp.maximum(far - near, -1e3 / rate)
    tail = near + jnp.log1p(p * jnp.expm1(depth)) / rate
    x = jnp.clip(jnp.where(near < -37, tail, central), far, near)
    return jnp.where(flip, -x, x)


def uniform(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Uniform variates in (0, 1) with 64 random bits, made of 32-bit numbers."""
    high, low = jax.random.bits(key, (2, *shape), jnp.uint32).astype(dtype)
    return (high + (low + 0.5) / 2.0**32) / 2.0**32
