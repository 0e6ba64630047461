"""Factors of small matrices, unrolled up to three rows."""

import jax
import jax.numpy as jnp

from physcon._typing import Array, Float


def cholesky(a: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """Lower Cholesky factor; NaN if not positive definite. Unrolled for m <= 3: no
    LAPACK call.
    """
    m = a.shape[0]
    if m > 3:
        return jnp.linalg.cholesky(a)
    factor = [[jnp.zeros((), a.dtype)] * m for _ in range(m)]
    for j in range(m):
        for i in range(j, m):
            s = a[i, j] - sum(factor[i][k] * factor[j][k] for k in range(j))
            factor[i][j] = jnp.sqrt(s) if i == j else s / factor[j][j]
    return jnp.stack([jnp.stack(row) for row in factor])


def lower_inverse(factor: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """Inverse of a lower triangular matrix by substitution, unrolled for m <= 3."""
    m = factor.shape[0]
    if m > 3:
        eye = jnp.eye(m, dtype=factor.dtype)
        return jax.lax.linalg.triangular_solve(factor, eye, left_side=True, lower=True)
    inverse = [[jnp.zeros((), factor.dtype)] * m for _ in range(m)]
    for j in range(m):
        for i in range(j, m):
            s = float(i == j) - sum(factor[i][k] * inverse[k][j] for k in range(j, i))
            inverse[i][j] = s / factor[i][i]
    return jnp.stack([jnp.stack(row) for row in inverse])
