"""Laws with many rows: structured solvers compared with NumPy, SciPy and Clarabel.

    python benchmarks/bench_rows.py [--repeats 5] [--only blocks,network]

Each time is the median of interleaved calls in one process, after compilation; the
ratio is the time of physcon divided by the time of the alternative. Everything is in
float64 unless the name says otherwise. The networks and meshes are synthetic, of the
sizes of EPANET's ky10 and Net6. "first call" is the analysis of the pattern,
compilation and one run.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import clarabel
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl

import physcon as pc
from _record import interleaved, record
from physcon._numerics import sparse

Rows = list[dict]


def compare(
    name: str, repeats: int, ours: Callable, other: Callable, what: str
) -> dict:
    """Times of one piece of work, interleaved, with their ratio."""
    times = interleaved({"physcon": ours, what: other}, repeats)
    mine, theirs = times["physcon"]["run_s"], times[what]["run_s"]
    row = {"work": name, "physcon_ms": 1e3 * mine, "other": what}
    row |= {"other_ms": 1e3 * theirs, "ratio": mine / theirs}
    row["compile_s"] = times["physcon"]["compile_s"]
    print(row, flush=True)
    return row


def blocks(repeats: int, rng: np.random.Generator) -> Rows:
    """Block means of a 128 x 128 field; with gradient; with u >= 0."""
    n, k = 128, 4
    mean = rng.normal(0.3, 1, (n, n))
    std = np.exp(0.5 * rng.normal(size=(n, n)))
    target = np.abs(rng.normal(0.5, 0.5, (n // k, n // k)))
    law = pc.block_means(jnp.ones((n, n)), k, jnp.asarray(target))
    args = jnp.asarray(mean), jnp.asarray(std)

    @jax.jit
    def forward(mean, std):
        prior = pc.Gaussian.diagonal(mean, std)
        return pc.condition(prior, law, throw=False).posterior.mean

    gradient = jax.jit(jax.grad(lambda *a: jnp.sum(forward(*a) ** 2), argnums=(0, 1)))

    def closed_form():
        variance = std**2
        w = 1 / k**2
        cut = (n // k, k, n // k, k)
        s = (w**2 * variance).reshape(cut).sum((1, 3))
        multiplier = (target - (w * mean).reshape(cut).sum((1, 3))) / s
        return mean + w * variance * np.repeat(np.repeat(multiplier, k, 0), k, 1)

    out = [
        compare(
            "block means 128^2 / 4",
            repeats,
            lambda: forward(*args),
            closed_form,
            "NumPy",
        ),
        compare(
            "the same with gradient",
            repeats,
            lambda: gradient(*args),
            closed_form,
            "NumPy without gradient",
        ),
    ]

    @jax.jit
    def positive(mean, std):
        prior = pc.Gaussian.diagonal(mean, std)
        return pc.bounded(prior, law, 0.0, throw=False).mean

    batched = jax.jit(jax.vmap(positive, in_axes=(0, None)))
    row = np.arange(n * n).reshape(n, n) // n // k * (n // k)
    row = row + np.arange(n * n).reshape(n, n) % n // k
    rows = sp.csc_matrix((np.full(n * n, 1 / k**2), (row.ravel(), np.arange(n * n))))
    solver = quadratic_program(mean.ravel(), std.ravel(), rows, target.ravel())
    result = compare(
        "block means 128^2 / 4 with u >= 0",
        repeats,
        lambda: positive(*args),
        lambda: solver(1e-8),
        "Clarabel",
    )
    exact = solver(1e-13)
    result["difference_to_clarabel"] = float(
        np.abs(np.asarray(positive(*args)).ravel() - exact).max()
    )
    many = jnp.asarray(rng.normal(0.3, 1, (16, n, n)))
    ours = interleaved(
        {"one": lambda: positive(*args), "16": lambda: batched(many, args[1])}, repeats
    )
    result["batch_of_16_over_one"] = ours["16"]["run_s"] / ours["one"]["run_s"]
    return [*out, result]


def quadratic_program(mean, std, rows, target) -> Callable:
    """min Σ (u - mean)² / std², rows u = target, u >= 0, by Clarabel."""
    n = mean.size
    quadratic = sp.diags(1 / std**2).tocsc()
    matrix = sp.vstack([rows, -sp.eye(n)]).tocsc()
    bound = np.concatenate([target, np.zeros(n)])
    cones = [clarabel.ZeroConeT(target.size), clarabel.NonnegativeConeT(n)]

    def solve(tolerance):
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
        problem = clarabel.DefaultSolver(
            quadratic, -mean / std**2, matrix, bound, cones, settings
        )
        return np.asarray(problem.solve().x)

    return solve


def field(repeats: int, rng: np.random.Generator) -> Rows:
    """A quarter-degree field with variances; a million points bounded below."""
    shape, k = (720, 1440), 4
    mean = rng.normal(size=shape).astype(np.float32)
    std = np.exp(0.5 * rng.normal(size=shape)).astype(np.float32)
    with jax.enable_x64(False):
        law = pc.block_means(jnp.ones(shape), k, jnp.zeros((180, 360)))
        args = jnp.asarray(mean), jnp.asarray(std)

        @jax.jit
        def forward(mean, std):
            prior = pc.Gaussian.diagonal(mean, std)
            posterior = pc.condition(prior, law, throw=False).posterior
            return posterior.mean, posterior.variance()

        def closed_form():
            w, variance = np.float32(1 / k**2), std**2
            cut = (180, k, 360, k)
            s = (w**2 * variance).reshape(cut).sum((1, 3))

            def spread(x):
                return np.repeat(np.repeat(x, k, 0), k, 1)

            multiplier = -(w * mean).reshape(cut).sum((1, 3)) / s
            gain = w * variance
            return mean + gain * spread(multiplier), variance - gain**2 * spread(1 / s)

        out = [
            compare(
                "1440 x 720 / 4 with variance, float32",
                repeats,
                lambda: forward(*args),
                closed_form,
                "NumPy",
            )
        ]
        labels = jnp.asarray(rng.integers(0, 10_000, 10**6))
        values = jnp.asarray(100 * rng.uniform(0.5, 1, 10_000), jnp.float32)
        law = pc.totals(labels, values)
        points = jnp.asarray(rng.normal(0.5, 1, 10**6), jnp.float32)

        @jax.jit
        def positive(mean, law):
            prior = pc.Gaussian.diagonal(mean, jnp.ones_like(mean))
            return pc.bounded(prior, law, 0.0, throw=False).mean

        number = np.asarray(labels)
        out.append(
            compare(
                "10^6 points, 10^4 regions, u >= 0, float32",
                repeats,
                lambda: positive(points, law),
                lambda: np.bincount(number, np.asarray(points), 10_000),
                "one bincount",
            )
        )
    return out


def network(repeats: int, rng: np.random.Generator) -> Rows:
    """Balances of pipe networks of the sizes of ky10 and Net6."""
    out = []
    for name, nodes, edges in (("ky10", 920, 1061), ("Net6", 3323, 3892)):
        place = rng.uniform(size=(nodes, 2))
        order = np.argsort(place[:, 0] + 0.1 * place[:, 1])
        tree = [
            (order[i], order[max(0, i - rng.integers(1, 12))]) for i in range(1, nodes)
        ]
        chords = edges - len(tree) - 2
        start = rng.integers(0, nodes - 20, chords)
        loops = np.stack([order[start], order[start + rng.integers(2, 20, chords)]], 1)
        ends = np.concatenate(
            [np.array(tree), loops, [[-1, order[0]], [order[-1], -1]]]
        )
        demand = rng.normal(size=nodes)
        begin = time.perf_counter()
        law = pc.incidence(ends, nodes, jnp.asarray(demand))
        mean = jnp.asarray(rng.normal(size=len(ends)))
        std = np.exp(rng.normal(size=len(ends)))

        @jax.jit
        def forward(mean, std, law):
            prior = pc.Gaussian.diagonal(mean, std)
            return pc.condition(prior, law, throw=False).posterior.mean

        args = mean, jnp.asarray(std), law
        jax.block_until_ready(forward(*args))
        first = time.perf_counter() - begin
        inside = ends >= 0
        column = np.repeat(np.arange(len(ends)), 2).reshape(-1, 2)
        sign = np.broadcast_to([1.0, -1.0], ends.shape)
        g = sp.csr_matrix(
            (sign[inside], (ends[inside], column[inside])), (nodes, len(ends))
        )

        measured = np.asarray(mean)

        def by_scipy(g=g, std=std, mean=measured, demand=demand):
            s = (g @ sp.diags(std**2) @ g.T).tocsc()
            multiplier = spl.splu(s, permc_spec="MMD_AT_PLUS_A").solve(
                demand - g @ mean
            )
            return mean + std**2 * (g.T @ multiplier)

        row = compare(
            f"balances of {nodes} nodes, {len(ends)} flows ({name})",
            repeats,
            lambda args=args, run=forward: run(*args),
            by_scipy,
            "SciPy SuperLU",
        )
        row["first_call_s"] = first
        row["difference"] = float(np.abs(np.asarray(forward(*args)) - by_scipy()).max())
        out.append(row)
    return out


def _triangles(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The edges of a triangulated square of n by n nodes."""
    index = np.arange(n * n).reshape(n, n)
    pairs = [
        (index[:, :-1], index[:, 1:]),
        (index[:-1], index[1:]),
        (index[:-1, :-1], index[1:, 1:]),
    ]
    return tuple(np.concatenate([p[k].ravel() for p in pairs]) for k in (0, 1))  # type: ignore


def mesh(repeats: int, rng: np.random.Generator) -> Rows:
    """Balances of 20 000 triangles with all variances; 10^5 unknown pressures."""
    n = 100
    index = np.arange(2 * n * n).reshape(n, n, 2)
    first = [index[..., 0].ravel(), index[:, :-1, 1].ravel(), index[:-1, :, 1].ravel()]
    second = [index[..., 1].ravel(), index[:, 1:, 0].ravel(), index[1:, :, 0].ravel()]
    ends = np.stack([np.concatenate(first), np.concatenate(second)], 1)
    rim = [index[0, :, 0], index[:, 0, 0], index[-1, :, 1], index[:, -1, 1]]
    outside = np.concatenate(rim)
    ends = np.concatenate([ends, np.stack([outside, -np.ones_like(outside)], 1)])
    std = np.exp(rng.normal(size=len(ends)))
    mean = rng.normal(size=len(ends))
    law = pc.incidence(ends, 2 * n * n)

    @jax.jit
    def forward(mean, std, law):
        prior = pc.Gaussian.diagonal(mean, std)
        posterior = pc.condition(prior, law, throw=False).posterior
        return posterior.mean, posterior.variance()

    args = jnp.asarray(mean), jnp.asarray(std), law
    inside = ends >= 0
    column = np.repeat(np.arange(len(ends)), 2).reshape(-1, 2)
    sign = np.broadcast_to([1.0, -1.0], ends.shape)
    g = sp.csr_matrix(
        (sign[inside], (ends[inside], column[inside])), (2 * n * n, len(ends))
    )

    def by_scipy():
        s = (g @ sp.diags(std**2) @ g.T).tocsc()
        return spl.splu(s, permc_spec="MMD_AT_PLUS_A").solve(-(g @ mean))

    out = [
        compare(
            f"{2 * n * n} triangles, {len(ends)} edges, with all variances",
            repeats,
            lambda: forward(*args),
            by_scipy,
            "SciPy SuperLU without variances",
        )
    ]
    n = 316
    first, second = _triangles(n)
    weight = 10 ** rng.uniform(-1, 1, first.size)
    leak = np.full(n * n, 1e-3)
    both = np.concatenate([first, second, np.arange(n * n)])
    other = np.concatenate([second, first, np.arange(n * n)])
    diagonal = (
        leak + np.bincount(first, weight, n * n) + np.bincount(second, weight, n * n)
    )
    matrix = sp.csc_matrix(
        (np.concatenate([-weight, -weight, diagonal]), (both, other))
    )
    begin = time.perf_counter()
    pattern = sparse.analyse(n * n, first, second)
    analysis = time.perf_counter() - begin
    entries = matrix[np.asarray(pattern.row), np.asarray(pattern.column)]
    entries = jnp.asarray(np.asarray(entries).ravel())
    right = rng.normal(size=n * n)

    @jax.jit
    def factor_and_solve(pattern, entries, right):
        return sparse.solve(sparse.factorise(pattern, entries), right)

    given = pattern, entries, jnp.asarray(right)

    def superlu():
        options = {"SymmetricMode": True}
        factor = spl.splu(
            matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options
        )
        return factor.solve(right)

    row = compare(
        "10^5 unknowns on a plane mesh, factor and solve",
        repeats,
        lambda: factor_and_solve(*given),
        superlu,
        "SciPy SuperLU",
    )
    row["analysis_s"] = analysis
    found = np.asarray(factor_and_solve(*given))
    row["difference"] = float(np.abs(found - superlu()).max() / np.abs(found).max())
    return [*out, row]


def species(repeats: int, rng: np.random.Generator) -> Rows:
    """Atoms of 4 elements over 12 species in 10^5 cells, float32."""
    with jax.enable_x64(False):
        atoms = rng.integers(0, 4, (4, 12)).astype(np.float32)
        cells = 10**5
        mean = np.abs(rng.normal(size=(12, cells))).astype(np.float32)
        std = (0.1 * mean).astype(np.float32)
        target = (atoms @ mean * (1 + 0.01 * rng.normal(size=(4, cells)))).astype(
            np.float32
        )
        law = pc.pointwise(atoms, jnp.asarray(target))

        @jax.jit
        def forward(mean, std, law):
            prior = pc.Gaussian.diagonal(mean, std)
            return pc.condition(prior, law, throw=False).posterior.mean

        args = jnp.asarray(mean), jnp.asarray(std), law

        def by_numpy():
            variance = std.astype(float) ** 2
            s = np.einsum("ik,jk,kx->xij", atoms, atoms, variance, optimize=True)
            missing = (target - atoms @ mean).T[..., None]
            multiplier = np.linalg.solve(s, missing)[..., 0]
            return mean + variance * (atoms.T @ multiplier.T)

        row = compare(
            "10^5 cells x 12 species x 4 elements, float32",
            repeats,
            lambda: forward(*args),
            by_numpy,
            "NumPy",
        )
        found = np.asarray(forward(*args), float)
        terms = atoms @ np.abs(found) + np.abs(target)
        row["largest_relative_miss"] = float(
            (np.abs(atoms @ found - target) / terms).max()
        )
    return [row]


GROUPS = {
    "blocks": blocks,
    "field": field,
    "network": network,
    "mesh": mesh,
    "species": species,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default=",".join(GROUPS))
    output = Path(__file__).parent / "results" / "bench_rows.json"
    parser.add_argument("--output", type=Path, default=output)
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    rows: Rows = []
    for name in arguments.only.split(","):
        rows += GROUPS[name](arguments.repeats, np.random.default_rng(0))
    record("bench_rows", rows, arguments.output)


if __name__ == "__main__":
    main()
