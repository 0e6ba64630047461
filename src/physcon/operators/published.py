"""The boundary correction as the published BOON code computes it, faults included.

For comparison with published results and weights only; use `physcon.operators.correct`
instead. Its differences from the paper's algebra, all kept here because the results
depend on them:

- pivots are one number for all channels, the response of output channel 0 to impulses in every
  input channel at once, so boundary rows are not eliminated for more than one channel;
- pivots below a tolerance are set to it: by absolute value in one dimension, one-sided in two, so
  that every negative pivot becomes 1e-4 there;
- in two dimensions the right node starts from the corrected left one;
- Dirichlet layers in two dimensions are smoothed over three points next to the sides;
- Neumann layers are halved, and in one dimension only their right row is eliminated.

The exact boundary values come from the last overwrite of the network. What the code
computes with three to seven kernel calls is done here on the modes, with one transform
pair.

Source: the code of Saad et al., ICLR 2023, in one and two dimensions.
"""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._typing import Array, Float
from physcon.operators.elimination import boundary_waves
from physcon.operators.fno import FNO, Field, crop, gelu, with_coordinates
from physcon.operators.spectral import (
    Method,
    Modes,
    Weights,
    analyse,
    choose_method,
    mix,
    synthesise,
)

_SMOOTHED = 5  # nodes next to each side, the side itself included


class PublishedBoundary(eqx.Module):
    """Conditions on both sides of the first axis, in the published code's terms.

    Attributes:
        left, right: values, ``()`` in one dimension, ``(t,)`` in two.
        left_stencil, right_stencil: for Neumann, in the order of the nodes: on the left
            u_0 = left c_0 - Σ_{s>0} c_s u_s, on the right u_N = right c_N - Σ_{s<N} c_s u_s.
    """

    kind: Literal["dirichlet", "neumann", "periodic"] = eqx.field(static=True)
    left: Float[Array, "*t"] = eqx.field(converter=jnp.asarray, default=0.0)
    right: Float[Array, "*t"] = eqx.field(converter=jnp.asarray, default=0.0)
    left_stencil: Float[Array, " k"] | None = None
    right_stencil: Float[Array, " q"] | None = None


def published_boon_fno(
    fno: FNO, u: Float[Array, "1 *x"], boundary: PublishedBoundary
) -> Float[Array, "1 *x"]:
    """The published BOON-FNO in one or two dimensions (x; or x and t, conditions on x).

    Args:
        fno: parameters as from `fno_from_pytorch`; its own padding is not used: t is padded by 9
            points, unless periodic.
    """
    space = u.shape[1:]
    points = 9 if len(space) == 2 and boundary.kind != "periodic" else 0
    padded = _pad_values(boundary, points)
    masked = len(space) == 2 and boundary.kind != "periodic"
    v = fno.lift(with_coordinates(u))
    v = jnp.pad(v, [(0, 0)] * (v.ndim - 1) + [(0, points)])
    for i, block in enumerate(fno.blocks):
        v = published_spectral_conv(block.weights(), v, padded) + _finish(
            block.skip(v), padded
        )
        if i + 1 < len(fno.blocks):
            v = _activate(v, masked)
    v = fno.projection.first(crop(v, space))
    return _last(fno.projection.second(_activate(v, masked)), boundary)


def published_spectral_conv(
    weights: Weights,
    x: Float[Array, "c *x"],
    boundary: PublishedBoundary,
    method: Method = "auto",
) -> Float[Array, "c *x"]:
    """One corrected layer: elimination with scalar pivots, then the boundary rows."""
    sides = {
        "dirichlet": (True, True),
        "neumann": (x.ndim == 3, True),
        "periodic": (False, False),
    }[boundary.kind]
    return _finish(published_elimination(weights, x, *sides, method), boundary)


def published_elimination(
    weights: Weights,
    x: Float[Array, "c *x"],
    left: bool,
    right: bool,
    method: Method = "auto",
) -> Float[Array, "c *x"]:
    """K T x with scalar pivots, before any boundary row is set."""
    kept, space = weights.shape[3:], x.shape[1:]
    require(
        len(space) <= 2,
        "one or two dimensions",
        len(space),
        "use physcon.operators.correct",
    )
    method = choose_method(space, kept) if method == "auto" else method
    line = len(space) == 1
    shift, read = boundary_waves(space[0], kept[0], line, np.array([0, space[0] - 1]))

    def response(node: int, modes: Modes) -> Field:
        """(K x) at a node, for x given by its modes."""
        row = jnp.asarray(read[node], modes.dtype)
        values = jnp.einsum("m,om...->o...", row, mix(weights, modes))
        return values.real if line else synthesise(values, space[1:], "matmul")

    def add(modes: Modes, node: int, delta: Field) -> Modes:
        """The modes after x has changed by delta at a node."""
        wave = jnp.asarray(shift[node], modes.dtype)
        along = (
            delta.astype(modes.dtype) if line else analyse(delta, kept[1:], "matmul")
        )
        return modes + jnp.einsum("m,i...->im...", wave, along)

    def safe(pivot: Field) -> Field:
        if line:
            return jnp.where(jnp.abs(pivot) < 1e-7, 1e-7, pivot)
        return jnp.where(pivot < 1e-4, 1e-4, pivot)

    modes = analyse(x, kept, method)
    ones, nothing = jnp.ones_like(x[:, 0]), jnp.zeros_like(modes)
    from_left, from_right = add(nothing, 0, ones), add(nothing, 1, ones)
    k00, kn0 = safe(response(0, from_left)[:1]), response(1, from_left)[:1]
    k0n, knn = response(0, from_right)[:1], safe(response(1, from_right)[:1])
    first, last = x[:, 0], x[:, -1]
    if left:
        pivot = safe(k00 - kn0 * k0n / knn)
        freed = response(0, modes) - response(1, modes) * k0n / knn + k0n * last
        first = 2 * x[:, 0] - freed / pivot
        modes = add(modes, 0, first - x[:, 0])
    if right:
        start = last if line else first
        modes = add(modes, 1, 2 * start - response(1, modes) / knn - last)
    return synthesise(mix(weights, modes), space, method)


def _finish(u: Field, boundary: PublishedBoundary) -> Field:
    """Boundary rows of a layer's output, then what the code does to its neighbourhood."""
    u = _set_rows(u, boundary)
    if boundary.kind == "dirichlet" and u.ndim == 3:
        return _smooth(u)
    return u / 2 if boundary.kind == "neumann" else u


def _last(u: Field, boundary: PublishedBoundary) -> Field:
    u = _set_rows(u, boundary)
    return _smooth(u) if boundary.kind == "dirichlet" and u.ndim == 3 else u


def _set_rows(u: Field, boundary: PublishedBoundary) -> Field:
    if boundary.kind == "periodic":
        left = right = 0.5 * (u[:, 0] + u[:, -1])
    else:
        left, right = boundary.left, boundary.right
        if boundary.kind == "neumann":
            left = _solve(u, left, boundary.left_stencil, 0)
            right = _solve(u, right, boundary.right_stencil, -1)
    row = u[:, 0].shape
    return (
        u.at[:, 0]
        .set(jnp.broadcast_to(left, row))
        .at[:, -1]
        .set(jnp.broadcast_to(right, row))
    )


def _solve(u: Field, value: Array, stencil: Array | None, side: int) -> Array:
    if stencil is None:
        raise ValueError(
            "expected stencils on both sides for Neumann, got None; pass both"
        )
    k = stencil.shape[0]
    near, c = (u[:, 1:k], stencil[1:]) if side == 0 else (u[:, -k:-1], stencil[:-1])
    inner = jnp.einsum("s,cs...->c...", c, near, precision="highest")
    return jnp.broadcast_to(value * stencil[side], inner.shape) - inner


def _smooth(u: Field) -> Field:
    mean = (u[:, :-2] + u[:, 1:-1] + u[:, 2:]) / 3
    k, n = _SMOOTHED, u.shape[1]
    return (
        u.at[:, 1:k].set(mean[:, : k - 1]).at[:, n - k : n - 1].set(mean[:, -(k - 1) :])
    )


def _activate(v: Field, masked: bool) -> Field:
    return v.at[:, 1:-1].set(gelu(v[:, 1:-1])) if masked else gelu(v)


def _pad_values(boundary: PublishedBoundary, points: int) -> PublishedBoundary:
    if points == 0:
        return boundary
    return eqx.tree_at(
        lambda b: (b.left, b.right),
        boundary,
        replace_fn=lambda v: jnp.pad(v, (0, points)),
    )
