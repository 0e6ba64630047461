"""Rows of bench_rows.py with inequalities that couple: quadratic programs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

import physcon as pc
from _rows_base import Work, apart, first_call, peer, quadratic_program
from _rows_plants import metabolism


def flux_balance(rng: np.random.Generator) -> Work:
    """The fluxes nearest to measured ones that balance within their bounds.

    A gene (of the reaction PGI) is knocked out, as in the minimisation of metabolic
    adjustment (Segrè et al., 2002). "Measured" is a feasible state of the wild type
    with noise.
    """
    model = metabolism()
    shape = model.stoichiometry.shape
    lower, upper = model.lower.copy(), model.upper.copy()
    start = rng.uniform(-1, 1, shape[1]) * np.minimum(10, upper - lower)
    wild = quadratic_program(
        start,
        np.ones(shape[1]),
        model.stoichiometry,
        np.zeros(shape[0]),
        model.lower,
        model.upper,
    )
    mean = start if wild is None else wild(1e-9)
    mean = mean + 0.1 * rng.normal(size=mean.size)
    out = model.names.index("R_PGI")
    lower[out] = upper[out] = 0.0
    # A bound that fixes a flux has no interior; leave the solver a point, not a width.
    std = np.maximum(0.1 * np.abs(mean), 0.1)
    program = quadratic_program(
        mean, std, model.stoichiometry, np.zeros(shape[0]), lower, upper
    )

    @jax.jit
    def forward(mean, std, law):
        prior = pc.Gaussian.diagonal(mean, std)
        found = pc.constrained(prior, law, lower, upper, throw=False)
        return found.mean, found.outcome._value, found.steps

    law = pc.from_matrix(model.stoichiometry, 0.0)
    args = jnp.asarray(mean), jnp.asarray(std), law
    (u, outcome, steps), first = first_call(lambda: forward(*args))
    u = np.asarray(u)
    facts = {
        "first call, s": first,
        "outcome": int(outcome),
        "steps": int(steps),
        "largest imbalance": float(np.abs(model.stoichiometry @ u).max()),
        "largest bound violation": float(np.maximum(lower - u, u - upper).max()),
    }
    peers: dict[str, Callable[[], Any]] = {}
    if program is not None:
        peers["Clarabel at 1e-8"] = lambda: program(1e-8)
        best = _objective(program(1e-12), mean, std)
        facts["objective over Clarabel's at 1e-12, less 1"] = (
            _objective(u, mean, std) / best - 1
        )
    return Work(
        f"iJO1366, fluxes nearest to measured ones: {shape[0]} balances, "
        f"{shape[1]} fluxes with bounds",
        "≤ 1 s",
        lambda: forward(*args),
        peers,
        facts,
    )


def _objective(u: np.ndarray, mean: np.ndarray, std: np.ndarray) -> float:
    return float((((u - mean) / std) ** 2).sum())


def _tree(leaves: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """The parent of every series but the first, level by level from the total.

    The total, 10 groups, 100, 1000, 10 000 groups, then leaves of uneven number.
    """
    parents, offset = [], 0
    for size in (10, 100, 1000, 10_000):
        above = size // 10
        parents.append(offset + np.repeat(np.arange(above), 10))
        offset += above
    many = np.concatenate([np.arange(10_000), rng.integers(0, 10_000, leaves - 10_000)])
    parents.append(offset + np.sort(many))
    return np.concatenate(parents), offset + 10_000


def hierarchy(rng: np.random.Generator) -> Work:
    """Forecasts of 1e5 series: each group is the sum of its parts, none is negative.

    Ordinary least squares. Base forecasts are not negative, since MinTraceSparse clips
    them first.
    """
    parent, groups = _tree(100_000 - 11_111, rng)
    n = parent.size + 1
    child = np.arange(1, n)
    ones = np.ones(groups), -np.ones(n - 1)
    matrix = sp.csr_matrix(
        (
            np.concatenate(ones),
            (np.r_[np.arange(groups), parent], np.r_[np.arange(groups), child]),
        ),
        (groups, n),
    )
    summing = _summing(parent, groups, n)
    truth = summing @ rng.exponential(1, n - groups)
    noise = 1 + rng.normal(size=n) * np.sqrt(1 + truth)
    base = np.maximum(truth + noise, 0)

    @jax.jit
    def forward(base, law):
        prior = pc.Gaussian.diagonal(base, jnp.ones_like(base))
        found = pc.constrained(prior, law, 0.0, throw=False)
        return found.mean, found.outcome._value, found.steps

    law, building = first_call(lambda: pc.from_matrix(matrix, 0.0))
    args = jnp.asarray(base), law
    (u, outcome, steps), first = first_call(lambda: forward(*args))
    leaves = np.maximum(np.asarray(u)[groups:], 0)
    mine = _objective(summing @ leaves, base, np.ones(n))
    facts = {
        "analysis and first call, s": building + first,
        "outcome": int(outcome),
        "steps": int(steps),
        "largest miss of a sum": float(np.abs(matrix @ np.asarray(u)).max()),
    }
    peers: dict[str, Callable[[], Any]] = {}
    methods = peer("hierarchicalforecast.methods")
    if methods is not None:

        def min_trace():
            solver = methods.MinTraceSparse(method="ols", nonnegative=True)
            return solver.fit(summing, base[:, None]).y_hat[:, 0]

        peers["hierarchicalforecast, MinTraceSparse(nonnegative)"] = min_trace
        theirs = _objective(min_trace(), base, np.ones(n))
        facts["objective over MinTraceSparse's, less 1"] = mine / theirs - 1
    return Work(
        f"hierarchy of {n} series ({groups} sums), none negative",
        "faster than MinTraceSparse, no further from the optimum",
        lambda: forward(*args),
        peers,
        facts,
    )


def _summing(parent: np.ndarray, groups: int, n: int) -> sp.csr_matrix:
    """Every series as a sum of the leaves ``(n, n - groups)``."""
    leaf = np.arange(n - groups)
    at, rows, columns = leaf + groups, [leaf + groups], [leaf]
    while at.max() > 0:
        at = np.where(at > 0, parent[at - 1], 0)
        rows.append(at)
        columns.append(leaf)
    entries = np.ones(leaf.size * len(rows))
    where = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_matrix((entries, where), (n, leaf.size))


def quadratic_programs(rng: np.random.Generator) -> Work:
    """1024 projections that share their matrices, with 50 equalities, 50 inequalities.

    The set of the benchmark of Pinet and DC3 (Donti et al., 2021): A u = b, C u <= h.
    """
    batch, n, m = 1024, 100, 50
    a, c = rng.normal(size=(m, n)), rng.normal(size=(m, n))
    inside = rng.uniform(-1, 1, (batch, n)) @ (np.linalg.pinv(a) @ a)
    mean = inside + rng.normal(size=(batch, n))
    b = inside @ a.T
    h = np.broadcast_to(np.abs(c @ np.linalg.pinv(a)).sum(1) * 0.5, (batch, m))
    h = np.maximum(h, inside @ c.T + 0.1)
    rows = pc.linear_map.Rows(jnp.asarray(c))
    matrix = jnp.asarray(a)

    @jax.jit
    @jax.vmap
    def forward(mean, b, h):
        prior = pc.Gaussian.diagonal(mean, jnp.ones(n))
        law = pc.from_matrix(matrix, b)
        found = pc.constrained(prior, law, rows=rows, row_upper=h, throw=False)
        return found.mean, found.outcome._value, found.steps

    args = jnp.asarray(mean), jnp.asarray(b), jnp.asarray(h)
    found, outcomes, steps = forward(*args)
    facts = {"not solved": int((outcomes > 1).sum()), "steps": int(steps.max())}
    facts |= _misses("physcon", found, a, b, c, h)
    peers: dict[str, Callable[[], Any]] = {}
    for name, make in (("qpax", _by_qpax), ("pinet", _by_pinet)):
        run = make(a, c, *args)
        if run is not None:
            peers[name] = run
            theirs = run()
            facts |= _misses(name, theirs, a, b, c, h)
            facts[f"{name}: difference to physcon"] = apart(theirs, found)
    return Work(
        "1024 quadratic programs, 100 variables, 50 + 50 rows",
        "no slower than qpax and pinet at the same tolerance",
        lambda: forward(*args),
        peers,
        facts,
    )


def _misses(name: str, u: Any, a, b, c, h) -> dict[str, float]:
    u = np.asarray(u).reshape(b.shape[0], -1)
    missed = max(np.abs(u @ a.T - b).max(), (u @ c.T - h).max())
    return {f"{name}: largest miss of a row": float(missed)}


def _by_qpax(a, c, mean, b, h) -> Callable[[], Any] | None:
    qpax = peer("qpax")
    if qpax is None:
        return None
    one = jnp.eye(a.shape[1])

    @jax.jit
    @jax.vmap
    def solve(mean, b, h):
        found = qpax.solve_qp(
            one, -mean, jnp.asarray(a), b, jnp.asarray(c), h, solver_tol=1e-8
        )
        return found[0]

    return lambda: solve(mean, b, h)


def _by_pinet(a, c, mean, b, h) -> Callable[[], Any] | None:
    pinet = peer("pinet")
    if pinet is None:
        return None
    equal = pinet.EqualityConstraint(
        jnp.asarray(a)[None], b[..., None], method=None, var_b=True
    )
    low = jnp.full_like(h, -1e6)[..., None]
    unequal = pinet.AffineInequalityConstraint(jnp.asarray(c)[None], low, h[..., None])
    layer = pinet.Project(eq_constraint=equal, ineq_constraint=unequal)
    project = layer.call_and_check(tol=1e-6, max_iter=2000, check_every=50)
    right = pinet.EqualityConstraintsSpecification(b=b[..., None])
    given = pinet.ProjectionInstance(x=mean[..., None], eq=right)
    return lambda: project(given)[0].x
