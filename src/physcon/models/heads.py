"""From a network's raw output to a standard deviation."""

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float


def bounded_std(
    raw: Float[Array, "*s"], least: float, most: float | None = None
) -> Float[Array, "*s"]:
    """least + softplus(raw), bounded smoothly by `most` unless that is None.

    Early in training a standard deviation can be huge at a few points; a constraint
    then puts its whole correction there. A bound at a few times the spread of the data
    prevents that and changes nothing later.

    Raises: ValueError unless least < most.
    """
    std = least + jax.nn.softplus(raw)
    if most is None:
        return std
    require(
        least < most, f"max_std > {least}, the least std", most, "pass a larger max_std"
    )
    room = most - least
    return least + room * jnp.tanh((std - least) / room)
