"""The Stefan problem: a coefficient that jumps at a threshold."""

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float
from physcon.fv.diffusion.front import shock_based_flux
from physcon.fv.diffusion.law import Diffusion, Mean, check_mean
from physcon.fv.diffusion.line import Line
from physcon.fv.ghost import is_periodic, outer_sides
from physcon.fv.parameter import parameter


class Stefan(Diffusion):
    """k = `above` where u >= threshold, `below` elsewhere: a front with a jump of k.

    ``face="shock"`` follows the front inside its cell, see
    `physcon.fv.diffusion.front`: second order and no staircase in time, on uniform
    axes, for `below` = 0 and a cold side at u = 0.
    """

    threshold: Float[Array, ""] = parameter(0.5)
    above: Float[Array, ""] = parameter(1.0)
    below: Float[Array, ""] = parameter(0.0)
    face: Mean = eqx.field(static=True, default="integral")

    def __check_init__(self) -> None:
        check_mean(self.face, "shock")

    def coefficient(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """The step."""
        return jnp.where(u >= self.threshold, self.above, self.below)

    def potential(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """The integral of the step, from the threshold."""
        excess = u - self.threshold
        return self.above * jnp.maximum(excess, 0) + self.below * jnp.minimum(excess, 0)

    def mean(self) -> Mean:
        """The choice made in `face`."""
        return self.face

    def flux_along(self, line: Line) -> Float[Array, "c *f"]:
        """Fluxes through the faces, with the front inside its cell if asked for."""
        if self.face != "shock":
            return super().flux_along(line)
        require(
            line.widths.ndim == 0 and not is_periodic(outer_sides(line.sides)),
            "a uniform axis that is not periodic, for face='shock'",
            f"axis {line.axis}",
            "use the integral mean there",
        )
        return shock_based_flux(line, self.threshold, self.above)
