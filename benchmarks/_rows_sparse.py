"""Rows of bench_rows.py with sparse matrices: pipe networks and meshes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl

import physcon as pc
from _rows_base import Work, apart, balances, first_call
from _rows_plants import water
from physcon._numerics import sparse


def ky10(rng: np.random.Generator) -> Work:
    return _network("ky10", "≤ 20 ms, first call ≤ 3 s", rng)


def net6(rng: np.random.Generator) -> Work:
    return _network("Net6", "≤ 50 ms, first call ≤ 3 s", rng)


def _network(name: str, reach: str, rng: np.random.Generator) -> Work:
    """Measured flows of a pipe network that balance at every junction."""
    plant = water(name)
    nodes, edges = plant.demand.size, len(plant.ends)
    mean = rng.normal(size=edges)
    std = np.exp(rng.normal(size=edges))
    supply = -plant.demand

    @jax.jit
    def forward(mean, std, law):
        prior = pc.Gaussian.diagonal(mean, std)
        result = pc.condition(prior, law, throw=False)
        return result.posterior.mean, result.status

    def make():
        law = pc.incidence(plant.ends, nodes, jnp.asarray(supply))
        return law, forward(jnp.asarray(mean), jnp.asarray(std), law)

    (law, (found, status)), first = first_call(make)
    args = jnp.asarray(mean), jnp.asarray(std), law
    g = balances(plant.ends, nodes)
    by_scipy = _superlu(g, mean, std, supply)
    return Work(
        f"{name}: {nodes} balances, {edges} flows",
        reach,
        lambda: forward(*args),
        {"SciPy SuperLU": by_scipy},
        {
            "first call, s": first,
            "status": int(status),
            "difference to SciPy": apart(found, by_scipy()),
        },
    )


def _superlu(g: sp.csr_matrix, mean, std, value) -> Callable[[], np.ndarray]:
    """The mean by the Gram matrix and SciPy's sparse factorisation."""

    def solve() -> np.ndarray:
        s = (g @ sp.diags(std**2) @ g.T).tocsc()
        factor = spl.splu(s, permc_spec="MMD_AT_PLUS_A")
        return mean + std**2 * (g.T @ factor.solve(value - g @ mean))

    return solve


def _triangle_edges(n: int) -> np.ndarray:
    """The edges of n x n squares of two triangles, as pairs of triangles; -1: rim."""
    index = np.arange(2 * n * n).reshape(n, n, 2)
    inner = [
        (index[..., 0], index[..., 1]),
        (index[:, :-1, 1], index[:, 1:, 0]),
        (index[:-1, :, 1], index[1:, :, 0]),
    ]
    rim = [index[0, :, 0], index[:, 0, 0], index[-1, :, 1], index[:, -1, 1]]
    pairs = [np.stack([a.ravel(), b.ravel()], 1) for a, b in inner]
    pairs += [np.stack([a, np.full_like(a, -1)], 1) for a in rim]
    return np.concatenate(pairs)


def triangles(rng: np.random.Generator) -> Work:
    """Fluxes through the edges of a mesh, with the variance of each."""
    n = 100
    cells = 2 * n * n
    ends = _triangle_edges(n)
    mean = rng.normal(size=len(ends))
    std = np.exp(rng.normal(size=len(ends)))

    @jax.jit
    def forward(mean, std, law):
        prior = pc.Gaussian.diagonal(mean, std)
        posterior = pc.condition(prior, law, throw=False).posterior
        return posterior.mean, posterior.variance()

    def make():
        law = pc.incidence(ends, cells)
        return law, forward(jnp.asarray(mean), jnp.asarray(std), law)

    (law, found), first = first_call(make)
    args = jnp.asarray(mean), jnp.asarray(std), law
    by_scipy = _superlu(balances(ends, cells), mean, std, np.zeros(cells))
    checked = rng.integers(0, len(ends), 20)
    exact = _some_variances(balances(ends, cells), std, checked)
    return Work(
        f"{cells} triangles, {len(ends)} edges, with all variances",
        "≤ 0.3 s",
        lambda: forward(*args),
        {"SciPy SuperLU without variances": by_scipy},
        {
            "first call, s": first,
            "difference of the mean to SciPy": apart(found[0], by_scipy()),
            "difference of 20 variances to SciPy": apart(
                np.asarray(found[1])[checked], exact
            ),
        },
    )


def _some_variances(g: sp.csr_matrix, std: np.ndarray, edges: np.ndarray) -> np.ndarray:
    factor = spl.splu((g @ sp.diags(std**2) @ g.T).tocsc(), permc_spec="MMD_AT_PLUS_A")
    columns = g[:, edges].toarray() * std[edges] ** 2
    return std[edges] ** 2 - (columns * factor.solve(columns)).sum(0)


def pressures(rng: np.random.Generator) -> Work:
    """An elliptic equation on a triangulated square: factor and solve."""
    n = 316
    index = np.arange(n * n).reshape(n, n)
    pairs = [
        (index[:, :-1], index[:, 1:]),
        (index[:-1], index[1:]),
        (index[:-1, :-1], index[1:, 1:]),
    ]
    first = np.concatenate([a.ravel() for a, _ in pairs])
    second = np.concatenate([b.ravel() for _, b in pairs])
    weight = 10 ** rng.uniform(-1, 1, first.size)
    leak = sp.diags(np.full(n * n, 1e-3))
    edges = balances(np.stack([first, second], 1), n * n)
    matrix = (edges @ sp.diags(weight) @ edges.T + leak).tocsc()
    pattern, analysis = first_call(lambda: sparse.analyse(n * n, first, second))
    entries = matrix[np.asarray(pattern.row), np.asarray(pattern.column)]
    entries = jnp.asarray(np.asarray(entries).ravel())
    right = rng.normal(size=n * n)

    @jax.jit
    def factor_and_solve(pattern, entries, right):
        return sparse.solve(sparse.factorise(pattern, entries), right)

    args = pattern, entries, jnp.asarray(right)

    def superlu():
        options = {"SymmetricMode": True}
        factor = spl.splu(
            matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options
        )
        return factor.solve(right)

    found, compiling = first_call(lambda: factor_and_solve(*args))
    return Work(
        "10⁵ unknown pressures on a plane mesh, factor and solve",
        "≤ 3 times SuperLU",
        lambda: factor_and_solve(*args),
        {"SciPy SuperLU": superlu},
        {
            "analysis, s": analysis,
            "compilation and first run, s": compiling,
            "difference to SciPy": apart(found, superlu()),
        },
    )
