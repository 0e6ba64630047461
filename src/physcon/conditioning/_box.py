"""The arguments of `bounded` and its relatives: a diagonal prior and a box."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from physcon._checks import require, require_given, require_numbers, require_same_field
from physcon._derivative_rules import WithDerivative
from physcon._status import code
from physcon._typing import Array, ArrayLike, Float, Int
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.optimality import Problem
from physcon.linear_map import Diagonal


class Given(NamedTuple):
    """The arguments of `bounded`, in the caller's dtype and units."""

    mean: Float[Array, "*x"]
    std: Float[Array, "*x"]
    rows: Float[Array, "m *x"]
    value: Float[Array, " m"]
    noise_std: Float[Array, " m"]
    lower: Float[Array, "*x"]
    upper: Float[Array, "*x"]

    def problem(self) -> Problem:
        """Squares are taken here, in float64, where no unit over- or underflows."""
        return Problem(
            self.mean,
            self.std**2,
            self.rows,
            self.value,
            self.noise_std**2,
            self.lower,
            self.upper,
        )


def diagonal_std(prior: Gaussian, constraint: LinearConstraint) -> Float[Array, "*x"]:
    """Standard deviation of a diagonal prior that fits the constraint, or an error."""
    require_given(prior, Gaussian, "prior")
    require_given(constraint, LinearConstraint, "constraint")
    require_same_field(prior.mean.shape, tuple(constraint.operator.in_shape))
    root = prior.root
    if not isinstance(root, Diagonal):
        got = f"a root of type {type(getattr(root, 'map', root)).__name__}"
        remedy = "pass Gaussian.diagonal(prior.mean, prior.std())"
        raise ValueError(f"expected a diagonal prior, got {got}; {remedy}")
    return jnp.abs(root.diagonal)


def box(
    prior: Gaussian, lower: ArrayLike | None, upper: ArrayLike | None
) -> tuple[Float[Array, "*x"], Float[Array, "*x"]]:
    """Bounds as arrays of the field's shape and dtype; None is open."""

    def bound(x: ArrayLike | None, open_end: float, name: str) -> Array:
        x = open_end if x is None else require_numbers(x, f"a bound ({name})")
        shape = prior.mean.shape
        got = np.shape(x)
        remedy = "functions act on one sample: batch with jax.vmap"
        require(got in ((), shape), f"{name} a scalar or of shape {shape}", got, remedy)
        return jnp.broadcast_to(jnp.asarray(x, prior.mean.dtype), shape)

    return bound(lower, -jnp.inf, "lower"), bound(upper, jnp.inf, "upper")


@WithDerivative
def with_value(x: Array, value: Array) -> Array:
    """`value`, with the derivatives of `x`: the two differ by rounding only."""
    return value


@with_value.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    return with_value(*primals), tangents[0]


def _status(result: Any) -> Int[Array, "*batch"]:
    """The outcome as the integer of version 0.1.

    0 good; 1 not finite; 2 lower > upper; 3 out of reach; 4 not solved.
    """
    return code(result.outcome, _CODES)


#: The property `status` of `Bounded` and `Monotone`.
box_status = property(_status)
_CODES = {
    "good": 0,
    "not_finite": 1,
    "disordered": 2,
    "unreachable": 3,
    "contradiction": 4,
    "not_solved": 4,
}
