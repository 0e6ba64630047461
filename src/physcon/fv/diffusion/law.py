"""The contract of a diffusion, u_t = div(k(u) grad u), where k may vanish or jump.

The face flux is -(mean of k) (u_right - u_left) / distance. With the ``"integral"``
mean it is a difference of the Kirchhoff potential Φ, Φ' = k: monotone, never 0/0, and a
front enters an empty cell. The ``"arithmetic"`` and ``"harmonic"`` means exist for
comparison: the harmonic one is zero where either k is zero, so that a front into k = 0
stops.

Source: Maddix, Sampaio and Gerritsen, J. Comput. Phys. 361 (2018) 280; for jumping k,
J. Comput. Phys. 368 (2018) 277.
"""

import abc
from typing import Literal

import equinox as eqx

from physcon._checks import require
from physcon._numerics import safe
from physcon._typing import Array, Float
from physcon.fv.diffusion.line import (
    Line,
    has_prescribed_gradient,
    with_prescribed_gradients,
)

Mean = Literal["integral", "arithmetic", "harmonic", "shock"]


class Diffusion(eqx.Module):
    """A diffusion law; subclass it with `coefficient` k and `potential` Φ, Φ' = k.

    Shapes: pointwise on states ``(c, *x)``; every channel diffuses by itself.
    """

    @property
    def hyperbolic(self) -> None:
        """The hyperbolic part of the equation: none."""
        return None

    @property
    def diffusion(self) -> "Diffusion":
        """The diffusive part of the equation: the law itself."""
        return self

    @abc.abstractmethod
    def coefficient(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """k(u) >= 0."""

    @abc.abstractmethod
    def potential(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """Φ(u), the integral of k."""

    def mean(self) -> Mean:
        """The mean of k that a face takes."""
        return "integral"

    def lower_bound(self) -> float | None:
        """The smallest value of u for which the law makes sense, or None."""
        return None

    def face_gradient_flux(
        self, u_left: Float[Array, "*s"], u_right: Float[Array, "*s"]
    ) -> Float[Array, "*s"]:
        """-(mean of k) (u_right - u_left): the flux times the distance."""
        if self.mean() == "integral":
            return self.potential(u_left) - self.potential(u_right)
        k_left = self.coefficient(u_left)
        k_right = self.coefficient(u_right)
        if self.mean() == "arithmetic":
            return 0.5 * (k_left + k_right) * (u_left - u_right)
        share = safe.divide(k_left, k_left + k_right)
        return 2 * share * k_right * (u_left - u_right)

    def flux_along(self, line: Line) -> Float[Array, "c *f"]:
        """Fluxes through the n + 1 faces of a line of n cells."""
        flux = self.face_gradient_flux(*line.pairs())
        if has_prescribed_gradient(line.sides):
            # k at all values, since it may depend on the place.
            k = self.coefficient(line.values)
            flux = with_prescribed_gradients(flux, k, line)
        return flux / line.gaps()


def check_mean(mean: str, *more: str) -> None:
    """Raise ValueError unless `mean` is one of the three means, or one of `more`."""
    means = ("integral", "arithmetic", "harmonic", *more)
    require(
        mean in means, f"one of {means}", repr(mean), "choose a mean of k at the faces"
    )
