"""Symmetric positive definite matrices of bandwidth two (pentadiagonal), in O(n): a
scan each.

No LAPACK call: under vmap every step of the scan handles the whole batch.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._typing import Array, Float


class Band(NamedTuple):
    """A lower triangle by diagonals, all of length n: entry i of each belongs to row i.

    `first[i]` stands at (i, i - 1), `second[i]` at (i, i - 2); entries off the matrix
    are zero.
    """

    diagonal: Float[Array, " n"]
    first: Float[Array, " n"]
    second: Float[Array, " n"]


def normal_equations(stencil: Float[Array, "3 r"]) -> Band:
    """1 + HᵀH for the rows H of a three-point stencil: row r holds stencil[:, r] at r,
    r+1, r+2.
    """
    a, b, c = stencil
    diagonal = (
        1 + jnp.pad(a * a, (0, 2)) + jnp.pad(b * b, (1, 1)) + jnp.pad(c * c, (2, 0))
    )
    first = jnp.pad(a * b, (1, 1)) + jnp.pad(b * c, (2, 0))
    return Band(diagonal, first, jnp.pad(a * c, (2, 0)))


def cholesky(matrix: Band) -> Band:
    """Lower factor C with C Cᵀ = matrix."""

    def step(above: tuple, row: Band) -> tuple[tuple, Band]:
        (l1, m1), (l2, _) = (
            above  # diagonal and first subdiagonal, one and two rows above
        )
        k = row.second / l2
        m = (row.first - k * m1) / l1
        diagonal = jnp.sqrt(row.diagonal - m * m - k * k)
        return ((diagonal, m), (l1, m1)), Band(diagonal, m, k)

    one = jnp.ones((), matrix.diagonal.dtype)
    zero = jnp.zeros((), matrix.diagonal.dtype)
    return jax.lax.scan(step, ((one, zero), (one, zero)), matrix)[1]


def solve_lower(factor: Band, x: Float[Array, " n"]) -> Float[Array, " n"]:
    """C⁻¹ x."""

    def step(above: tuple, row: tuple[Band, Array]) -> tuple[tuple, Array]:
        c, x = row
        y = (x - c.first * above[0] - c.second * above[1]) / c.diagonal
        return (y, above[0]), y

    zero = jnp.zeros((), x.dtype)
    return jax.lax.scan(step, (zero, zero), (factor, x))[1]


def solve_upper(factor: Band, x: Float[Array, " n"]) -> Float[Array, " n"]:
    """C⁻ᵀ x."""

    def step(below: tuple, row: tuple[Band, Array]) -> tuple[tuple, Array]:
        c, x = row
        y = (x - c.first * below[0] - c.second * below[1]) / c.diagonal
        return (y, below[0]), y

    zero = jnp.zeros((), x.dtype)
    return jax.lax.scan(step, (zero, zero), (_columns(factor), x), reverse=True)[1]


def inverse_diagonal(factor: Band) -> Float[Array, " n"]:
    """Diagonal of Z = (C Cᵀ)⁻¹, from the entries of Z within the band alone.

    Source: Takahashi's equations, Z C = C⁻ᵀ (Erisman and Tinney, Comm. ACM 18 (1975)
        177).
    """

    def step(z: tuple, c: Band) -> tuple[tuple, Array]:
        z11, z21, z22 = z  # entries of Z one and two rows below
        z20 = -(z21 * c.first + z22 * c.second) / c.diagonal
        z10 = -(z11 * c.first + z21 * c.second) / c.diagonal
        z00 = (1 / c.diagonal - z10 * c.first - z20 * c.second) / c.diagonal
        return (z00, z10, z11), z00

    zero = jnp.zeros((), factor.diagonal.dtype)
    return jax.lax.scan(step, (zero, zero, zero), _columns(factor), reverse=True)[1]


def _columns(factor: Band) -> Band:
    """The same factor by columns: entry i belongs to column i."""
    first = jnp.pad(factor.first[1:], (0, 1))
    return Band(factor.diagonal, first, jnp.pad(factor.second[2:], (0, 2)))
