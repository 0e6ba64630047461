"""What both evaluations of MUSCL-Hancock share: face states after half a step."""

import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array
from physcon.boundary import Condition, Dirichlet, Reflective
from physcon.fv._stage import stage
from physcon.fv.ghost import at_face
from physcon.fv.law import Law


@stage
def keeps_sense(lower: Array, upper: Array, half: Array, law: Law) -> Array | None:
    """1 in cells whose face states stay positive for half a step, 0 in the others."""
    quantities = [*law.positive(lower + half), *law.positive(upper + half)]
    if not quantities:
        return None
    least = quantities[0]
    for quantity in quantities[1:]:
        least = jnp.where(quantity < least, quantity, least)
    return jnp.where(least > 0, 1, 0).astype(half.dtype)[None]


def state_outside(inner: Array, condition: Condition, law: Law, axis: int) -> Array:
    """The state beyond a side, at its face.

    Where a condition prescribes the derivative, it has already shaped the inner state.
    """
    if isinstance(condition, Reflective):
        return law.mirror(inner, axis)
    if isinstance(condition, Dirichlet):
        return jnp.broadcast_to(at_face(condition.value, inner, axis), inner.shape)
    return inner


def require_no_force(force: Array | None, law: Law) -> None:
    require(
        force is None,
        "a law without a bed or another force on cells",
        type(law).__name__,
        "use ssp_rk2",
    )
