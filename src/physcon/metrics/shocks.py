"""The position of a shock in a profile, and its error over samples."""

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require_shape
from physcon._deprecation import accepts_old_positions
from physcon._typing import Array, ArrayLike, Bool, Float, Scalar


class ShockPosition(eqx.Module):
    """The first point at which a profile falls to a threshold.

    Attributes:
        position: the coordinate; the last coordinate if there is no crossing.
        found: whether there is a crossing.
    """

    position: Float[Array, "..."]
    found: Bool[Array, "..."]


@accepts_old_positions
def shock_position(
    x: Float[Array, " n"],
    u: Float[Array, " n"],
    threshold: ArrayLike = 0.0,
    *,
    interpolate: bool = False,
) -> ShockPosition:
    """First coordinate where u <= threshold.

    Shapes:
        u is one profile and x increases; batch over samples with `jax.vmap`.

    Args:
        interpolate: with True, the crossing of the straight line from the previous
            point, which lies within the interval and is differentiable in u. With
            False, the coordinate of the point itself, as published.

    Source:
        The downstream task of Hansen et al. (2023). Their code multiplies the index by
        a spacing of 1/n on n points, and takes index 0 if no point is below the
        threshold.
    """
    require_shape(u, x.shape, "u")
    below = u <= threshold
    i = jnp.argmax(below)
    found = below[i]
    position = jnp.where(found, x[i], x[-1])
    if interpolate:
        before = jnp.maximum(i - 1, 0)
        drop = u[before] - u[i]
        crosses = found & (i > 0)
        share = (u[before] - threshold) / jnp.where(crosses, drop, 1.0)
        position = jnp.where(crosses, x[before] + share * (x[i] - x[before]), position)
    return ShockPosition(position, found)


def shock_position_error(
    shocks: ShockPosition, truth: ArrayLike
) -> tuple[Scalar, Scalar]:
    """Mean distance of the found positions from the true one, and the fraction found.

    The distance is infinite if no sample has a shock.

    Shapes:
        The shocks of a batch of samples are ``(s,)``; there is one true position.
    """
    distance = jnp.abs(shocks.position - jnp.asarray(truth, shocks.position.dtype))
    number = jnp.sum(shocks.found.astype(distance.dtype))
    mean = jnp.sum(jnp.where(shocks.found, distance, 0.0)) / jnp.maximum(number, 1)
    return jnp.where(number > 0, mean, jnp.inf), jnp.mean(
        shocks.found.astype(distance.dtype)
    )
