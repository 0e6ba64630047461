"""The rows of free points as orthonormal rows, for standard deviations of any size.

A Gram matrix has the squares of the standard deviations, so that rows which one point
dominates by seven decades are equal to rounding. Orthonormal rows show differences of
thirteen decades.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics.products import combine
from physcon._numerics.small import lower_inverse
from physcon._numerics.whitening import solve_white
from physcon._typing import Array, Float


class OrthonormalRows(NamedTuple):
    """D G R = L Q with a scale D, a lower triangle L and orthonormal rows Q.

    A row that the rows before it imply has zeros in Q and in L⁻¹.
    """

    scale: Float[Array, " m"]  # D
    basis: Float[Array, "m *x"]  # Q at the points; the noise is left out
    whitener: Float[Array, "m m"]  # L⁻¹
    std: Float[Array, "*x"]  # R

    def multiplier(self, missing: Float[Array, " m"]) -> Float[Array, " m"]:
        """λ with (G R Rᵀ Gᵀ + N) λ = missing."""
        return solve_white(self.whitener, self.scale, missing)

    def move(self, missing: Float[Array, " m"]) -> Float[Array, "*x"]:
        """R Rᵀ Gᵀ λ, without the multipliers, which can be large and cancel."""
        white = self.whitener @ (self.scale * missing)
        return self.std * combine(white, self.basis)


def orthonormal_rows(
    rows: Float[Array, "m *x"],
    std: Float[Array, "*x"],
    noise_std: Float[Array, " m"],
    dtype: Any,
) -> OrthonormalRows:
    """By Gram-Schmidt with each projection done twice.

    A row is implied by others if what they leave of it is rounding at each single
    point, in the caller's `dtype`. It may be small.

    Source: Giraud, Langou and Rozložník, Comput. Math. Appl. 50 (2005) 1069.
    """
    m = rows.shape[0]
    w = (std[None] * rows).reshape(m, -1)
    w = jnp.concatenate([w, jnp.diag(noise_std)], axis=1)
    size = jnp.max(jnp.abs(w), axis=1)
    scale = 1 / jnp.where(size > 0, size, 1)
    least = _ROUNDINGS * float(jnp.finfo(dtype).eps)

    def absorb(basis: Array, given: tuple[Array, Array]) -> tuple[Array, Array]:
        row, place = given
        rest = row
        along = jnp.zeros_like(place)
        terms = jnp.abs(row)
        for _ in range(2):
            step = basis @ rest
            rest = rest - step @ basis
            along = along + step
            terms = jnp.maximum(terms, jnp.abs(step) @ jnp.abs(basis))
        kept = jnp.any(jnp.abs(rest) > least * terms)
        length = jnp.sqrt(jnp.sum(rest**2))
        unit = jnp.where(kept, rest / jnp.where(kept, length, 1), 0)
        diagonal = jnp.where(kept, length, 1)
        return basis + place[:, None] * unit[None], along + diagonal * place

    eye = jnp.eye(m, dtype=w.dtype)
    given = scale[:, None] * w, eye
    basis, lower = jax.lax.scan(absorb, jnp.zeros_like(w), given)
    kept = jnp.any(basis != 0, axis=1)
    whitener = jnp.where(kept[:, None], lower_inverse(lower), 0)
    return OrthonormalRows(
        scale, basis[:, : std.size].reshape(rows.shape), whitener, std
    )


#: Roundings up to which the rest of a row counts as zero.
_ROUNDINGS = 64
