"""Bounds with conservation: a million points, batches against public QP solvers, monotone profiles.

    python benchmarks/bench_bounded.py --output benchmarks/results/bench_bounded.json

Competitors (qpax, jaxopt) take part if they are installed; each result states by how much it
violates its equalities (relative to |G| |u| + |b|, in float64) and its bounds, and how far its
objective lies above the best one. They run in the same process on the same inputs, float32,
tolerance 1e-5, interleaved, on a smaller batch (they keep n-by-n matrices): compare by sample.
"""

import argparse
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np

from _record import interleaved, record
from physcon import Gaussian, LinearConstraint, Rows, condition
from physcon.conditioning import bounded, monotone, sample_bounded


def problem(key, n, m):
    """Mean, std, rows, value of a random field in [0, 1]."""
    keys = jax.random.split(key, 4)
    mean = 0.3 + jax.random.normal(keys[0], (n,))
    std = jnp.exp(jax.random.normal(keys[1], (n,)))
    rows = jax.random.normal(keys[2], (m, n)) if m > 1 else jnp.ones((1, n)) / n
    return mean, std, rows, rows @ jax.random.uniform(keys[3], (n,))


def project(mean, std, rows, value):
    law = LinearConstraint(Rows(rows), value)
    return bounded(Gaussian.diagonal(mean, std), law, 0.0, 1.0, throw=False)


def unbounded(mean, std, rows, value):
    law = LinearConstraint(Rows(rows), value)
    return condition(Gaussian.diagonal(mean, std), law, throw=False).posterior.mean


def quality(u, mean, std, rows, value) -> dict:
    """Violations, and the objective per sample, in float64."""
    u, mean, std, rows, value = (np.asarray(x, np.float64) for x in (u, mean, std, rows, value))
    miss = np.abs(np.einsum("...mn,...n->...m", rows, u) - value)
    size = np.einsum("...mn,...n->...m", np.abs(rows), np.abs(u)) + np.abs(value)
    return {
        "equality_violation": float((miss / size).max()),
        "bound_violation": float(max(0.0, -u.min(), u.max() - 1)),
        "objective": 0.5 * np.sum(((u - mean) / std) ** 2, axis=-1),
    }


def million(n: int, repeats: int) -> dict:
    arrays = problem(jax.random.key(0), n, 1)
    gradient = jax.jit(jax.value_and_grad(lambda *a: jnp.sum(project(*a).mean ** 2), (0, 1, 2, 3)))
    forward, free = jax.jit(project), jax.jit(unbounded)
    times = interleaved(
        {
            "condition": lambda: free(*arrays),
            "bounded": lambda: forward(*arrays),
            "bounded, value and gradient": lambda: gradient(*arrays),
        },
        repeats,
    )
    got = quality(forward(*arrays).mean, *arrays)
    ratio = times["bounded, value and gradient"]["run_s"] / times["bounded"]["run_s"]
    return {"points": n, "gradient_over_forward": ratio, **times, "violation": violations(got)}


def violations(got: dict) -> dict:
    return {k: v for k, v in got.items() if k != "objective"}


def osqp(mean, std, rows, value):
    from jaxopt import BoxOSQP

    n = mean.size
    matrix = jnp.concatenate([rows, jnp.eye(n)])
    low, high = (jnp.concatenate([value, jnp.full(n, x)]) for x in (0.0, 1.0))
    weight = std**-2
    solver = BoxOSQP(tol=1e-5, maxiter=4000)
    objective = (jnp.diag(weight), -weight * mean)
    state = solver.run(params_obj=objective, params_eq=matrix, params_ineq=(low, high))
    return state.params.primal[0]


def interior_point(mean, std, rows, value):
    import qpax

    n, weight = mean.size, std**-2
    sides = jnp.concatenate([jnp.eye(n), -jnp.eye(n)])
    ends = jnp.concatenate([jnp.ones(n), jnp.zeros(n)])
    quadratic = (jnp.diag(weight), -weight * mean)
    return qpax.solve_qp(*quadratic, rows, value, sides, ends, solver_tol=1e-5)[0]


def batches(batch: int, small: int, repeats: int) -> dict:
    keys = jax.random.split(jax.random.key(1), batch)
    arrays = jax.vmap(partial(problem, n=200, m=10))(keys)
    few = tuple(x[:small] for x in arrays)
    all_at_once = jax.jit(jax.vmap(lambda *a: project(*a).mean))
    solvers = {"physcon": all_at_once}
    if find_spec("qpax"):
        solvers["qpax"] = jax.jit(jax.vmap(interior_point))
    if find_spec("jaxopt"):
        solvers["jaxopt.BoxOSQP"] = jax.jit(jax.vmap(osqp))
    full = interleaved({"physcon": lambda: all_at_once(*arrays)}, repeats)["physcon"]
    times = interleaved({k: partial(f, *few) for k, f in solvers.items()}, repeats)
    qualities = {k: quality(f(*few), *few) for k, f in solvers.items()}
    best = qualities["physcon"]["objective"]
    out = {"batch": batch, "points": 200, "rows": 10, f"physcon, batch of {batch}": full}
    for name, got in qualities.items():
        excess = np.abs(got["objective"] - best) / best
        ratio = times[name]["run_s"] / times["physcon"]["run_s"]
        out[f"{name}, batch of {small}"] = {
            **times[name],
            "time_over_physcon": ratio,
            **violations(got),
            "objective_off_by": float(excess.max()),
            "version": version(name.split(".")[0]),
        }
    return out


def shapes_and_samples(repeats: int) -> dict:
    mean, std, _, _ = problem(jax.random.key(2), 10_000, 1)
    mean = mean + jnp.linspace(0, 1, mean.size)
    law = LinearConstraint(Rows(jnp.ones((1, mean.size)) / mean.size), jnp.full(1, 0.6))
    prior = Gaussian.diagonal(mean, std)
    key, part = jax.random.key(3), 1000
    short = Gaussian.diagonal(mean[:part], std[:part])
    share = LinearConstraint(Rows(jnp.ones((1, part)) / part), jnp.full(1, 0.6))
    ordered = jax.jit(lambda prior: monotone(prior, law, 0.0, 1.0, throw=False).mean)
    draws = jax.jit(
        lambda prior: sample_bounded(key, prior, share, 0.0, 1.0, (10,), sweeps=100, throw=False)
    )
    return interleaved(
        {
            "monotone, 10000 points": lambda: ordered(prior),
            "10 draws of 1000 points, 100 sweeps": lambda: draws(short),
        },
        repeats,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="benchmarks/results/bench_bounded.json")
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--small", type=int, default=64, help="batch for the comparison")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    results = {
        "one row and a box": million(options.points, options.repeats),
        "ten rows and a box": batches(options.batch, options.small, options.repeats),
        "others": shapes_and_samples(options.repeats),
    }
    record("bounded", results, options.output)


if __name__ == "__main__":
    main()
