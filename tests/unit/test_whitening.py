"""B S Bᵀ = 1 on the independent rows, for any redundancy; pentadiagonal algebra =
dense.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon._numerics import banded
from physcon._numerics.whitening import whitening


def gram(rng, m, rank):
    """Unit diagonal, of the given rank, rows in random order."""
    w = rng.normal(size=(m, rank)) @ rng.normal(size=(rank, 30))
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    return w @ w.T


@pytest.mark.parametrize(
    ("m", "rank"), [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3), (6, 4), (6, 6)]
)
def test_whitener_is_a_root_of_the_pseudo_inverse(m, rank, rng, x64):
    s = gram(rng, m, rank)
    found = whitening(jnp.asarray(s), 1e-14)
    b = np.asarray(found.whitener)
    np.testing.assert_allclose(b.T @ b, np.linalg.pinv(s, rcond=1e-12), atol=1e-9)
    np.testing.assert_allclose(
        b @ s @ b.T, np.diag(1.0 * np.any(b != 0, axis=1)), atol=1e-11
    )
    assert np.sum(np.any(b != 0, axis=1)) == rank
    np.testing.assert_array_equal(np.sort(found.order.sum(0)), np.ones(m))
    if rank == m:  # determinant, and a triangle in pivot order
        np.testing.assert_allclose(
            np.prod(found.diagonal) ** 2, np.linalg.det(s), rtol=1e-9
        )
        np.testing.assert_allclose(np.triu(b @ found.order.T, 1), 0, atol=1e-12)


def test_rows_that_see_nothing_are_dropped(x64):
    s = np.zeros((3, 3))
    s[1, 1] = 1
    b = np.asarray(whitening(jnp.asarray(s), 1e-14).whitener)
    np.testing.assert_array_equal(b.T @ b, s)


def test_hidden_dependence_is_found(x64):
    """g₃ = (g₂ - g₁) / 1e-6 with g₂ nearly g₁: unpivoted elimination would miss it."""
    e = np.eye(2)
    w = np.stack([e[0], e[0] + 1e-6 * e[1], e[1], e[0] - e[1]])
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    for rows in (w[:3], w):
        b = np.asarray(whitening(jnp.asarray(rows @ rows.T), 1e-14).whitener)
        assert np.sum(np.any(b != 0, axis=1)) == 2
        np.testing.assert_allclose(rows.T @ b.T @ b @ rows, np.eye(2), atol=1e-9)


@pytest.mark.parametrize("n", [3, 4, 9])
def test_pentadiagonal_algebra_equals_dense(n, rng, x64):
    stencil = rng.normal(size=(3, n - 2))
    h = np.zeros((n - 2, n))
    for r in range(n - 2):
        h[r, r : r + 3] = stencil[:, r]
    dense = np.eye(n) + h.T @ h
    matrix = banded.normal_equations(jnp.asarray(stencil))
    np.testing.assert_allclose(matrix.diagonal, np.diagonal(dense), rtol=1e-14)
    factor = jax.jit(banded.cholesky)(matrix)
    c = (
        np.diag(factor.diagonal)
        + np.diag(factor.first[1:], -1)
        + np.diag(factor.second[2:], -2)
    )
    np.testing.assert_allclose(c @ c.T, dense, atol=1e-13)
    x = rng.normal(size=n)
    np.testing.assert_allclose(
        banded.solve_lower(factor, jnp.asarray(x)), np.linalg.solve(c, x)
    )
    np.testing.assert_allclose(
        banded.solve_upper(factor, jnp.asarray(x)), np.linalg.solve(c.T, x)
    )
    want = np.diagonal(np.linalg.inv(dense))
    np.testing.assert_allclose(banded.inverse_diagonal(factor), want, rtol=1e-12)
