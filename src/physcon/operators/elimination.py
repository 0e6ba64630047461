"""The paper's kernel correction: Gaussian elimination of the kernel's boundary rows.

    K → K T with  e_rᵀ K T = d_r e_rᵀ  at the boundary nodes r

T adds impulses δ at the boundary nodes, so K T = K + (K E) G⁻¹ (D Eᵀ - Eᵀ K), a correction of rank
2 C. A boundary value of K x then depends on the same boundary value of x alone, and setting it
(`overwrite`) completes the correction. The pivots are matrices: G and D have C x C blocks.

For a spectral convolution this costs no transform beyond the layer's own pair: a boundary value of
K x is a sum over its kept modes, and an impulse in x is a constant in its modes.

Source: Saad et al., Guiding continuous operator learning through physics-based boundary
constraints, ICLR 2023, sec. 3 and algorithms 1 to 3, with the scalar kernel entries replaced by
blocks and the repeated kernel calls summed in closed form.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._linalg import float64_primal
from physcon._typing import Array, Float, Inexact, Shape
from physcon.operators.spectral import (
    Method,
    Modes,
    Weights,
    analyse,
    check_modes,
    choose_method,
    dft,
    hermitian_weights,
    mix,
    synthesise,
    wavenumbers,
)

Blocks = Inexact[Array, "p p c c"]


def eliminate(
    kernel: Callable[[Float[Array, "c x"]], Float[Array, "c x"]],
    x: Float[Array, "c x"],
    sides: tuple[int, ...],
) -> Float[Array, "c x"]:
    """K T x for any linear kernel in one dimension; probes the kernel with C impulses a side.

    Args:
        sides: of the axis, 0 (lower) and 1 (upper), whose rows are eliminated; lower first.
    """
    channels, n = x.shape
    require(jax.eval_shape(kernel, x).shape == x.shape, "a kernel that keeps the shape",
            jax.eval_shape(kernel, x).shape, "pivots are square: use form='lift'")  # fmt: skip
    nodes = np.array([0, n - 1])[list(sides)]
    impulses = jnp.zeros((len(nodes), channels, channels, n), x.dtype)
    for s, node in enumerate(nodes):
        impulses = impulses.at[s, :, :, node].set(jnp.eye(channels, dtype=x.dtype))
    columns = jax.vmap(jax.vmap(kernel))(impulses)  # (side s, channel in, channel out, n)
    blocks = jnp.transpose(columns[..., nodes], (3, 0, 2, 1))
    kx = kernel(x)
    delta = _impulses(blocks, x[:, nodes].T, kx[:, nodes].T)
    return kx + jnp.einsum("si,sion->on", delta, columns, precision="highest")


def eliminated_spectral_conv(
    weights: Weights,
    x: Float[Array, "c *x"],
    sides: tuple[int, ...],
    method: Method = "auto",
    points: int | None = None,
) -> Float[Array, "c *x"]:
    """K T x for a spectral convolution, on the sides of its first axis, with one transform pair.

    Shapes: weights ``(2, c, c, *modes)``, x ``(c, n)`` or ``(c, n, t)``; in two dimensions the
    transverse modes decouple and each has its own blocks.

    Args:
        points: nodes of the first axis that belong to the domain; the rest is padding.

    Raises:
        ValueError: three dimensions, or unequal channels (pivots are square).
    """
    kept, space = weights.shape[3:], x.shape[1:]
    check_modes(kept, space)
    require(
        len(space) <= 2 and weights.shape[1] == weights.shape[2],
        "one or two dimensions and as many channels out as in",
        f"{len(space)} dimensions, {weights.shape[2]} channels in, {weights.shape[1]} out",
        "use form='lift'",
    )
    method = choose_method(space, kept) if method == "auto" else method
    modes = analyse(x, kept, method)
    nodes = np.array([0, (points or x.shape[1]) - 1])[list(sides)]
    shift, read = boundary_waves(space, kept, nodes)
    face = jnp.moveaxis(jnp.take(x, nodes, axis=1), 1, 0)  # (p, c, *t)
    if len(space) == 2:
        face = analyse(face.reshape(-1, space[1]), kept[1:], "matmul")
        face = face.reshape(len(nodes), x.shape[0], kept[1])
        delta = _transverse_impulses(weights, modes, face, shift, read, space[1])
    else:
        delta = _line_impulses(weights, modes, face, shift, read)
    added = jnp.einsum(
        "sm,si...->im...", jnp.asarray(shift, modes.dtype), delta.astype(modes.dtype)
    )
    return synthesise(mix(weights, modes + added), space, method)


def boundary_waves(space: Shape, kept: Shape, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Modes of an impulse at each node, and the row that reads a node from modes: both (p, m)."""
    half = len(space) == 1
    n, k = space[0], kept[0]
    shift = dft(n, k, half)[nodes]
    times = hermitian_weights(n, k) if half else np.ones(len(wavenumbers(k, half)))
    return shift, shift.conj() * times / n


def _line_impulses(
    weights: Weights, modes: Modes, face: Float[Array, "p c"], shift: np.ndarray, read: np.ndarray
) -> Float[Array, "p c"]:
    """δ in one dimension: real blocks, real boundary values."""

    @float64_primal
    def solve(
        weights: Weights, real: Array, imag: Array, face: Float[Array, "p c"]
    ) -> Float[Array, "p c"]:
        modes = jax.lax.complex(real, imag)
        kernel = jax.lax.complex(weights[0], weights[1])
        on_read = jnp.asarray(read, modes.dtype)
        blocks = jnp.einsum("rm,sm,oim->rsoi", on_read, jnp.asarray(shift, modes.dtype), kernel)
        values = jnp.einsum("rm,oim,im->ro", on_read, kernel, modes)
        return _impulses(blocks.real, face, values.real)

    return solve(weights, modes.real, modes.imag, face)


def _transverse_impulses(
    weights: Weights,
    modes: Modes,
    face: Modes,
    shift: np.ndarray,
    read: np.ndarray,
    transverse: int,
) -> Modes:
    """δ for every transverse mode q: complex blocks, but for q = 0 (and n/2), which are real."""
    self_conjugate = hermitian_weights(transverse, modes.shape[-1]) == 1

    @float64_primal
    def solve(
        weights: Weights, modes: tuple[Array, Array], face: tuple[Array, Array]
    ) -> tuple[Array, Array]:
        x, at_face = jax.lax.complex(*modes), jax.lax.complex(*face)
        kernel = jax.lax.complex(weights[0], weights[1])
        on_read = jnp.asarray(read, x.dtype)

        def real_where_due(a: Array) -> Array:  # the inverse real transform drops this part
            imag = jnp.where(self_conjugate.reshape((1,) * (a.ndim - 1) + (-1,)), 0, a.imag)
            return jax.lax.complex(a.real, imag)

        tau = jnp.asarray(shift, x.dtype)
        blocks = real_where_due(jnp.einsum("rm,sm,oimq->rsoiq", on_read, tau, kernel))
        values = real_where_due(jnp.einsum("rm,oimq,imq->roq", on_read, kernel, x))
        delta = jax.vmap(_impulses, in_axes=-1, out_axes=-1)(blocks, at_face, values)
        return delta.real, delta.imag

    return jax.lax.complex(*solve(weights, (modes.real, modes.imag), (face.real, face.imag)))


def _impulses(
    blocks: Blocks, at_nodes: Inexact[Array, "p c"], kernel_at_nodes: Inexact[Array, "p c"]
) -> Inexact[Array, "p c"]:
    """δ = G⁻¹ (D x_B - (K x)_B), with the pivots of an elimination in the order of the nodes.

    D = diag(G_00 - G_01 G_11⁻¹ G_10, G_11): the lower row is freed from the upper node first.
    """
    p, c = at_nodes.shape
    if p == 1:
        return at_nodes - jnp.linalg.solve(blocks[0, 0], kernel_at_nodes[0])[None]
    g00, g01, g10, g11 = (blocks[r, s] for r in range(2) for s in range(2))
    first = g00 - jnp.matmul(g01, jnp.linalg.solve(g11, g10), precision="highest")
    target = jnp.stack([first @ at_nodes[0], g11 @ at_nodes[1]])
    full = jnp.transpose(blocks, (0, 2, 1, 3)).reshape(p * c, p * c)
    return jnp.linalg.solve(full, (target - kernel_at_nodes).reshape(-1)).reshape(p, c)
