"""Whitening of a small, possibly singular, Gram matrix: B with B S Bᵀ = 1 on the rows
that count.

A row that repeats others (or sees no variance) has no pivot left in a pivoted Cholesky
factorisation, P S Pᵀ = L Lᵀ. With L₁ the factor of the kept rows and X the coefficients
of the dropped ones in terms of them, L = [1; X] L₁, and B = L⁺ = L₁⁻¹ [1; X]⁺ P:
repeated rows are merged by least squares. Then S⁺ = Bᵀ B.

Source: Higham, Accuracy and Stability of Numerical Algorithms (2002), sec. 10.3.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._numerics.rarely import rarely
from physcon._numerics.small import cholesky, lower_inverse
from physcon._typing import Array, Float


class Whitening(NamedTuple):
    """Result of `whitening`; rows in pivot order, columns in the order of S."""

    whitener: Float[Array, "m m"]  # B; zero rows where dropped
    order: Float[Array, "m m"]  # P; B Pᵀ is lower triangular where no row is dropped
    diagonal: Float[Array, " m"]  # of L; 1 where dropped


def solve_white(
    whitener: Float[Array, "m m"], scale: Float[Array, " m"], r: Float[Array, " m"]
) -> Float[Array, " m"]:
    """d Bᵀ B d r, the solution of S x = r for the whitener B of d S d."""
    white = jnp.matmul(whitener, scale * r, precision="highest")
    return scale * jnp.matmul(whitener.T, white, precision="highest")


def whitening(s: Float[Array, "m m"], tolerance: float) -> Whitening:
    """Whitener of a symmetric matrix of unit scale; pivots up to `tolerance` count as
    zero.

    No LAPACK call for up to three rows. Beyond, LAPACK's factor is taken if it is
    safely regular.
    """
    m = s.shape[0]
    if m == 1:
        kept = s > tolerance
        diagonal = jnp.sqrt(jnp.where(kept, s, 1))
        return Whitening(kept.astype(s.dtype) / diagonal, jnp.ones_like(s), diagonal[0])
    if m <= 3:
        return _merged(*_pivoted(s, tolerance))
    return _regular_or_pivoted(s, tolerance)


@partial(jax.jit, static_argnums=1)  # one program for all calls outside of jit
def _regular_or_pivoted(s: Array, tolerance: float) -> Whitening:
    m = s.shape[0]
    lower = jnp.linalg.cholesky(s)
    whitener = lower_inverse(lower)
    # |B|² bounds the condition of the rows: rounding has not hidden a dependence.
    safe = jnp.max(jnp.where(jnp.isfinite(whitener), jnp.abs(whitener), jnp.inf)) ** 2
    return rarely(
        ~(safe < 1 / tolerance),
        lambda: _merged(*_pivoted(s, tolerance)),
        lambda: Whitening(whitener, jnp.eye(m, dtype=s.dtype), jnp.diagonal(lower)),
    )


def _pivoted(s: Array, tolerance: float) -> tuple[Array, Array, Array]:
    """Pivoted Cholesky: P L (rows in pivot order), P, and which pivots are kept."""
    m = s.shape[0]
    earlier = np.tri(m, k=-1, dtype=bool)
    eye = np.eye(m)

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple]:
        rest, free = carry
        diagonal = jnp.where(free, jnp.sum(eye * rest, axis=1), -jnp.inf)
        largest = diagonal == jnp.max(diagonal)
        chosen = largest & ~jnp.any(
            largest[None, :] & earlier, axis=1
        )  # the first of them
        pivot = jnp.sum(jnp.where(chosen, diagonal, 0))
        kept = pivot > tolerance
        column = jnp.sum(jnp.where(chosen[None, :], rest, 0), axis=1)
        column = jnp.where(free & kept, column / jnp.sqrt(jnp.where(kept, pivot, 1)), 0)
        rest = rest - column[:, None] * column[None, :]
        return (rest, free & ~chosen), (column, chosen, kept)

    carry = (s, jnp.ones(m, bool))
    if m <= 3:
        found = []
        for _ in range(m):
            carry, new = step(carry, None)
            found.append(new)
        columns, order, kept = (jnp.stack(x) for x in zip(*found, strict=True))
    else:
        _, (columns, order, kept) = jax.lax.scan(step, carry, length=m)
    order = order.astype(s.dtype)
    return order @ columns.T, order, kept


def _merged(lower: Array, order: Array, kept: Array) -> Whitening:
    """B = L₁⁻¹ [1; X]⁺ P; [[L₁, 0], [X L₁, 1]] has the inverse [[L₁⁻¹, 0], [-X, 1]]."""
    eye = jnp.eye(kept.size, dtype=lower.dtype)
    dropped = jnp.where(kept[:, None], 0, eye)
    lower = lower + dropped
    inverse = lower_inverse(lower)
    own = jnp.where(kept[:, None], inverse, 0)
    basis = eye - dropped - jnp.where(kept[:, None], 0, inverse - dropped)  # [1; X]
    half = lower_inverse(cholesky(basis.T @ basis + dropped))
    whitener = own @ (half.T @ (half @ basis.T)) @ order
    return Whitening(whitener, order, jnp.diagonal(lower))
