"""Symmetric tridiagonal systems along the first axis, many at once: T = L D Lᵀ.

T has `diagonal` a ``(n, *lines)`` and `off` c ``(n - 1, *lines)`` next to it. Loops
over n run in `lax.scan` on whole lines, so differentiation and batching are plain. No
pivoting: for positive definite systems it isn't needed (Golub and Van Loan 2013, sec.
4.3.6). On accelerators, where every step of a loop is a kernel to start, the sweeps are
prefix sums of log n levels (Blelloch 1990).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Float


class Factor(NamedTuple):
    """T = L D Lᵀ: pivots D ``(n, *lines)``, and the ratios below the diagonal of L."""

    pivots: Float[Array, "n *lines"]
    ratios: Float[Array, "n-1 *lines"]


#: Stands for an infinite pivot; a finite one can be split into float32 parts.
INFINITE = 2.0**100


def factorise(
    diagonal: Float[Array, "n *lines"],
    off: Float[Array, "k *lines"],
    tolerance: float = -1.0,
) -> Factor:
    """D and L: d_0 = a_0, l_i = c_i / d_i, d_{i+1} = a_{i+1} - l_i c_i.

    A pivot up to `tolerance` counts as zero: its row is redundant, gets the pivot
    `INFINITE`, and so a solution of zero.
    """

    def usable(pivot: Array) -> Array:
        return jnp.where(pivot <= tolerance, INFINITE, pivot)

    def step(
        pivot: Array, ac: tuple[Array, Array]
    ) -> tuple[Array, tuple[Array, Array]]:
        a, c = ac
        ratio = c / pivot
        new = usable(a - ratio * c)
        return new, (new, ratio)

    first = usable(diagonal[:1])
    _, (pivots, ratios) = jax.lax.scan(step, first[0], (diagonal[1:], off))
    return Factor(jnp.concatenate([first, pivots]), ratios)


def factorise_chain(
    lower: Float[Array, "n *lines"],
    upper: Float[Array, "n *lines"],
    noise: Float[Array, "n *lines"],
    tolerance: float,
) -> Factor:
    """D and L of the Gram matrix of a chain, whose row i is (-lower_i, upper_i).

    Neighbouring rows share a column: upper_i and lower_{i+1} are its two entries, and
    noise² is added to the diagonal. With e_i the part of lower_i² that rows before i
    leave, d_i = e_i + noise_i² + upper_i² is a sum of positive numbers: nothing
    cancels, for columns of any size.

    Args:
        tolerance: as in `factorise`.
    """

    def step(left: Array, row: tuple[Array, ...]) -> tuple[Array, tuple[Array, Array]]:
        low, high, sigma, after = row
        known = left * low**2 + sigma**2
        pivot = known + high**2
        dropped = pivot <= tolerance
        pivot = jnp.where(dropped, INFINITE, pivot)
        left = jnp.where(dropped, 1, known / pivot)
        return left, (pivot, -high * after / pivot)

    after = jnp.concatenate([lower[1:], jnp.zeros_like(lower[:1])])
    # `left` is e_i / lower_i².
    rows = (lower, upper, noise, after)
    _, (pivots, ratios) = jax.lax.scan(step, jnp.ones_like(lower[0]), rows)
    return Factor(pivots, ratios[:-1])


def smoothed(
    mean: Float[Array, "k *lines"],
    std: Float[Array, "k *lines"],
    step: Float[Array, "n *lines"],
    noise: Float[Array, "n *lines"],
) -> Float[Array, "k *lines"]:
    """The most probable chain p with p_{i+1} - p_i = step_i up to noise.

    A filter forward and a smoother backward. All weights lie between 0 and 1, so that
    every step is met to rounding, for any standard deviations.

    Source: Rauch, Tung and Striebel, AIAA J. 3 (1965) 1445.
    """

    def forward(now: tuple, given: tuple) -> tuple[tuple, tuple]:
        p, variance = now
        own, spread, move, sigma = given
        ahead = variance + sigma**2
        back = safe.divide(variance, ahead)
        share = safe.divide(spread**2, spread**2 + ahead)  # of the rows before
        there = jnp.where(share == 1, p + move, own + share * (p + move - own))
        left = jnp.minimum(share * ahead, spread**2)
        return (there, left), (p, back)

    def backward(there: Array, given: tuple) -> tuple[Array, Array]:
        p, back, move = given
        here = jnp.where(back == 1, there - move, p + back * (there - move - p))
        return here, here

    start = mean[0], std[0] ** 2
    (last, _), (filtered, back) = jax.lax.scan(
        forward, start, (mean[1:], std[1:], step, noise)
    )
    _, before = jax.lax.scan(backward, last, (filtered, back, step), reverse=True)
    return jnp.concatenate([before, last[None]])


def solve(factor: Factor, rhs: Float[Array, "n *lines"]) -> Float[Array, "n *lines"]:
    """T⁻¹ rhs: one sweep down, one sweep up."""

    def by(sweep: Callable[..., Array]) -> Callable[[Factor, Array], Array]:
        def solved(factor: Factor, rhs: Array) -> Array:
            y = sweep(factor.ratios, rhs, reverse=False) / factor.pivots
            return sweep(factor.ratios, y, reverse=True)

        return solved

    return jax.lax.platform_dependent(
        factor, rhs, cpu=by(_in_turn), default=by(_in_levels)
    )


def _in_turn(
    ratios: Float[Array, "k *lines"], r: Float[Array, "n *lines"], reverse: bool
) -> Array:
    """y_i = r_i - l_{i-1} y_{i-1}; reversed y_i = r_i - l_i y_{i+1}."""

    def step(y: Array, rl: tuple[Array, Array]) -> tuple[Array, Array]:
        r, ratio = rl
        y = r - ratio * y
        return y, y

    first, others = (r[-1:], r[:-1]) if reverse else (r[:1], r[1:])
    _, rest = jax.lax.scan(step, first[0], (others, ratios), reverse=reverse)
    return jnp.concatenate([rest, first] if reverse else [first, rest])


def _in_levels(
    ratios: Float[Array, "k *lines"], r: Float[Array, "n *lines"], reverse: bool
) -> Array:
    """The same: maps y -> a y + b composed, (a, b) then (c, d) being (c a, c b + d)."""

    def then(
        first: tuple[Array, Array], second: tuple[Array, Array]
    ) -> tuple[Array, Array]:
        return second[0] * first[0], second[0] * first[1] + second[1]

    nothing = jnp.zeros_like(r[:1])
    slopes = jnp.concatenate([-ratios, nothing] if reverse else [nothing, -ratios])
    return jax.lax.associative_scan(then, (slopes, r), reverse=reverse)[1]


def inverse_band(
    factor: Factor,
) -> tuple[Float[Array, "n *lines"], Float[Array, "n-1 *lines"]]:
    """(diagonal, off-diagonal) of T⁻¹, the only entries that a tridiagonal trace needs.

        Z_nn = 1 / d_n   Z_{i,i+1} = -l_i Z_{i+1,i+1}   Z_ii = 1 / d_i - l_i Z_{i,i+1}

    Source: Takahashi's recursion (Erisman and Tinney, Commun. ACM 18 (1975) 177).
    """

    def up(below: Array, dl: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        pivot, ratio = dl
        off = -ratio * below
        here = 1 / pivot - ratio * off
        return here, (here, off)

    last = 1 / factor.pivots[-1]
    _, (diagonal, off) = jax.lax.scan(
        up, last, (factor.pivots[:-1], factor.ratios), reverse=True
    )
    return jnp.concatenate([diagonal, last[None]]), off
