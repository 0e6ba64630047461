"""Inviscid Burgers equation u_t + (u²/2)_x = 0: a ramp that breaks into a shock."""

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


class Burgers(Problem):
    """u_t + (u²/2)_x = 0 on [-1, 1], u(0, x) = max(-a x, 0), u(t, -1) = a.

    The foot of the ramp stays at 0 and its head moves with speed a. They meet at t =
    1/a, where the wave of height a breaks into a shock of speed a/2. The shock leaves
    the domain at t = 3/a.

    Shapes:
        The height of the wave a > 0 is a scalar.

    Raises:
        ValueError: if a is outside (0, ∞); at run time for a traced a under
            ``throw=True``.

    Source:
        Hansen et al. (2023), Burgers' equation, a in [1, 4]; LeVeque, Numerical Methods
        for Conservation Laws (1992), ch. 3 (breaking time, shock speed).

    >>> Burgers(a=1.0).solution(0.5, jnp.array([-0.75, -0.25, 0.25])).tolist()
    [1.0, 0.5, 0.0]
    """

    a: Scalar

    settings: ClassVar[Settings] = Settings(
        name="burgers",
        parameter="a",
        valid=(0.0, float("inf")),
        training=(1.0, 4.0),
        test=(1.0, 3.0),
        x=(-1.0, 1.0),
        t=(0.0, 1.0),
        evaluation_time=0.5,
    )

    def __init__(self, a: ArrayLike, throw: bool = True):
        self.a = checked_parameter(a, self.settings, throw)

    @property
    def breaking_time(self) -> Float[Array, "..."]:
        """The time 1/a at which the characteristics of the ramp meet."""
        return 1 / self.a

    def solution(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """a clip(-x / (1 - a t), 0, 1) before breaking.

        After breaking it is a up to s(t), and 0 beyond.
        """
        t, x = coordinates(t, x)
        width, broken = self._ramp(t)
        ramp = jnp.clip(-x / width, 0.0, 1.0)
        return self.a * jnp.where(broken, (x <= self.front(t)).astype(x.dtype), ramp)

    def primitive(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """a (min(x, -w) + 1), plus a (w² - x²) / (2 w) on the ramp [-w, 0].

        Here w = 1 - a t. After breaking it is a (min(x, s) + 1).
        """
        t, x = coordinates(t, x)
        width, broken = self._ramp(t)
        on_ramp = jnp.clip(x, -width, 0.0)
        ramp = (
            jnp.minimum(x, -width) + 0.5 * (width + on_ramp) * (width - on_ramp) / width
        )
        return self.a * (1 + jnp.where(broken, jnp.minimum(x, self.front(t)), ramp))

    def mass(self, t: ArrayLike) -> Float[Array, "..."]:
        """min(a (1 + a t) / 2, 2 a): a/2 plus the inflow a²/2 until the shock leaves.

        The published code has no upper limit, so its mass is too large from t = 3/a on.
        """
        return jnp.minimum(0.5 * self.a * (1 + self.a * nonnegative(t)), 2 * self.a)

    def flux(
        self, u: Float[Array, "*s"], u_x: Float[Array, "*s"]
    ) -> Float[Array, "*s"]:
        """F = u² / 2."""
        return 0.5 * u**2

    def front(self, t: ArrayLike) -> Float[Array, "..."]:
        """s = max(a t - 1, 0) / 2: the foot of the ramp, then the shock."""
        return 0.5 * jnp.maximum(self.a * nonnegative(t) - 1, 0.0)

    def _ramp(self, t: Float[Array, "*s"]) -> tuple[Float[Array, "*s"], Array]:
        """The width 1 - a t of the ramp (1 once it has broken), and whether it has."""
        width = 1 - self.a * t
        return jnp.where(width > 0, width, 1.0), width <= 0
