"""Which further measurement would reduce the uncertainty of a field most."""

import jax
import jax.numpy as jnp

from physcon._numerics.safe import power_of_two
from physcon._typing import Array, Bool, Float
from physcon.conditioning import moments
from physcon.conditioning.gaussian import Gaussian

#: Random vectors by which the benefits in a larger field are estimated.
_DRAWS = 256


def benefits(
    posterior: Gaussian, std: Float[Array, "*x"], lost: Bool[Array, "*x"]
) -> Float[Array, "*x"]:
    """By how much one more measurement of a point reduces Σ_i var_i / s_i².

    With C the posterior covariance, a measurement of point j with error s_j reduces
    C_ii by C_ij² / (C_jj + s_j²). Exact for up to 256 points; for more an estimate from
    256 random vectors, with a relative standard deviation of 9 %.

    Args:
        std: s; where it is infinite, the posterior standard deviation stands for it.
        lost: points without a finite variance, for which the result is infinite.
    """
    # A benefit has no unit, but squares do.
    unit = power_of_two(jnp.max(jnp.where(jnp.isfinite(std), std, 0), initial=0))
    std = std / unit
    root = posterior.root.scaled(1 / unit)
    variance = moments.variance(root)
    scale = jnp.where(jnp.isfinite(std), std, jnp.sqrt(variance))
    inverse = jnp.where(scale > 0, 1 / jnp.where(scale > 0, scale, 1), 0)
    inverse = jnp.where(lost, 0, inverse)
    n, shape, dtype = std.size, std.shape, std.dtype

    def seen(w: Array) -> Array:
        return root.mv(root.rmv(inverse * w.reshape(shape))) ** 2

    if n <= _DRAWS:
        vectors = jnp.eye(n, dtype=dtype)
        squares = jnp.sum(jax.lax.map(seen, vectors, batch_size=16), axis=0)
    else:
        key = jax.random.wrap_key_data(jnp.zeros(2, jnp.uint32), impl="threefry2x32")
        vectors = jax.random.normal(key, (_DRAWS, n), jnp.float32).astype(dtype)
        squares = jnp.mean(jax.lax.map(seen, vectors, batch_size=16), axis=0)
    total = variance + scale**2
    found = squares / jnp.where(total > 0, total, 1)
    return jnp.where(lost, jnp.inf, jnp.where(total > 0, found, 0))
