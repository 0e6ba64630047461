"""The paper's kernel correction: Gaussian elimination of the kernel's boundary rows.

    K → K T with  e_rᵀ K T = d_r e_rᵀ  at the boundary nodes r

T adds impulses δ at the boundary nodes, so K T = K + (K E) G⁻¹ (D Eᵀ - Eᵀ K), a
correction of rank 2 C. A boundary value of K x then depends on the same boundary value
of x alone, and setting it (`overwrite`) completes the correction. The pivots are
matrices: G and D have C x C blocks.

For a spectral convolution no transform is added to the layer's own pair: a boundary
value of K x is a sum over its kept modes, and an impulse in x has constant modes.

Source: Saad et al., Guiding continuous operator learning through physics-based boundary
constraints, ICLR 2023, sec. 3 and algorithms 1 to 3, with the scalar kernel entries
replaced by blocks and the repeated kernel calls summed in closed form.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._numerics.float64 import float64_primal
from physcon._typing import Array, Float, Inexact, Shape
from physcon.operators.impulses import boundary_waves, symmetriser
from physcon.operators.spectral import (
    Method,
    Modes,
    Weights,
    along,
    analyse,
    check_modes,
    choose_method,
    dft,
    mix,
    synthesise,
)

Blocks = Inexact[Array, "p p c c"]


def eliminate(
    kernel: Callable[[Float[Array, "c x"]], Float[Array, "c x"]],
    x: Float[Array, "c x"],
    sides: tuple[int, ...],
) -> Float[Array, "c x"]:
    """K T x for any linear kernel in one dimension, by C kernel calls per side.

    Args:
        sides: 0 (lower) and 1 (upper), whose rows are eliminated; lower first.
    """
    channels, n = x.shape
    require(jax.eval_shape(kernel, x).shape == x.shape, "a kernel that keeps the shape",
            jax.eval_shape(kernel, x).shape, "use form='lift'")  # fmt: skip
    nodes = np.array([0, n - 1])[list(sides)]
    impulses = jnp.zeros((len(nodes), channels, channels, n), x.dtype)
    for s, node in enumerate(nodes):
        impulses = impulses.at[s, :, :, node].set(jnp.eye(channels, dtype=x.dtype))
    columns = jax.vmap(jax.vmap(kernel))(
        impulses
    )  # (side s, channel in, channel out, n)
    blocks = jnp.transpose(columns[..., nodes], (3, 0, 2, 1))
    kx = kernel(x)
    delta = _impulses(blocks, x[:, nodes].T, kx[:, nodes].T)
    return kx + jnp.einsum("si,sion->on", delta, columns, precision="highest")


def eliminated_spectral_conv(
    weights: Weights,
    x: Float[Array, "c *x"],
    sides: tuple[tuple[int, ...], ...],
    method: Method = "auto",
    points: Shape | None = None,
) -> Float[Array, "c *x"]:
    """K T x for a spectral convolution, on any faces of the box, with one transform
    pair.

    Along the other axes K is circulant, so every transverse mode has its own blocks.
    Axes are eliminated in turn: the rows of the last one depend on their own face
    alone, and the rows of an earlier one also on the impulses that came after it. (The
    joint elimination is a dense system over all faces.) Transverse modes that K does
    not keep have no row and no impulse.

    Shapes: weights ``(2, c, c, *modes)``, x ``(c, *x)``.

    Args:
        sides: per axis the eliminated sides, 0 (lower) and 1 (upper).
        points: nodes of each axis that belong to the domain; the rest is padding.

    Raises:
        ValueError: unequal channels (pivots are square), not one entry per axis.
    """
    kept = weights.shape[3:]
    space = x.shape[1:]
    check_modes(kept, space)
    require(
        weights.shape[1] == weights.shape[2],
        "as many channels out as in",
        f"{weights.shape[2]} in, {weights.shape[1]} out",
        "use form='lift'",
    )
    require(
        len(sides) == len(space),
        f"sides of {len(space)} axes",
        sides,
        "() for a free axis",
    )
    method = choose_method(space, kept) if method == "auto" else method
    modes = analyse(x, kept, method)
    for axis, chosen in enumerate(sides):
        if chosen:
            last = (points or space)[axis] - 1
            nodes = tuple((0, last)[side] for side in chosen)
            modes = modes + _impulse_modes(weights, modes, x, axis, nodes)
    return synthesise(mix(weights, modes), space, method)


@partial(jax.jit, static_argnames=("axis", "nodes"))
def _impulse_modes(
    weights: Weights,
    modes: Modes,
    x: Float[Array, "c *x"],
    axis: int,
    nodes: tuple[int, ...],
) -> Modes:
    """The modes of impulses δ at the nodes of an axis: e_rᵀ K (x + δ) = D_r x_r.

    In float64, since the pivots are small differences of large sums.
    """
    space = x.shape[1:]
    kept = modes.shape[1:]
    is_last = axis + 1 == len(space)
    at = np.array(nodes, np.int32)
    shift, read = boundary_waves(space[axis], kept[axis], is_last, at)
    face = jnp.moveaxis(jnp.take(x, at, axis=axis + 1), axis + 1, 0)
    across = tuple(zip(_without(space, axis), _without(kept, axis), strict=True))
    for t, (n, k) in enumerate(across):
        half = not is_last and t + 1 == len(across)
        face = along(face.astype(modes.dtype), dft(n, k, half), t + 2)
    symmetric = symmetriser(across, half_last=not is_last)

    @float64_primal
    def solve(weights: Weights, modes: tuple, face: tuple) -> tuple[Array, Array]:
        x = jax.lax.complex(*modes)
        at_face = jax.lax.complex(*face)
        kernel = jax.lax.complex(weights[0], weights[1])
        on_read = jnp.asarray(read, x.dtype)
        tau = jnp.asarray(shift, x.dtype)
        blocks = symmetric(jnp.einsum("rm,sm,oimq->rsoiq", on_read, tau, kernel))
        values = symmetric(jnp.einsum("rm,omq->roq", on_read, mix(weights, x)))
        if not across:  # one real system
            delta = _impulses(
                blocks[..., 0].real, at_face[..., 0].real, values[..., 0].real
            )
            return delta[..., None], jnp.zeros_like(delta)[..., None]
        delta = jax.vmap(_impulses, in_axes=-1, out_axes=-1)(blocks, at_face, values)
        return delta.real, delta.imag

    flat = jnp.moveaxis(modes, axis + 1, 1).reshape(modes.shape[0], kept[axis], -1)
    moved = jnp.moveaxis(weights, axis + 3, 3).reshape(
        *weights.shape[:3], kept[axis], -1
    )
    face = face.reshape(*face.shape[:2], -1)
    pairs = ((flat.real, flat.imag), (jnp.real(face), jnp.imag(face)))
    delta = jax.lax.complex(*solve(moved, *pairs)).astype(modes.dtype)
    added = jnp.einsum("sm,siq->imq", jnp.asarray(shift, modes.dtype), delta)
    return jnp.moveaxis(
        added.reshape(-1, kept[axis], *_without(kept, axis)), 1, axis + 1
    )


def _without(sizes: Shape, axis: int) -> Shape:
    return sizes[:axis] + sizes[axis + 1 :]


def _impulses(
    blocks: Blocks,
    at_nodes: Inexact[Array, "p c"],
    kernel_at_nodes: Inexact[Array, "p c"],
) -> Inexact[Array, "p c"]:
    """δ = G⁻¹ (D x_B - (K x)_B), with pivots in the order of the nodes.

    D = diag(S, G_11), where S = G_00 - G_01 G_11⁻¹ G_10: the lower row is freed from
    the upper node first. S is the Schur complement of G as well, so that D x_B needs no
    product:

        δ_0 = x_0 - S⁻¹ (k_0 + G_01 (x_1 - G_11⁻¹ k_1))
        δ_1 = x_1 - G_11⁻¹ (k_1 + G_10 δ_0)
    """
    if at_nodes.shape[0] == 1:
        return at_nodes - jnp.linalg.solve(blocks[0, 0], kernel_at_nodes[0])[None]
    g00, g01, g10, g11 = (blocks[r, s] for r in range(2) for s in range(2))
    x0, x1 = at_nodes
    k0, k1 = kernel_at_nodes
    with jax.default_matmul_precision("highest"):
        inner = jnp.linalg.solve(g11, g10)
        upper = jnp.linalg.solve(g11, k1)
        lower = x0 - jnp.linalg.solve(g00 - g01 @ inner, k0 + g01 @ (x1 - upper))
        return jnp.stack([lower, x1 - upper - inner @ lower])
