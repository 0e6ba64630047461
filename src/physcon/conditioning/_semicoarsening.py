"""Multilevel preconditioner of a weighted Laplacian on cells in the plane.

S = Σ_k D_k w_k D_kᵀ + N is the matrix of a network: cells are joined by conductances
w_k through their faces, and joined to the ground by the noise and by faces at the
boundary. From level to level every second column (a line along axis 0) is left out, so
that only axis 1 becomes coarser. With T_j the tridiagonal matrix of column j and
W_l, W_r the conductances to its neighbours, the column between them is interpolated by

    x_j = p_l x_l + p_r x_r     p_l = T_j⁻¹ W_l 1     p_r = T_j⁻¹ W_r 1,

which follows jumps and anisotropy of the weights. The coarse operator is a network
again, with conductances in series across axis 1 (W_l p_r) and side by side along axis
0 (p w_0).

The preconditioner is the sum over levels, M = Σ_l P_l T_l⁻¹ P_lᵀ, where T_l holds the
columns of level l. It is symmetric and positive definite. The columns of all levels are
solved in one sweep. It works in float32 for callers of any dtype: nothing cancels.

Source: Schaffer, SIAM J. Sci. Comput. 20 (1998) 228 (interpolation); Bramble, Pasciak
and Xu, Math. Comp. 55 (1990) 1 (the sum over levels).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._numerics.tridiagonal import INFINITE, Factor, solve
from physcon._typing import Array, Float

#: Conductances below this, relative to the largest, count as zero.
LEAST = 1e-30
#: Levels that are written out; the narrower ones share a loop.
WIDE = 3


class Network(NamedTuple):
    """The conductances of one level of m rows and n columns."""

    along: Float[Array, "m+1 n"]  # the faces across axis 0, both ends included
    across: Float[Array, "m n"]  # from column j to column j + 1; the last is 0
    ground: Float[Array, "m n"]


class Weights(NamedTuple):
    """The interpolation of every second column from its neighbours."""

    left: Float[Array, "m k"]
    right: Float[Array, "m k"]


class Levels(NamedTuple):
    """The preconditioner.

    Attributes:
        columns: the factored columns of all levels, side by side.
        wide: the interpolation to each of the first levels.
        narrow: that to the further levels, of equal width, one after another.
    """

    columns: Factor
    wide: tuple[Weights, ...]
    narrow: Weights


def widths(n: int) -> list[int]:
    """The number of columns on each level."""
    found = [n]
    while found[-1] > 1:
        found.append((found[-1] + 1) // 2)
    return found


def build(network: Network) -> Levels:
    """The levels of a network.

    One loop body serves all levels: coarser ones are padded by columns without
    conductances, which nothing reaches.
    """
    n = network.ground.shape[1]
    sizes = widths(n)
    padded = jax.tree.map(lambda x: _pad(x, n % 2), network)

    def coarsen(network: Network, _: None) -> tuple[Network, tuple[Factor, Weights]]:
        factor = _factor(network)
        weights = _interpolation(network, factor)
        return _coarser(network, weights), (factor, weights)

    _, (factors, weights) = jax.lax.scan(coarsen, padded, None, len(sizes))
    cut = [
        jax.tree.map(lambda x, k=k, size=size: x[k, :, :size], factors)
        for k, size in enumerate(sizes)
    ]
    columns = jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *cut)
    between = [size // 2 for size in sizes[:WIDE]]
    wide = tuple(
        jax.tree.map(lambda x, k=k, odd=odd: x[k, :, :odd], weights)
        for k, odd in enumerate(between[: len(sizes) - 1])
    )
    rest = _even(sizes[WIDE]) // 2 if len(sizes) > WIDE else 0
    narrow = jax.tree.map(lambda x: x[WIDE:-1, :, :rest], weights)
    return Levels(columns, wide, narrow)


def _even(n: int) -> int:
    return n + n % 2


def _pad(x: Array, columns: int) -> Array:
    return jnp.pad(x, ((0, 0), (0, columns)))


def apply(levels: Levels, r: Float[Array, "m n"]) -> Float[Array, "m n"]:
    """M r."""
    sizes = widths(r.shape[1])
    pieces = [r]
    for weights in levels.wide:
        pieces.append(_restricted(weights, pieces[-1]))
    deep = sizes[len(pieces) :]
    if deep:
        pieces += _down(levels.narrow, pieces[-1], deep)
    x = solve(levels.columns, jnp.concatenate(pieces, axis=1))
    found = jnp.split(x, np.cumsum(sizes)[:-1], axis=1)
    top = len(levels.wide)
    total = _up(levels.narrow, found[top:]) if deep else found[top]
    finer = list(zip(levels.wide, found[:top], strict=True))
    for weights, own in reversed(finer):
        total = own + _prolonged(weights, total, own.shape[1])
    return total


def _down(weights: Weights, r: Float[Array, "m n"], sizes: list[int]) -> list[Array]:
    """The restrictions of r to narrow levels of the given widths."""
    n = _even(r.shape[1])

    def down(r: Array, weights: Weights) -> tuple[Array, Array]:
        coarse = _pad(_restricted(weights, r), n // 2)
        return coarse, coarse

    _, found = jax.lax.scan(down, _pad(r, n - r.shape[1]), weights)
    return [found[k, :, :size] for k, size in enumerate(sizes)]


def _up(weights: Weights, found: list[Array]) -> Float[Array, "m n"]:
    """The sum over narrow levels, on the first of them."""
    n = _even(found[0].shape[1])
    stacked = jnp.stack([_pad(x, n - x.shape[1]) for x in found])

    def up(coarse: Array, level: tuple[Weights, Array]) -> tuple[Array, None]:
        weights, own = level
        return own + _prolonged(weights, coarse, n), None

    finer = weights, stacked[:-1]
    total, _ = jax.lax.scan(up, stacked[-1], finer, reverse=True)
    return total[:, : found[0].shape[1]]


def _factor(network: Network) -> Factor:
    """The factor L D Lᵀ of every column, by sums of positive numbers alone.

    With g_i the conductance from cell i to the ground by way of the cells before it,
    and c_i from cell i to the next, D_i = g_i + c_i and g_{i+1} = e_{i+1} + c_i g_i /
    D_i. A cell without conductances is left alone.
    """
    along, across, ground = network
    before = jnp.pad(across, ((0, 0), (1, 0)))[:, :-1]
    own = (ground + across + before).at[-1].add(along[-1])
    first = own[0] + along[0]
    onward = along[1:].at[-1].set(0)
    after = jnp.concatenate([own[1:], jnp.zeros_like(own[:1])])

    def step(grounded: Array, row: tuple[Array, Array]) -> tuple[Array, tuple]:
        own, onward = row
        pivot = grounded + onward
        pivot = jnp.where(pivot > LEAST, pivot, INFINITE)
        return own + onward * (grounded / pivot), (pivot, -onward / pivot)

    _, (pivots, ratios) = jax.lax.scan(step, first, (after, onward))
    return Factor(pivots, ratios[:-1])


def _interpolation(network: Network, factor: Factor) -> Weights:
    """Rows with the same sum as T_j⁻¹ W: smooth where the column is stiff."""
    odd = jax.tree.map(lambda x: jnp.tile(x[:, 1::2], 2), factor)
    left = network.across[:, 0::2]
    right = network.across[:, 1::2]
    both = solve(odd, jnp.concatenate([left, right], axis=1))
    return Weights(both[:, : left.shape[1]], both[:, left.shape[1] :])


def _coarser(network: Network, weights: Weights) -> Network:
    along, across, ground = network
    width = ground.shape[1]
    left = across[:, 0::2]
    right = across[:, 1::2]
    series = 0.5 * (left * weights.right + right * weights.left)
    grounded = _restricted(weights, ground)
    at_faces = Weights(_at_faces(weights.left), _at_faces(weights.right))
    parallel = _restricted(at_faces, along)
    coarse = Network(parallel, series, grounded)
    return jax.tree.map(lambda x: _pad(x, width - x.shape[1]), coarse)


def _at_faces(p: Float[Array, "m k"]) -> Float[Array, "m+1 k"]:
    padded = jnp.concatenate([p[:1], p, p[-1:]])
    return 0.5 * (padded[1:] + padded[:-1])


def _restricted(weights: Weights, x: Float[Array, "m n"]) -> Float[Array, "m j"]:
    """Pᵀ x: every second column, and the shares of the columns between."""
    even = x[:, 0::2]
    odd = x[:, 1::2]
    extra = even.shape[1] - odd.shape[1]
    left = _pad(weights.left * odd, extra)
    right = jnp.pad(weights.right * odd, ((0, 0), (1, 0)))[:, : even.shape[1]]
    return even + left + right


def _prolonged(weights: Weights, x: Float[Array, "m j"], n: int) -> Float[Array, "m n"]:
    """P x on n columns."""
    odd = n // 2
    after = _pad(x, 1)[:, 1 : odd + 1]
    between = weights.left * x[:, :odd] + weights.right * after
    even = x[:, : n - odd]
    pairs = jnp.stack([even, _pad(between, n - 2 * odd)], axis=2)
    return pairs.reshape(x.shape[0], -1)[:, :n]
