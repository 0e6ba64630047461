"""Weights of readings along one axis: interpolation at points, averages over boxes."""

import jax
import jax.numpy as jnp

from physcon._numerics.float64 import float64_primal
from physcon._numerics.positions import difference
from physcon._typing import Array, Float, Scalar


@float64_primal
def line_weights(
    position: Float[Array, "2 k"],
    lower_end: Float[Array, " 2"],
    margin: Scalar,
    gaps: Float[Array, " g"],
    widths: Float[Array, " n"] | None,
    half: Scalar | None,
    eps: Scalar,
) -> Float[Array, "k n"]:
    """Weights along one axis of point readings, or of averages over boxes.

    Args:
        margin: distance of the first point from the lower end of the domain.
        widths: of cells; None for nodes.
        half: half of the width of a box; None for point readings.
        eps: rounding of the gaps.
    """
    p = difference(position, lower_end)
    if half is None:
        return _hats(p, margin, gaps, eps)
    primitive = (
        (lambda p: _primitive_of_nodes(p, gaps))
        if widths is None
        else (lambda p: _primitive_of_cells(p, widths))
    )
    return (primitive(p + half) - primitive(p - half)) / (2 * half)


def _hats(
    p: Float[Array, " k"], margin: Scalar, gaps: Float[Array, " g"], eps: Scalar
) -> Float[Array, "k n"]:
    """Piecewise linear interpolation weights, constant beyond the outermost points.

    A sensor that is at a point up to rounding sees that point alone: draws within
    bounds could not move a neighbour with a weight of 1e-7.
    """
    left = margin + _starts(gaps)
    share = jnp.clip((p[:, None] - left[None]) / gaps[None], 0, 1)
    rounding = eps * jnp.arange(1, gaps.size + 1, dtype=gaps.dtype)[None]
    near = jnp.where(share < rounding, 0, jnp.where(share > 1 - rounding, 1, share))
    share = share + jax.lax.stop_gradient(near - share)
    from_left = jnp.pad(share, ((0, 0), (1, 0)), constant_values=1)
    return from_left - jnp.pad(share, ((0, 0), (0, 1)))


def _primitive_of_cells(
    p: Float[Array, " k"], widths: Float[Array, " n"]
) -> Float[Array, "k n"]:
    """Integral from the lower end to p of each cell's indicator function."""
    return jnp.clip(p[:, None] - _starts(widths)[None], 0, widths[None])


def _primitive_of_nodes(
    p: Float[Array, " k"], gaps: Float[Array, " g"]
) -> Float[Array, "k g+1"]:
    """Integral from the lower end to p of each node's hat function."""
    s = jnp.clip(p[:, None] - _starts(gaps)[None], 0, gaps[None])
    right = s * (s / (2 * gaps[None]))
    return jnp.pad(s - right, ((0, 0), (0, 1))) + jnp.pad(right, ((0, 0), (1, 0)))


def _starts(gaps: Float[Array, " g"]) -> Float[Array, " g"]:
    """The start of each interval, measured from the first one."""
    return jnp.cumsum(gaps) - gaps
