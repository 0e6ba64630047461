"""Builders of many rows: what they make of unusual input, and what they say to bad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

import physcon as pc
from physcon.linear_map import Rows, Sparse, Stack

ONES = jnp.ones((3, 4))
NAN = jnp.array([1.0, jnp.nan])


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: pc.block_means(ONES, (2, 2, 2), 1.0), "one for each of 2 axes"),
        (lambda: pc.block_means(ONES, 0, 1.0), "a factor of 1 or more"),
        (lambda: pc.block_means(ONES, 2, jnp.ones((3, 2))), r"shape \(2, 2\)"),
        (lambda: pc.block_means(ONES, 2, 1.0, where=jnp.ones(4)), "where of shape"),
        (lambda: pc.totals(jnp.ones(3), jnp.ones(2)), "integer labels"),
        (lambda: pc.totals(np.array(["a", "b"]), jnp.ones(2)), "dtype <U1; number"),
        (
            lambda: pc.totals(jnp.arange(2), 1 + jnp.zeros(2), noise_std=-1.0),
            "negative",
        ),
        (lambda: pc.from_fn(lambda u: u.sum(1) * np.nan, (3, 4), 1.0), "finite coeff"),
        (lambda: pc.totals(jnp.arange(3), jnp.ones(2)), "labels from 0 to 2"),
        (lambda: pc.totals(jnp.arange(3) - 2, jnp.ones(3)), "labels from -2 to 0"),
        (lambda: pc.totals(jnp.arange(3), 1.0), r"one value per region, \(g,\)"),
        (lambda: pc.pointwise(jnp.ones(3), jnp.ones(3)), r"matrix\[None\]"),
        (lambda: pc.pointwise(jnp.ones((1, 2, 5)), jnp.ones((1, 4))), "of shape"),
        (lambda: pc.from_matrix(jnp.ones(3), 1.0), "matrix of shape"),
        (lambda: pc.from_matrix(np.full((2, 3), np.nan), 1.0), "a finite matrix"),
        (lambda: pc.from_matrix(ONES, jnp.ones(4)), r"shape \(3,\)"),
        (lambda: pc.from_matrix(ONES, 1.0, shape=(5,)), "a field of 4 points"),
        (lambda: pc.totals(jnp.arange(2), ONES[0, :2], weights=NAN), "finite weights"),
        (lambda: pc.totals(jnp.arange(2), ONES[0, :2], where=NAN), "finite where"),
        (lambda: pc.block_means(NAN, 2, 1.0), "finite weights"),
        (lambda: pc.block_means(-ONES, 2, 1.0), "weights of zero or more"),
        (lambda: pc.pointwise(NAN[None], jnp.ones((1, 3))), "finite matrix"),
        (lambda: pc.incidence([[0, 1], [1, 4]], 4), "nodes from -1"),
        (lambda: pc.incidence(np.ones((2, 2)), 4), "edges as integers"),
    ],
)
def test_bad_input_is_explained(make, expected):
    with pytest.raises(ValueError, match=expected):
        make()


def test_labels_out_of_range_are_found_at_run_time():
    def total(labels):
        return pc.totals(labels, jnp.ones(2)).residual(jnp.ones(3))

    with pytest.raises(RuntimeError, match="labels from -1"):
        jax.jit(total)(jnp.array([0, 1, 2])).block_until_ready()


def test_regions_without_points_have_no_row():
    """An empty region, a masked block and an empty matrix row are not 'redundant', and
    their values and noise are ignored.
    """
    prior = pc.Gaussian.diagonal(jnp.ones(4), jnp.ones(4))
    where = jnp.array([1, 1, 0, 0])
    laws = [
        pc.totals(jnp.array([0, 0, -1, -1]), jnp.array([4.0, 9.0]), noise_std=0.5),
        pc.block_means(jnp.full(4, 2.0), 2, jnp.array([2.0, 9.0]), 0.25, where=where),
        pc.from_matrix(
            BCOO.fromdense(jnp.array([[1.0, 1, 0, 0], [0, 0, 0, 0]])),
            jnp.array([4.0, 9.0]),
            0.5,
        ),
    ]
    alone = pc.condition(prior, pc.integral(where, 4.0, noise_std=0.5))
    for law, shift in zip(laws, (0, np.log(2), 0), strict=True):
        found = pc.condition(prior, law)
        assert int(found.status) == 0
        np.testing.assert_allclose(
            found.posterior.mean, alone.posterior.mean, rtol=1e-6
        )
        # A mean is half of the sum: its density is twice as large.
        assert alone.log_evidence is not None
        expected = alone.log_evidence + shift
        np.testing.assert_allclose(found.log_evidence, expected, rtol=1e-5)


def test_any_kind_of_matrix_gives_the_same_law(rng):
    """Repeated entries are added; a dense array with few entries becomes sparse."""
    dense = np.zeros((40, 30), np.float32)
    dense[np.arange(40), rng.integers(0, 30, 40)] = rng.normal(size=40)
    row, column = np.nonzero(dense)
    value = dense[row, column] / 2
    twice = [np.concatenate([x, x]) for x in (row, column, value)]
    index = jnp.stack([jnp.asarray(twice[0]), jnp.asarray(twice[1])], axis=1)
    bcoo = BCOO((jnp.asarray(twice[2]), index), shape=dense.shape)
    kinds = [dense, bcoo]
    scipy = pytest.importorskip("scipy.sparse")
    coo = scipy.coo_matrix((twice[2], (twice[0], twice[1])), dense.shape)
    kinds += [coo, coo.tocsc(), scipy.csr_array(dense), scipy.dok_array(dense)]
    for matrix in kinds:
        law = pc.from_matrix(matrix, 1.0, shape=(5, 6))
        assert isinstance(law.operator, Sparse)
        rows = np.asarray(law.operator.rows()).reshape(40, 30)
        np.testing.assert_allclose(rows, dense, rtol=1e-6)
    assert isinstance(pc.from_matrix(dense[:3], 1.0).operator, Rows)


def test_stack_keeps_the_order_of_rows(rng):
    labels = jnp.asarray(rng.integers(-1, 3, (3, 4)))
    parts = [
        pc.totals(labels, jnp.asarray(rng.normal(size=3), jnp.float32)),
        pc.integral(ONES, 2.0),
        pc.pointwise(jnp.ones((1, 3)), jnp.ones((1, 4)), 0.1),
        pc.block_means(ONES, np.array([2, 2]), jnp.zeros((2, 2))),
    ]
    law = pc.stack(*parts)
    assert isinstance(law.operator, Stack)
    again = pc.stack(pc.stack(*parts[:2]), pc.stack(*parts[2:]))
    u = jnp.asarray(rng.normal(size=(3, 4)), jnp.float32)
    expected = np.concatenate([np.ravel(p.residual(u)) for p in parts])
    np.testing.assert_allclose(law.residual(u), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(again.residual(u), expected, rtol=1e-5, atol=1e-6)
    noise = np.concatenate([np.ravel(p.noise()) for p in parts])
    np.testing.assert_array_equal(law.noise(), noise)
    y = jnp.asarray(rng.normal(size=12), jnp.float32)
    back = np.tensordot(np.asarray(y), np.asarray(law.operator.rows()), 1)
    np.testing.assert_allclose(law.operator.rmv(y), back, rtol=1e-5, atol=1e-6)


def test_boxes_that_cannot_be_met_are_named():
    """Which rows miss their values, and by how much."""
    prior = pc.Gaussian.diagonal(jnp.ones(6), jnp.ones(6))
    law = pc.totals(jnp.array([0, 0, 1, 1, 2, 2]), jnp.array([1.0, 9.0, -3.0]))
    expected = r"row 1 got 9, out of reach \[0, 8\] by 1, row 2 got -3, .* by 3; widen"
    with pytest.raises(RuntimeError, match=expected):
        pc.bounded(prior, law, 0.0, 4.0)
    low, high = pc.reachable(prior, law, 0.0, 4.0)
    np.testing.assert_array_equal(low, [0, 0, 0])
    np.testing.assert_array_equal(high, [8, 8, 8])
    matrix = np.array([[1.0, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 0]])
    coupled = pc.from_matrix(np.pad(matrix, ((0, 1), (0, 0))), np.array([1.0, 20, 0]))
    with pytest.raises(RuntimeError, match=r"row 0, row 1: .* misses it by 11\)"):
        pc.constrained(prior, coupled, 0.0, 4.0)


def test_a_row_of_unmeasured_points_is_explained():
    std = jnp.array([1.0, 1.0, jnp.inf, jnp.inf])
    law = pc.totals(jnp.array([0, 0, 1, 1]), jnp.array([2.0, 9.0]))
    with pytest.raises(RuntimeError, match=r"point\(s\) 2, 3 .*measure one of them"):
        pc.condition(pc.Gaussian.diagonal(jnp.ones(4), std), law)
