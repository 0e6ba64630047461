"""The levels of a balance in the plane: symmetry, robustness, and the same answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

import physcon as pc
from physcon.conditioning import _multilevel as multilevel
from physcon.conditioning import _semicoarsening as semicoarsening
from physcon.conditioning import balance, join_fields, laplacian
from physcon.linear_map import Difference

M, N = 20, 25
ENDS = [(True, True), (False, True), (False, False)]


@jax.jit
def build(network):
    return semicoarsening.build(network)


@jax.jit
def apply(levels, r):
    return semicoarsening.apply(levels, r)


@jax.jit
def uneven(parts, weights):
    return multilevel.uneven(parts, weights)


def _parts(m, n, ends):
    faces = sum(ends) - 1
    first = Difference(jnp.ones((m + faces, n)), 0, ends)
    return first, Difference(jnp.ones((m, n + faces)), 1, ends)


def _weights(parts, kind):
    rng = np.random.default_rng(7)
    weights = []
    for part in parts:
        shape = part.in_shape
        places = (np.arange(k) / k for k in shape)
        i, j = np.meshgrid(*places, indexing="ij")
        if kind == "smooth":
            log = 2 * np.sin(7 * j + part.axis) * np.cos(5 * i - 2 * part.axis)
        elif kind == "random":
            log = rng.normal(size=shape)
        else:
            log = 3.5 * np.sign(np.sin(20 * i + part.axis) * np.sin(17 * j))
        w = np.exp(log)
        if kind == "closed cells":
            w[rng.random(shape) < 0.1] = 0
        weights.append(w)
    return weights


def _matrix(parts, weights, noise):
    total = sp.diags(noise.ravel())
    for part, w in zip(parts, weights, strict=True):
        k = part.out_shape[part.axis]
        offsets = sp.diags([-np.ones(k), np.ones(k)], [0, 1], shape=(k, k + 1))
        kept = slice(int(not part.ends[0]), k + int(part.ends[1]))
        one = offsets.tocsr()[:, kept]
        other = sp.eye(part.out_shape[1 - part.axis])
        rows = sp.kron(one, other) if part.axis == 0 else sp.kron(other, one)
        total = total + rows @ sp.diags(w.ravel()) @ rows.T
    return total.tocsr()


def _levels(parts, weights, noise):
    arrays = [jnp.asarray(w, jnp.float32) for w in weights]
    noise = jnp.asarray(noise, jnp.float32)
    return build(multilevel.network_of(parts, arrays, noise))


def _steps(matrix, levels, shape, b):
    """Conjugate gradients in float64 around the float32 preconditioner."""
    x = np.zeros_like(b)
    r = b.copy()
    p = np.zeros_like(b)
    before = 1.0
    for step in range(200):
        if np.linalg.norm(r) <= 1e-9 * np.linalg.norm(b):
            return step, x
        z = np.asarray(apply(levels, jnp.asarray(r.reshape(shape), jnp.float32)), float)
        now = r @ z.ravel()
        p = z.ravel() + now / before * p
        before = now
        q = matrix @ p
        alpha = now / (p @ q)
        x = x + alpha * p
        r = r - alpha * q
    return step, x


@pytest.mark.parametrize("ends", ENDS)
def test_the_sum_over_levels_is_symmetric_and_positive(ends):
    parts = _parts(M, N, ends)
    noise = np.full((M, N), 1e-3)
    levels = _levels(parts, _weights(parts, "closed cells"), noise)
    eye = np.eye(M * N, dtype=np.float32).reshape(-1, M, N)
    dense = np.array([apply(levels, r) for r in eye], float).reshape(M * N, -1)
    assert np.abs(dense - dense.T).max() <= 1e-5 * np.abs(dense).max()
    assert np.linalg.eigvalsh(0.5 * (dense + dense.T)).min() > 0


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("kind", ["smooth", "jumps", "closed cells"])
def test_the_solution_is_that_of_a_sparse_factor(ends, kind):
    parts = _parts(M, N, ends)
    weights = _weights(parts, kind)
    noise = np.zeros((M, N))
    noise[3, 4] = 1.0  # a closed system would be singular
    if kind == "closed cells":
        noise += 1e-2
    matrix = _matrix(parts, weights, noise)
    b = np.random.default_rng(0).normal(size=M * N)
    steps, x = _steps(matrix, _levels(parts, weights, noise), (M, N), b)
    assert steps < (30 if kind == "smooth" else 150)  # 200 end the iteration
    exact = spsolve(matrix.tocsc(), b)
    np.testing.assert_allclose(x, exact, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize(("kind", "bound"), [("smooth", 8), ("random", 16)])
def test_steps_hardly_grow_with_the_grid(kind, bound):
    steps = []
    for m, n in ((M, N), (80, 101)):
        parts = _parts(m, n, (True, True))
        weights = _weights(parts, kind)
        noise = np.zeros((m, n))
        b = np.random.default_rng(1).normal(size=m * n)
        matrix = _matrix(parts, weights, noise)
        steps.append(_steps(matrix, _levels(parts, weights, noise), (m, n), b)[0])
    assert steps[1] <= steps[0] + bound


def test_one_column_is_solved_exactly():
    parts = _parts(9, 1, (True, True))
    weights = _weights(parts, "smooth")
    noise = np.full((9, 1), 0.1)
    b = np.random.default_rng(2).normal(size=(9, 1))
    x = semicoarsening.apply(
        _levels(parts, weights, noise), jnp.asarray(b, jnp.float32)
    )
    exact = spsolve(_matrix(parts, weights, noise).tocsc(), b.ravel())
    np.testing.assert_allclose(np.ravel(x), exact, rtol=1e-4)


def test_only_uneven_weights_take_levels():
    parts = _parts(M, N, (True, True))
    profile = np.exp(np.linspace(0, 3, M + 1))[:, None]
    product = [np.broadcast_to(profile, (M + 1, N)), np.full((M, N + 1), 2.0)]
    for weights, expected in ((product, False), (_weights(parts, "smooth"), True)):
        arrays = [jnp.asarray(w, jnp.float32) for w in weights]
        assert bool(uneven(parts, arrays)) == expected


def test_conditioning_and_its_gradient(monkeypatch):
    monkeypatch.setattr(laplacian, "MANY", 0)
    m, n = 14, 19  # no other test has this shape, whose program would be reused
    parts = _parts(m, n, (True, True))
    stds = [np.sqrt(w) for w in _weights(parts, "smooth")]
    rng = np.random.default_rng(3)
    prior = join_fields(
        *(
            pc.Gaussian.diagonal(
                jnp.asarray(rng.normal(size=s.shape), jnp.float32),
                jnp.asarray(s, jnp.float32),
            )
            for s in stds
        )
    )
    grid = pc.Grid.uniform(0.0, float(n), n)
    law = balance(grid, np.arange(m + 1.0))
    score = jnp.asarray(rng.normal(size=prior.mean.shape), jnp.float32)

    @jax.jit
    def run(value):
        def scored(value):
            given = pc.LinearConstraint(law.operator, value)
            found = pc.condition(prior, given, throw=False)
            return score @ found.posterior.mean, (found.posterior.mean, found.outcome)

        return jax.value_and_grad(scored, has_aux=True)(value)

    (_, (mean, outcome)), slope = run(law.value)
    assert outcome == pc.Outcome.good
    g = sp.csr_matrix(np.asarray(law.operator.rows(), float).reshape(m * n, -1))
    variance = sp.diags(np.asarray(prior.variance(), float))
    s = (g @ variance @ g.T).tocsc()
    start = np.asarray(prior.mean, float)
    exact = start + variance @ g.T @ spsolve(s, np.ravel(law.value) - g @ start)
    np.testing.assert_allclose(mean, exact, atol=3e-6 * np.abs(exact).max())
    expected = spsolve(s, g @ variance @ np.asarray(score, float))
    atol = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(np.ravel(slope), expected, atol=atol)
