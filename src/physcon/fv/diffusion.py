"""Diffusive fluxes, u_t = div(k(u) grad u), where k may vanish or jump.

The face flux is -(mean of k) (u_right - u_left) / distance. With the ``"integral"``
mean it is a difference of the Kirchhoff potential Φ, Φ' = k: monotone, never 0/0, and a
front enters an empty cell. ``"arithmetic"`` and ``"harmonic"`` means are there to
compare: the harmonic one is zero where either k is, so that a front into k = 0 is
locked; see Maddix, Sampaio and Gerritsen, J. Comput. Phys. 361 (2018) 280, and for
jumping k J. Comput. Phys. 368 (2018) 277.
"""

import abc
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float
from physcon.boundary import Condition, Dirichlet, Neumann, Robin
from physcon.fv.ghost import (
    Sides,
    along,
    at_face,
    beyond_sides,
    impose_flux,
    is_periodic,
    outer_sides,
    take,
    with_ends,
)
from physcon.fv.scalar import number
from physcon.fv.stefan import shock_based_flux

Mean = Literal["integral", "arithmetic", "harmonic", "shock"]


class Diffusion(eqx.Module):
    """A diffusion law; subclass it with `coefficient` k and `potential` Φ, Φ' = k.

    Shapes: pointwise on states ``(c, *x)``; every channel diffuses by itself.
    """

    @abc.abstractmethod
    def coefficient(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """k(u) >= 0."""

    @abc.abstractmethod
    def potential(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """Φ(u), the integral of k."""

    def mean(self) -> Mean:
        """Which mean of k a face takes."""
        return "integral"

    def face_gradient_flux(
        self, u_left: Float[Array, "*s"], u_right: Float[Array, "*s"]
    ) -> Float[Array, "*s"]:
        """-(mean of k) (u_right - u_left): the flux times the distance of the two
        values.
        """
        if self.mean() == "integral":
            return self.potential(u_left) - self.potential(u_right)
        k_left, k_right = self.coefficient(u_left), self.coefficient(u_right)
        total = k_left + k_right
        if self.mean() == "arithmetic":
            return 0.5 * total * (u_left - u_right)
        product = 2 * k_left * k_right
        return product / jnp.where(total > 0, total, 1) * (u_left - u_right)


def _check_mean(mean: str, *more: str) -> None:
    means = ("integral", "arithmetic", "harmonic", *more)
    require(
        mean in means, f"one of {means}", repr(mean), "choose a mean of k at the faces"
    )


class Heat(Diffusion):
    """Constant conductivity: u_t = k Δu."""

    conductivity: Float[Array, ""] = eqx.field(converter=number, default=1.0)

    def coefficient(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """k."""
        return jnp.broadcast_to(self.conductivity, u.shape)

    def potential(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """k u."""
        return self.conductivity * u


class PorousMedium(Diffusion):
    """k(u) = u^m, u >= 0: fronts of finite speed (Vázquez, The Porous Medium Equation,
    2007).
    """

    exponent: Float[Array, ""] = eqx.field(converter=number, default=2.0)
    face: Mean = eqx.field(static=True, default="integral")

    def __check_init__(self) -> None:
        _check_mean(self.face)

    def coefficient(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """u^m; zero at u <= 0."""
        return _power(u, self.exponent)

    def potential(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """u^(m + 1)/(m + 1)."""
        return _power(u, self.exponent + 1) / (self.exponent + 1)

    def mean(self) -> Mean:
        """The choice made in `face`."""
        return self.face


class Stefan(Diffusion):
    """k = `above` where u >= threshold, `below` elsewhere: a front with a jump of k.

    ``face="shock"`` follows the front inside its cell (`physcon.fv.stefan`): second
    order and no staircase in time, on uniform axes, for `below` = 0 and a cold side at
    u = 0.
    """

    threshold: Float[Array, ""] = eqx.field(converter=number, default=0.5)
    above: Float[Array, ""] = eqx.field(converter=number, default=1.0)
    below: Float[Array, ""] = eqx.field(converter=number, default=0.0)
    face: Mean = eqx.field(static=True, default="integral")

    def __check_init__(self) -> None:
        _check_mean(self.face, "shock")

    def coefficient(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """The step."""
        return jnp.where(u >= self.threshold, self.above, self.below)

    def potential(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """Its integral, from the threshold."""
        excess = u - self.threshold
        return self.above * jnp.maximum(excess, 0) + self.below * jnp.minimum(excess, 0)

    def mean(self) -> Mean:
        """The choice made in `face`."""
        return self.face


class Mixed(eqx.Module):
    """A hyperbolic law and a diffusion together: u_t + div F(u) = div(k(u) grad u)."""

    hyperbolic: Any
    diffusion: Diffusion


def diffusive_flux(
    u: Float[Array, "c *x"],
    law: Diffusion,
    widths: Float[Array, "..."],
    sides: Sides,
    axis: int,
) -> Float[Array, "c *f"]:
    """Fluxes through the faces of one axis; on a side the condition's value sits at the
    face.

    Shapes: `widths` a scalar or ``(n,)``; the result has n + 1 entries along the axis.
    Outflow and Reflective sides are insulated.
    """
    values, distances = with_side_values(u, widths, sides, axis)
    n = values.shape[1 + axis]
    if isinstance(law, Stefan) and law.face == "shock":
        require(
            widths.ndim == 0 and not is_periodic(outer_sides(sides)),
            "a uniform axis that is not periodic",
            f"axis {axis}",
            "use the integral mean there",
        )
        flux = shock_based_flux(
            values, distances, widths, sides, law.threshold, law.above, axis
        )
        return impose_flux(flux, sides, axis)
    flux = law.face_gradient_flux(
        take(values, 0, n - 1, axis), take(values, 1, n, axis)
    )
    flux = _with_prescribed_gradients(flux, values, law, sides, axis)
    return impose_flux(flux / along(distances, u.ndim, axis), sides, axis)


def _with_prescribed_gradients(
    flux: Array, values: Array, law: Diffusion, sides: Sides, axis: int
) -> Array:
    """At sides that prescribe the gradient the flux is -k(u at the face) times it.

    A mean of k over the half cell would be k a quarter of a cell inside: first order in
    h.
    """
    n = values.shape[1 + axis]

    def end(side: Condition, at: int, face: int) -> Array:
        if not isinstance(side, Neumann | Robin):
            return take(flux, at, at + 1, axis)
        left, right = take(values, at, at + 1, axis), take(values, at + 1, at + 2, axis)
        return take(k, face, face + 1, axis) * (left - right)

    outer = outer_sides(sides)
    if not any(isinstance(side, Neumann | Robin) for side in outer):
        return flux
    k = law.coefficient(values)  # of all of them: it may depend on the place
    return with_ends(
        flux, (end(outer[0], 0, 0), end(outer[1], n - 2, n - 1)), sides, axis
    )


def diffusive_rate(
    u: Float[Array, "c *x"],
    law: Diffusion,
    widths: Float[Array, "..."],
    sides: Sides,
    axis: int,
) -> Float[Array, "*x"]:
    """Per cell the sum of k over distance and width of its two faces: an explicit step
    of ``dt * rate <= 1`` keeps the maximum principle.
    """
    values, distances = with_side_values(u, widths, sides, axis)
    k = jnp.max(law.coefficient(values), axis=0, keepdims=True)
    n = k.shape[1 + axis]
    face = jnp.maximum(take(k, 0, n - 1, axis), take(k, 1, n, axis))
    face = face / along(distances, u.ndim, axis)
    both = take(face, 0, n - 2, axis) + take(face, 1, n - 1, axis)
    return (both / along(widths, u.ndim, axis))[0]


def with_side_values(
    u: Float[Array, "c *x"],
    widths: Float[Array, "..."],
    sides: Sides,
    axis: int,
) -> tuple[Float[Array, "c *p"], Float[Array, " f"]]:
    """`u` with the value at each side (or the neighbour across), and the n + 1
    distances.
    """
    n = u.shape[1 + axis]
    h = jnp.broadcast_to(widths, (n,))
    inner = 0.5 * (h[1:] + h[:-1])
    first, last = take(u, 0, 1, axis), take(u, n - 1, n, axis)

    def outside(sides: Sides) -> tuple[Array, Array]:
        lower = _side_value(first, 0.5 * h[:1], sides[0], axis)
        return lower, _side_value(last, -0.5 * h[-1:], sides[1], axis)

    ends = beyond_sides(first, last, sides, outside)
    nothing = jnp.zeros_like(h[:1])  # a side value sits on the face
    uniform = widths.ndim == 0
    before, after = beyond_sides(
        h[:1], h[-1:], sides, lambda _: (nothing, nothing), uniform
    )
    values = jnp.concatenate([ends[0], u, ends[1]], axis=1 + axis)
    gaps = [0.5 * (before + h[:1]), inner, 0.5 * (h[-1:] + after)]
    return values, jnp.concatenate(gaps)


def _side_value(inner: Array, gap: Array, condition: Condition, axis: int) -> Array:
    """Value at the face; `gap` is the signed distance from the face to the inner cell's
    centre.
    """
    gap = gap.reshape((1,) * inner.ndim)
    if isinstance(condition, Dirichlet):
        return jnp.broadcast_to(at_face(condition.value, inner, axis), inner.shape)
    if isinstance(condition, Neumann):
        return inner - gap * at_face(condition.derivative, inner, axis)
    if isinstance(condition, Robin):
        a, b, value = (
            at_face(x, inner, axis) for x in (condition.a, condition.b, condition.value)
        )
        return (value - b / gap * inner) / (a - b / gap)
    return inner


def _power(u: Array, exponent: Array) -> Array:
    """u^exponent for u > 0, else 0, with a derivative there (0) as well."""
    wet = u > 0
    return jnp.where(wet, jnp.where(wet, u, 1) ** exponent, 0)
