"""Diffusive fluxes through the faces of one axis, and the step that they allow."""

import jax.numpy as jnp

from physcon._extremes import largest_of
from physcon._typing import Array, Float
from physcon.fv.diffusion.law import Diffusion
from physcon.fv.diffusion.line import line_along
from physcon.fv.ghost import Sides, along, impose_flux, take


def diffusive_flux(
    u: Float[Array, "c *x"],
    law: Diffusion,
    widths: Float[Array, "..."],
    sides: Sides,
    axis: int,
) -> Float[Array, "c *f"]:
    """Fluxes through the faces of one axis.

    On a side the value of its condition lies at the face. Outflow and Reflective sides
    are insulated.

    Shapes: `widths` is a scalar or ``(n,)``; the result has n + 1 entries along the
    axis.
    """
    line = line_along(u, widths, sides, axis)
    return impose_flux(law.flux_along(line), sides, axis)


def diffusive_rate(
    u: Float[Array, "c *x"],
    law: Diffusion,
    widths: Float[Array, "..."],
    sides: Sides,
    axis: int,
) -> Float[Array, "*x"]:
    """Per cell the sum of k over distance and width of its two faces.

    An explicit step of ``dt * rate <= 1`` keeps the maximum principle.
    """
    line = line_along(u, widths, sides, axis)
    k = largest_of(law.coefficient(line.values), axis=0, keepdims=True)
    n = k.shape[1 + axis]
    face = jnp.maximum(take(k, 0, n - 1, axis), take(k, 1, n, axis))
    face = face / line.gaps()
    both = take(face, 0, n - 2, axis) + take(face, 1, n - 1, axis)
    return (both / along(widths, u.ndim, axis))[0]
