"""Heat equation u_t = k u_xx, whose solution is smooth."""

from math import pi
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


class Heat(Problem):
    """u_t = (k u_x)_x on [0, 2π], periodic, u(0, x) = sin x.

    Shapes:
        The conductivity k > 0 is a scalar.

    Raises:
        ValueError: if k is outside (0, ∞); at run time for a traced k under
            ``throw=True``.

    Source:
        Hansen et al. (2023), the diffusion equation of the GPME family, k in [1, 5].
        The published code interpolates a 512-point spectral solution linearly; here the
        solution is exact.

    >>> float(Heat(k=2.0).mass(0.5))
    0.0
    """

    k: Scalar

    settings: ClassVar[Settings] = Settings(
        name="heat",
        parameter="k",
        valid=(0.0, float("inf")),
        training=(1.0, 5.0),
        test=(1.0, 5.0),
        x=(0.0, 2 * pi),
        t=(0.0, 1.0),
        evaluation_time=0.5,
        has_front=False,
    )

    def __init__(self, k: ArrayLike, throw: bool = True):
        self.k = checked_parameter(k, self.settings, throw)

    def solution(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """u = exp(-k t) sin x."""
        t, x = coordinates(t, x)
        return jnp.exp(-self.k * t) * jnp.sin(x)

    def primitive(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """exp(-k t) (1 - cos x), by the half angle to avoid cancellation near x = 0."""
        t, x = coordinates(t, x)
        return 2 * jnp.exp(-self.k * t) * jnp.sin(0.5 * x) ** 2

    def mass(self, t: ArrayLike) -> Float[Array, "..."]:
        """The mass is 0: the initial mass is 0, and the domain is periodic."""
        return jnp.zeros_like(nonnegative(t))

    def flux(
        self, u: Float[Array, "*s"], u_x: Float[Array, "*s"]
    ) -> Float[Array, "*s"]:
        """F = -k u_x."""
        return -self.k * u_x
