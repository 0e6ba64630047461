"""A constraint from an operator, with values and noise of any matching shape."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, require
from physcon._typing import Array, ArrayLike
from physcon.conditioning.constraint import LinearConstraint
from physcon.linear_map import LinearMap


def law_of(
    operator: LinearMap,
    values: ArrayLike,
    noise_std: ArrayLike | None,
    present: Array,
    name: str,
) -> LinearConstraint:
    """The constraint; a row without points gets the value zero, which it has."""
    shape = tuple(operator.out_shape)
    dtype = jnp.result_type(*(x for x in jax.tree.leaves(operator) if _inexact(x)))

    def full(x: ArrayLike, what: str) -> Array:
        got = np.shape(x)
        remedy = "functions act on one sample: batch with jax.vmap"
        require(
            got in ((), shape), f"{what} of shape {shape}, or a scalar", got, remedy
        )
        x = jnp.asarray(x)
        x = x.astype(jnp.promote_types(dtype, x.dtype))
        return jnp.broadcast_to(x, shape)

    value = jnp.where(present, full(values, name), 0)
    noise = None if noise_std is None else full(noise_std, "noise_std")
    return LinearConstraint(operator, value, noise)


def require_finite(weights: Array, name: str) -> None:
    """Raise for NaN or infinity among weights that have values."""
    known = concrete(weights)
    require(
        known is None or bool(np.isfinite(known).all()),
        f"finite {name}",
        "NaN or infinity",
        "give missing points zero weight",
    )


def _inexact(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.inexact)
