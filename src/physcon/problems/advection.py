"""Linear advection u_t + a u_x = 0: a jump that moves and leaves the domain."""

from typing import ClassVar

import jax.numpy as jnp

from physcon._typing import Array, ArrayLike, Float, Scalar
from physcon.problems.problem import (
    Problem,
    Settings,
    checked_parameter,
    coordinates,
    nonnegative,
)


class Advection(Problem):
    """u_t + (a u)_x = 0 on [0, 1], u(0, x) = 1 for x <= 1/2 and 0 beyond, u(t, 0) = 1.

    Shapes:
        The speed a > 0 is a scalar.

    Raises:
        ValueError: if a is outside (0, ∞); at run time for a traced a under
            ``throw=True``.

    Source:
        Hansen et al. (2023), linear advection, a in [1, 5]; the step and the mass are
        as in their code.

    >>> Advection(a=1.0).solution(0.1, jnp.array([0.5, 0.7])).tolist()
    [1.0, 0.0]
    """

    a: Scalar

    settings: ClassVar[Settings] = Settings(
        name="advection",
        parameter="a",
        valid=(0.0, float("inf")),
        training=(1.0, 5.0),
        test=(1.0, 3.0),
        x=(0.0, 1.0),
        t=(0.0, 1.0),
        evaluation_time=0.1,
    )

    def __init__(self, a: ArrayLike, throw: bool = True):
        self.a = checked_parameter(a, self.settings, throw)

    def solution(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """u = 1 for x <= 1/2 + a t, else 0."""
        t, x = coordinates(t, x)
        return (x <= self.front(t)).astype(x.dtype)

    def primitive(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """min(x, 1/2 + a t)."""
        t, x = coordinates(t, x)
        return jnp.minimum(x, self.front(t))

    def mass(self, t: ArrayLike) -> Float[Array, "..."]:
        """min(1/2 + a t, 1).

        The inflow is F(t, 0) = a, until the jump leaves at t = 1/(2 a).
        """
        return jnp.minimum(self.front(t), 1.0)

    def flux(
        self, u: Float[Array, "*s"], u_x: Float[Array, "*s"]
    ) -> Float[Array, "*s"]:
        """F = a u."""
        return self.a * u

    def front(self, t: ArrayLike) -> Float[Array, "..."]:
        """s = 1/2 + a t."""
        return 0.5 + self.a * nonnegative(t)
