"""Porous medium equation u_t = (u^m u_x)_x: a steep front of finite speed."""

from typing import ClassVar

from physcon._numerics import safe
from physcon._typing import Array, ArrayLike, Float, Scalar
from physcon.problems.problem import (
    Problem,
    Settings,
    checked_parameter,
    coordinates,
    nonnegative,
)


class PorousMedium(Problem):
    """u_t = (u^m u_x)_x on [0, 1], u(0, x) = 0, u(t, 0) = (m t)^(1/m).

    Shapes:
        The degree m > 0 is a scalar.

    Raises:
        ValueError: if m is outside (0, ∞); at run time for a traced m under
            ``throw=True``.

    Source:
        Hansen et al. (2023), the porous medium equation of the GPME family, m in [1,
        6]; the travelling wave is in Vázquez, The Porous Medium Equation (2007), ch. 4.

    >>> import jax.numpy as jnp
    >>> PorousMedium(m=1.0).solution(0.5, jnp.array([0.0, 0.25, 0.75])).tolist()
    [0.5, 0.25, 0.0]
    """

    m: Scalar

    settings: ClassVar[Settings] = Settings(
        name="pme",
        parameter="m",
        valid=(0.0, float("inf")),
        training=(1.0, 6.0),
        test=(1.0, 3.0, 6.0),
        x=(0.0, 1.0),
        t=(0.0, 1.0),
        evaluation_time=0.5,
    )

    def __init__(self, m: ArrayLike, throw: bool = True):
        self.m = checked_parameter(m, self.settings, throw)

    def solution(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """u = (m max(t - x, 0))^(1/m): u^(m-1) u_x = -1, hence F = u and u_t = -u_x."""
        t, x = coordinates(t, x)
        return safe.power(self.m * (t - x), 1 / self.m)

    def primitive(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """((m t)^(1 + 1/m) - (m max(t - x, 0))^(1 + 1/m)) / (m + 1)."""
        t, x = coordinates(t, x)
        exponent = 1 + 1 / self.m
        behind = safe.power(self.m * t, exponent)
        ahead = safe.power(self.m * (t - x), exponent)
        return (behind - ahead) / (self.m + 1)

    def mass(self, t: ArrayLike) -> Float[Array, "..."]:
        """(m t)^(1 + 1/m) / (m + 1), minus the outflow at x = 1 after t = 1.

        The inflow is F(t, 0) = u(t, 0) = (m t)^(1/m), and the integral of (m τ)^(1/m)
        from 0 to t is (m t)^(1 + 1/m) / (m + 1). From t = 1 on the front is outside,
        and the outflow is F(t, 1) = u(t, 1) = (m (t - 1))^(1/m), which gives the same
        integral over t - 1.
        """
        t = nonnegative(t)
        exponent = 1 + 1 / self.m
        entered = safe.power(self.m * t, exponent)
        left = safe.power(self.m * (t - 1), exponent)
        return (entered - left) / (self.m + 1)

    def flux(
        self, u: Float[Array, "*s"], u_x: Float[Array, "*s"]
    ) -> Float[Array, "*s"]:
        """F = -max(u, 0)^m u_x."""
        return -safe.power(u, self.m) * u_x

    def front(self, t: ArrayLike) -> Float[Array, "..."]:
        """The front x = t, which moves with speed F / u = 1."""
        return nonnegative(t)
