"""The numbers of a law: array leaves that can be batched, traced and differentiated."""

from dataclasses import fields
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, ArrayLike

_IS_NUMBER = "one number"


def number(x: ArrayLike) -> Array:
    """`x` as an array of the default floating dtype."""
    return jnp.asarray(x, dtype=jnp.result_type(float))


def parameter(default: float, instead: str = "batch over laws with jax.vmap") -> Any:
    """A field of a law that holds one number.

    Args:
        instead: what the error message advises where an array was given.
    """
    metadata = {_IS_NUMBER: instead}
    return eqx.field(converter=number, default=default, metadata=metadata)


def require_numbers(law: Any) -> None:
    """Raise ValueError if a field made by `parameter` holds more than one number.

    A law under `jax.vmap` holds one number per field while it is evaluated, so that
    this is asked where a law is used, not where it is made.
    """
    if not isinstance(law, eqx.Module):
        return
    for field in fields(law):  # type: ignore[arg-type]
        value = getattr(law, field.name)
        instead = field.metadata.get(_IS_NUMBER)
        if instead is not None:
            require(
                jnp.ndim(value) == 0,
                f"one number as {field.name} of {type(law).__name__}",
                f"an array of shape {jnp.shape(value)}",
                instead,
            )
        require_numbers(value)
