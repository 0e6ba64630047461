"""Sparse factorisation: ordering, solve, determinant and selected inverse."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon._numerics import sparse
from physcon._numerics.sparse import fronts
from physcon._numerics.sparse.ordering import dissect


def _mesh(n):
    """The edges of a triangulated square, and the number of its nodes."""
    index = np.arange(n * n).reshape(n, n)
    pairs = [
        (index[:, :-1], index[:, 1:]),
        (index[:-1], index[1:]),
        (index[:-1, :-1], index[1:, 1:]),
    ]
    first, second = (np.concatenate([p[k].ravel() for p in pairs]) for k in (0, 1))
    return first, second, n * n


def _matrix(rng, first, second, m, decades=4.0, leak=True):
    weight = 10 ** rng.uniform(-decades / 2, decades / 2, first.size)
    s = np.zeros((m, m))
    for a, b, sign in ((first, first, 1), (second, second, 1), (first, second, -1)):
        np.add.at(s, (a, b), sign * weight)
    np.add.at(s, (second, first), -weight)
    if leak:
        s += np.diag(10 ** rng.uniform(-3, 0, m))
    return s


@jax.jit
def _all(pattern, entries, right):
    factored = sparse.factorise(pattern, entries)
    inverse = sparse.scaled(factored, sparse.selected_inverse(factored))
    return sparse.solve(factored, right), sparse.log_det(factored), inverse, factored


@pytest.mark.parametrize("without_pymetis", [False, True])
def test_dissection_separates(without_pymetis, monkeypatch):
    """No edge joins different nodes of the tree unless one is the other's ancestor."""
    if without_pymetis:
        monkeypatch.setitem(sys.modules, "pymetis", None)
    first, second, m = _mesh(13)
    both = np.concatenate([first, second]), np.concatenate([second, first])
    tree = dissect(m, *both, leaf=8)
    assert tree.levels == 5
    i, j = both
    deep, high = np.where(tree.depth[i] >= tree.depth[j], (i, j), (j, i))
    up = tree.depth[deep] - tree.depth[high]
    assert (tree.node[deep] >> up == tree.node[high]).all()
    leaves = np.bincount(tree.node[tree.depth == 5], minlength=32)
    assert leaves.max() <= 10  # balanced
    assert (tree.depth == 0).sum() <= 18  # a line across the mesh


@pytest.mark.parametrize("price", [2**16, 2**40])
def test_equals_dense_algebra(price, rng, x64, monkeypatch):
    """With depths of the tree in several groups, and all in one."""
    monkeypatch.setattr(fronts, "_PRICE", price)
    first, second, m = _mesh(11)
    pattern = sparse.analyse(m, first, second, leaf=3)
    depths = [level.pivots.shape[0] for level in pattern.levels]
    assert max(depths) > 1
    assert (len(depths) > 2) == (price == 2**16)
    s = _matrix(rng, first, second, m)
    right = rng.normal(size=m)
    row, column = np.asarray(pattern.row), np.asarray(pattern.column)
    solution, log_det, inverse, factored = _all(
        pattern, jnp.asarray(s[row, column]), right
    )
    exact = np.linalg.inv(s)
    np.testing.assert_allclose(
        solution, exact @ right, rtol=0, atol=1e-12 * np.abs(exact @ right).max()
    )
    np.testing.assert_allclose(log_det, np.linalg.slogdet(s)[1], rtol=1e-12)
    np.testing.assert_allclose(
        inverse, exact[row, column], rtol=0, atol=1e-12 * np.abs(exact).max()
    )
    assert bool(factored.kept.all())


@pytest.mark.parametrize("decades", [2.0, 12.0])
def test_rows_without_a_pivot_are_found(decades, rng, x64):
    """Three components, of which the middle one is open."""
    first, second, m = _mesh(9)
    pattern = sparse.analyse(m, first, second, leaf=6)
    part = np.arange(m) // 27
    joined = part[first] == part[second]
    s = _matrix(rng, first[joined], second[joined], m, decades, leak=False)
    s[40, 40] += 0.1
    row, column = np.asarray(pattern.row), np.asarray(pattern.column)
    right = s @ rng.normal(size=m)
    solution, _, _, factored = _all(pattern, jnp.asarray(s[row, column]), right)
    kept = np.asarray(factored.kept)
    assert sorted(part[~kept]) == [0, 2]
    assert bool(factored.regular)
    # In units of each row's standard deviation.
    d = np.diag(s) ** -0.5
    x = np.asarray(solution)
    missed = d * np.abs(s @ x - right)
    assert missed.max() <= 1e-12 * (d * (np.abs(s) @ np.abs(x))).max()
