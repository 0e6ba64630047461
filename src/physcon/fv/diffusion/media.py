"""Diffusion with a constant or a power-law coefficient."""

import equinox as eqx
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Float
from physcon.fv.diffusion.law import Diffusion, Mean, check_mean
from physcon.fv.parameter import parameter


class Heat(Diffusion):
    """Constant conductivity: u_t = k Δu. Use `Layered` for one that varies in space."""

    conductivity: Float[Array, ""] = parameter(
        1.0, "use fv.Layered(conductivity) for one value per cell"
    )

    def coefficient(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """k."""
        return jnp.broadcast_to(self.conductivity, u.shape)

    def potential(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """k u."""
        return self.conductivity * u


class PorousMedium(Diffusion):
    """k(u) = u^m for u >= 0: fronts of finite speed.

    Source: Vázquez, The Porous Medium Equation (2007).
    """

    exponent: Float[Array, ""] = parameter(2.0)
    face: Mean = eqx.field(static=True, default="integral")

    def __check_init__(self) -> None:
        check_mean(self.face)

    def coefficient(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """u^m; zero at u <= 0."""
        return safe.power(u, self.exponent)

    def potential(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """u^(m + 1)/(m + 1)."""
        return safe.power(u, self.exponent + 1) / (self.exponent + 1)

    def mean(self) -> Mean:
        """The choice made in `face`."""
        return self.face

    def lower_bound(self) -> float:
        """0: below it nothing diffuses."""
        return 0.0
