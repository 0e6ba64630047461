"""What redundant sparse rows can meet, and the multipliers that meet it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics import safe, sparse
from physcon._numerics.sparse import Factored
from physcon._typing import Array, Bool, Float

#: The steps of `nearest`.
_SOLVE = 5
_LAST = 7


class _State(NamedTuple):
    """In units of the rows."""

    step: Array
    right: Float[Array, " m"]
    x: Float[Array, " m"]
    null: Float[Array, " m"]  # the sum of the null vectors
    missed: Float[Array, " m"]  # c_i at the dropped rows
    within: Bool[Array, ""]  # whether the slack suffices


def nearest(
    factored: Factored,
    times: Callable[[Array], Array],
    dropped: Bool[Array, " m"],
    right: Float[Array, " m"],
    slack: Float[Array, " m"],
) -> Float[Array, " m"]:
    """S⁻¹ r, refined once; of redundant rows r is replaced by what they can meet.

    Each dropped row i has a null vector n_i = e_i - S_kk⁻¹ S_ki, and n_iᵀ r must
    vanish. All rows of n_i share what is missed in proportion to their slack, where no
    row needs more than that; else in units of their standard deviations, which is the
    least-squares answer. The null vectors are assumed to have disjoint supports, which
    holds for the closed components of a network.

    Args:
        factored: the factor of S on the rows that are kept.
        times: the product with S.
        dropped: the rows that are redundant.
        right: r.
        slack: what each row may miss.
    """
    start = jnp.where(jnp.any(dropped), 0, _SOLVE).astype(jnp.int32)
    zero = jnp.zeros_like(right)
    first = _State(start, right, zero, zero, zero, jnp.ones((), bool))

    def advance(now: _State) -> _State:
        return _nearer(factored, times, dropped, slack, now)

    return jax.lax.while_loop(lambda now: now.step < _LAST, advance, first).x


def _nearer(
    factored: Factored,
    times_s: Callable[[Array], Array],
    dropped: Bool[Array, " m"],
    slack: Float[Array, " m"],
    now: _State,
) -> _State:
    """One solve; all steps share its compiled program."""
    step, right, x, null, missed, within = now
    pull = jnp.sign(null) * slack
    one = dropped.astype(right.dtype)
    times = times_s(jnp.where(step == 1, one, jnp.where(step == 4, missed, x)))
    given = jax.lax.select_n(
        step,
        right,  # 0: what is missed, c_i = n_iᵀ r
        times,  # 1: the null vectors
        pull,  # 2: the slack of each, Σ |n_i| slack
        null,  # 3: the square of each, n_iᵀ n_i
        times,  # 4: c_i over one of them, times n_i
        right,  # 5: the solution
        right - times,  # 6: its correction
    )
    new = sparse.solve_scaled(factored, jnp.where(factored.kept, given, 0))
    product = jnp.where(dropped, given - times_s(new), 0)  # n_iᵀ given
    missed = jnp.where(step == 0, product, missed)
    null = jnp.where(step == 1, jnp.where(dropped, 1, -new), null)
    within = within & ((step != 2) | jnp.all(jnp.abs(missed) <= product))
    # Supports that overlap can make a square zero or negative.
    square = jnp.maximum(product, 1)
    size = jnp.where(within, jnp.where(step == 2, product, 1), square)
    sized = (step == 2) & within | (step == 3) & ~within
    missed = jnp.where(sized, safe.divide(missed, size), missed)
    shared = missed - new
    spread = jnp.where(within, pull * safe.divide(shared, null), shared)
    right = jnp.where(step == 4, right - spread, right)
    x = jnp.where(step == _LAST - 1, x + new, new)
    return _State(step + 1, right, x, null, missed, within)
