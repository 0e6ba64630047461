"""The boundary correction as the published BOON code computes it, with its faults.

Use it to compare with published results and weights only; for anything else use
`physcon.operators.correct`. The code differs from the algebra of the article as
follows, and all of it is reproduced here because the results depend on it:

- pivots are one number for all channels: the response of output channel 0 to impulses
  in every input channel at once. Boundary rows are therefore not eliminated if there is
  more than one channel;
- pivots below a tolerance are replaced by it: by absolute value in one and three
  dimensions, but one-sided in two, so that every negative pivot becomes 1e-4 there;
- in two and three dimensions the right node starts from the corrected left one;
- Dirichlet layers in two dimensions are smoothed over three points next to the sides;
- Neumann layers are halved, and in one dimension only their right row is eliminated;
- in three dimensions only the rows normal to x are eliminated, with the pivots of the
  line y = 0; the faces normal to y are overwritten.

The exact boundary values come from the last overwrite of the network. The code calls a
kernel three to seven times per layer; here the same numbers are computed on the modes,
with one transform pair.

Source: the code of Saad et al., ICLR 2023 (github.com/amazon-science/boon).
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float
from physcon.operators.fno import FNO, crop, with_coordinates
from physcon.operators.impulses import boundary_waves
from physcon.operators.layers import Field, gelu
from physcon.operators.published_rows import (
    PublishedBoundary,
    finish_layer,
    require_published,
    set_last,
)
from physcon.operators.spectral import (
    Method,
    Modes,
    Weights,
    analyse,
    choose_method,
    mix,
    synthesise,
)

_TIME_PADDING = {1: 0, 2: 9, 3: 6}  # by the number of dimensions; 0 if periodic


def published_boon_fno(
    fno: FNO, u: Float[Array, "1 *x"], boundary: PublishedBoundary
) -> Float[Array, "1 *x"]:
    """The published BOON-FNO in one to three dimensions: x; x and t; x, y and t.

    Args:
        fno: parameters as from `fno_from_pytorch`. Its own padding is not used: unless
            the boundary is periodic, t is padded by 9 points in two dimensions and by 6
            in three.
    """
    space = u.shape[1:]
    require_published(boundary, len(space))
    walled = boundary.kind != "periodic"
    masked = walled and len(space) > 1
    points = _TIME_PADDING[len(space)] if walled else 0
    padded = _pad_values(boundary, points)
    v = fno.lift(with_coordinates(u))
    v = jnp.pad(v, [(0, 0)] * (v.ndim - 1) + [(0, points)])
    for i, block in enumerate(fno.blocks):
        convolved = published_spectral_conv(block.weights(), v, padded)
        v = convolved + finish_layer(block.skip(v), padded)
        if i + 1 < len(fno.blocks):
            v = _activate(v, masked)
    v = fno.projection.first(crop(v, space))
    return set_last(fno.projection.second(_activate(v, masked)), boundary)


def published_spectral_conv(
    weights: Weights,
    x: Float[Array, "c *x"],
    boundary: PublishedBoundary,
    method: Method = "auto",
) -> Float[Array, "c *x"]:
    """One corrected layer: elimination with scalar pivots, then the boundary rows."""
    require_published(boundary, x.ndim - 1)
    left, right = {
        "dirichlet": (True, True),
        "neumann": (x.ndim == 3, True),
        "periodic": (False, False),
    }[boundary.kind]
    return finish_layer(
        published_elimination(weights, x, left, right, method), boundary
    )


def published_elimination(
    weights: Weights,
    x: Float[Array, "c *x"],
    left: bool,
    right: bool,
    method: Method = "auto",
) -> Float[Array, "c *x"]:
    """K T x with scalar pivots, before any boundary row is set."""
    kept = weights.shape[3:]
    space = x.shape[1:]
    method = choose_method(space, kept) if method == "auto" else method
    ndim = len(space)
    nodes = np.array([0, space[0] - 1])
    shift, read = boundary_waves(space[0], kept[0], ndim == 1, nodes)

    def response(node: int, modes: Modes) -> Field:
        """(K x) at a node, for x given by its modes: ``(c, *face)``."""
        row = jnp.asarray(read[node], modes.dtype)
        values = jnp.einsum("m,om...->o...", row, mix(weights, modes))
        return values.real if ndim == 1 else synthesise(values, space[1:], "matmul")

    def add(modes: Modes, node: int, delta: Field) -> Modes:
        """The modes after x has changed by delta at a node."""
        wave = jnp.asarray(shift[node], modes.dtype)
        if ndim == 1:
            across = delta.astype(modes.dtype)
        else:
            across = analyse(delta, kept[1:], "matmul")
        return modes + jnp.einsum("m,i...->im...", wave, across)

    def pivot(value: Field) -> Field:
        """The entry of output channel 0, in three dimensions on the line y = 0."""
        return value[:1, :1] if ndim == 3 else value[:1]

    def safe(pivot: Field) -> Field:
        if ndim == 2:
            return jnp.where(pivot < 1e-4, 1e-4, pivot)
        least = 1e-7 if ndim == 1 else 1e-4
        return jnp.where(jnp.abs(pivot) < least, least, pivot)

    modes = analyse(x, kept, method)
    ones = jnp.ones_like(x[:, 0])
    nothing = jnp.zeros_like(modes)
    from_left = add(nothing, 0, ones)
    from_right = add(nothing, 1, ones)
    k00 = safe(pivot(response(0, from_left)))
    kn0 = pivot(response(1, from_left))
    k0n = pivot(response(0, from_right))
    knn = safe(pivot(response(1, from_right)))
    first = x[:, 0]
    last = x[:, -1]
    if left:
        schur = safe(k00 - kn0 * k0n / knn)
        freed = response(0, modes) - response(1, modes) * k0n / knn + k0n * last
        first = 2 * x[:, 0] - freed / schur
        modes = add(modes, 0, first - x[:, 0])
    if right:
        start = last if ndim == 1 else first
        modes = add(modes, 1, 2 * start - response(1, modes) / knn - last)
    return synthesise(mix(weights, modes), space, method)


def _activate(v: Field, masked: bool) -> Field:
    """GELU, with `masked` on nodes that no condition sets."""
    if not masked:
        return gelu(v)
    inside = (slice(None), *(slice(1, -1),) * (v.ndim - 2))
    return v.at[inside].set(gelu(v[inside]))


def _pad_values(boundary: PublishedBoundary, points: int) -> PublishedBoundary:
    """Zeros appended to the values along t."""
    if points == 0:
        return boundary

    def padded(value: Array | None) -> Array | None:
        if value is None:
            return None
        return jnp.pad(value, [(0, 0)] * (value.ndim - 1) + [(0, points)])

    return eqx.tree_at(
        lambda b: (b.left, b.right, b.top, b.down),
        boundary,
        replace_fn=padded,
        is_leaf=lambda x: x is None,
    )
