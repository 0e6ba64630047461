"""Symmetric tridiagonal systems along the first axis, many at once: T = L D Lᵀ by recursion.

T has `diagonal` a ``(n, *lines)`` and `off` c ``(n - 1, *lines)`` next to it. Loops over n run in
`lax.scan` on whole lines, so differentiation and batching are plain. No pivoting: for positive
definite systems it isn't needed (Golub and Van Loan 2013, sec. 4.3.6).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._typing import Array, Float


class Factor(NamedTuple):
    """T = L D Lᵀ: pivots D ``(n, *lines)`` and the ratios below the unit diagonal of L."""

    pivots: Float[Array, "n *lines"]
    ratios: Float[Array, "n-1 *lines"]


def factorise(diagonal: Float[Array, "n *lines"], off: Float[Array, "k *lines"]) -> Factor:
    """D and L: d_0 = a_0, l_i = c_i / d_i, d_{i+1} = a_{i+1} - l_i c_i."""

    def step(pivot: Array, ac: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        a, c = ac
        ratio = c / pivot
        new = a - ratio * c
        return new, (new, ratio)

    _, (pivots, ratios) = jax.lax.scan(step, diagonal[0], (diagonal[1:], off))
    return Factor(jnp.concatenate([diagonal[:1], pivots]), ratios)


def solve(factor: Factor, rhs: Float[Array, "n *lines"]) -> Float[Array, "n *lines"]:
    """T⁻¹ rhs: one sweep down, one sweep up."""

    def down(y: Array, rl: tuple[Array, Array]) -> tuple[Array, Array]:
        r, ratio = rl
        y = r - ratio * y
        return y, y

    def up(x: Array, yl: tuple[Array, Array]) -> tuple[Array, Array]:
        y, ratio = yl
        x = y - ratio * x
        return x, x

    _, below = jax.lax.scan(down, rhs[0], (rhs[1:], factor.ratios))
    y = jnp.concatenate([rhs[:1], below]) / factor.pivots
    _, above = jax.lax.scan(up, y[-1], (y[:-1], factor.ratios), reverse=True)
    return jnp.concatenate([above, y[-1:]])


def inverse_band(factor: Factor) -> tuple[Float[Array, "n *lines"], Float[Array, "n-1 *lines"]]:
    """(diagonal, off-diagonal) of T⁻¹, the only entries that a tridiagonal trace needs.

        Z_nn = 1 / d_n     Z_{i,i+1} = -l_i Z_{i+1,i+1}     Z_ii = 1 / d_i - l_i Z_{i,i+1}

    Source: Takahashi's recursion (Erisman and Tinney, Commun. ACM 18 (1975) 177).
    """

    def up(below: Array, dl: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        pivot, ratio = dl
        off = -ratio * below
        here = 1 / pivot - ratio * off
        return here, (here, off)

    last = 1 / factor.pivots[-1]
    _, (diagonal, off) = jax.lax.scan(up, last, (factor.pivots[:-1], factor.ratios), reverse=True)
    return jnp.concatenate([diagonal, last[None]]), off
