"""`from_fn`: the structure of a function's matrix, found from its program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon.linear_map import Disjoint, Rows, Sparse

SHAPE = (40, 50)
GRID = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), SHAPE)
RNG = np.random.default_rng(0)
LABELS = jnp.asarray(RNG.integers(0, 60, 2000))
FIRST = jnp.asarray(RNG.integers(0, 2000, 500))
SECOND = jnp.asarray(RNG.integers(0, 2000, 500))
MATRIX = jnp.asarray(np.diag(np.arange(1.0, 41))[:35], jnp.float32)


def _laplacian(u):
    neighbours = sum(jnp.roll(u, k, axis) for k in (-1, 1) for axis in (0, 1))
    return neighbours - 4 * u + 3.0


FUNCTIONS = {
    "blocks": (lambda u: u.reshape(10, 4, 10, 5).mean((1, 3)), Disjoint),
    "regions": (lambda u: jax.ops.segment_sum(u.reshape(-1), LABELS, 60), Disjoint),
    "a mesh": (lambda u: u.reshape(-1)[FIRST] - u.reshape(-1)[SECOND] / 2, Sparse),
    "a stencil": (_laplacian, Sparse),
    "a matrix": (lambda u: jnp.einsum("ij,jk->ik", MATRIX, u), Disjoint),
    "a scan": (lambda u: jax.lax.scan(lambda c, x: (c + x, c), 0.0, u[:, 0])[1], Rows),
    "one row": (GRID.integrate, Rows),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_structure_is_recognised_and_right(name):
    fn, kind = FUNCTIONS[name]
    law = pc.from_fn(fn, SHAPE, 1.0)
    assert type(law.operator) is kind
    u = jnp.asarray(RNG.normal(size=SHAPE), jnp.float32)
    expected = (1.0 - fn(u)).reshape(-1)
    np.testing.assert_allclose(law.residual(u), expected, atol=3e-5)


def test_integrals_of_many_components_are_one_sparse_law():
    law = pc.from_fn(GRID.integrate, (40, *SHAPE), jnp.arange(40.0))
    assert isinstance(law.operator, Disjoint)
    u = jnp.asarray(RNG.normal(size=(40, *SHAPE)), jnp.float32)
    expected = jnp.arange(40.0) - GRID.integrate(u)
    np.testing.assert_allclose(law.residual(u), expected, atol=1e-5)


def test_a_wrong_matrix_is_never_used(monkeypatch):
    """Where the operator disagrees with the function, rows are dense and right."""
    from physcon.conditioning import _from_fn

    found = _from_fn.sparse_matrix

    def wrong(*args):
        matrix = found(*args)
        entry = matrix.entry.copy()
        entry[17] *= 1.001
        return matrix._replace(entry=entry)

    monkeypatch.setattr(_from_fn, "sparse_matrix", wrong)
    fn = lambda u: u[1:] - u[:-1]  # noqa: E731
    law = pc.from_fn(fn, (50,), 0.0)
    assert isinstance(law.operator, Rows)
    u = jnp.asarray(RNG.normal(size=50), jnp.float32)
    np.testing.assert_allclose(law.residual(u), -fn(u), atol=1e-6)


def test_traced_arrays_and_large_dense_rows():
    """A function of a traced array has dense rows; too many of them are refused."""

    @jax.jit
    def missed(scale, u):
        return pc.from_fn(lambda u: scale * u, (40,), 0.0).residual(u)

    u = jnp.arange(40.0)
    np.testing.assert_allclose(missed(3.0, u), -3 * u)
    with pytest.raises(ValueError, match="from_matrix"):
        pc.from_fn(jnp.cumsum, (2**17,), 0.0)
    with pytest.raises(ValueError, match="expected a linear function"):
        pc.from_fn(jnp.sin, (40,), 0.0)


@pytest.mark.parametrize(
    "fn",
    [
        lambda u: u.astype(jnp.int32).sum().astype(float),
        lambda u: MATRIX[:9] @ u.astype(jnp.int32).astype(float),
    ],
    ids=["rounded", "matrix of rounded"],
)
def test_values_that_differ_from_the_derivative_are_refused(fn):
    """JAX differentiates a conversion to integers to zero: rows without weights."""
    with pytest.raises(ValueError, match="values differ from those of its derivative"):
        pc.from_fn(fn, (40,), 6.0)
