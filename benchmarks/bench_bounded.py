"""Bounds with conservation: a million points, batches of QPs, monotone profiles.

    python benchmarks/bench_bounded.py --output benchmarks/results/bench_bounded.json

Public QP solvers are compared if they are installed (`pip install qpax jaxopt
pinet-hcnn`, in a separate environment because they need other versions). All solve the
same instances in the same process and precision, compiled, from a cold start, to the
same tolerance, interleaved: float32 to 1e-5 and float64 to 1e-8. Their batch is smaller
because they store n-by-n matrices (pinet: m-by-n). Each solver defines its tolerance
differently, so every result reports the violation of the equalities (relative to
|G| |u| + |b|, in float64) and of the bounds, and the difference of the objective.
"""

import argparse
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np

from _record import earlier, interleaved, record
from physcon import Gaussian, Grid, LinearConstraint, Rows, condition
from physcon.boundary import Boundary, Dirichlet
from physcon.conditioning import boundary_values, bounded, monotone, sample_bounded


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
    u, mean, std, rows, value = (
        np.asarray(x, np.float64) for x in (u, mean, std, rows, value)
    )
    miss = np.abs(np.einsum("...mn,...n->...m", rows, u) - value)
    size = np.einsum("...mn,...n->...m", np.abs(rows), np.abs(u)) + np.abs(value)
    return {
        "equality_violation": float((miss / size).max()),
        "bound_violation": float(max(0.0, -u.min(), u.max() - 1)),
        "objective": 0.5 * np.sum(((u - mean) / std) ** 2, axis=-1),
    }


def million(n: int, repeats: int) -> dict:
    arrays = problem(jax.random.key(0), n, 1)
    gradient = jax.jit(
        jax.value_and_grad(lambda *a: jnp.sum(project(*a).mean ** 2), (0, 1, 2, 3))
    )
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
    return {
        "points": n,
        "gradient_over_forward": ratio,
        **times,
        "violation": violations(got),
    }


def violations(got: dict) -> dict:
    return {k: v for k, v in got.items() if k != "objective"}


def osqp(mean, std, rows, value, *, tol):
    from jaxopt import BoxOSQP

    n = mean.size
    matrix = jnp.concatenate([rows, jnp.eye(n)])
    low, high = (jnp.concatenate([value, jnp.full(n, x)]) for x in (0.0, 1.0))
    weight = std**-2
    solver = BoxOSQP(tol=tol, maxiter=4000)
    objective = (jnp.diag(weight), -weight * mean)
    state = solver.run(params_obj=objective, params_eq=matrix, params_ineq=(low, high))
    return state.params.primal[0]


def interior_point(mean, std, rows, value, *, tol):
    import qpax

    n, weight = mean.size, std**-2
    sides = jnp.concatenate([jnp.eye(n), -jnp.eye(n)])
    ends = jnp.concatenate([jnp.ones(n), jnp.zeros(n)])
    quadratic = (jnp.diag(weight), -weight * mean)
    return qpax.solve_qp(*quadratic, rows, value, sides, ends, solver_tol=tol)[0]


def projection_layer(mean, std, rows, value, *, tol):
    """Of a whole batch: u = mean + std v, the nearest v to 0. The setup, with the
    pseudo-inverses of all G, is not timed: a layer is set up once.
    """
    from pinet import (
        BoxConstraint,
        BoxConstraintSpecification,
        EqualityConstraint,
        Project,
        ProjectionInstance,
    )

    low, high = (-mean / std)[..., None], ((1 - mean) / std)[..., None]
    missing = value - jnp.einsum("bmn,bn->bm", rows, mean)
    layer = Project(
        eq_constraint=EqualityConstraint(rows * std[:, None, :], missing[..., None]),
        box_constraint=BoxConstraint(BoxConstraintSpecification(lb=low, ub=high)),
    )
    solve = layer.call_and_check(tol=tol, max_iter=4000)
    start = ProjectionInstance(x=jnp.zeros_like(low))
    return lambda: mean + std * solve(start)[0].x[..., 0]


def competitors(few, tol) -> dict:
    """Functions without arguments: the solutions of the instances."""
    found = {}

    def add(name, one):
        solve = jax.jit(jax.vmap(one))
        found[name] = lambda: solve(*few)

    if find_spec("qpax"):
        add("qpax", partial(interior_point, tol=tol))
    if find_spec("jaxopt"):
        add("jaxopt BoxOSQP", partial(osqp, tol=tol))
    if find_spec("pinet"):
        found["pinet-hcnn"] = projection_layer(*few, tol=tol)
    return found


def batches(batch: int, small: int, repeats: int, dtype: str) -> dict:
    tol = 1e-5 if dtype == "float32" else 1e-8
    with jax.enable_x64(dtype == "float64"):
        keys = jax.random.split(jax.random.key(1), batch)
        arrays = jax.vmap(partial(problem, n=200, m=10))(keys)
        few = tuple(x[:small] for x in arrays)
        ours = jax.jit(jax.vmap(lambda *a: project(*a).mean))
        full = interleaved({"physcon": lambda: ours(*arrays)}, repeats)["physcon"]
        solvers = {"physcon": lambda: ours(*few), **competitors(few, tol)}
        times = interleaved(solvers, repeats)
        qualities = {k: quality(solve(), *few) for k, solve in solvers.items()}
        violated = violations(quality(ours(*arrays), *arrays))
    best = qualities["physcon"]["objective"]
    out = {
        "points": 200,
        "rows": 10,
        "tolerance": tol,
        f"physcon, batch of {batch}": full | violated,
    }
    for name, got in qualities.items():
        excess = np.abs(got["objective"] - best) / best
        ratio = times[name]["run_s"] / times["physcon"]["run_s"]
        out[f"{name}, batch of {small}"] = {
            **times[name],
            "time_over_physcon": ratio,
            **violations(got),
            "objective_off_by": float(excess.max()),
        }
        if name != "physcon":
            out[f"{name}, batch of {small}"]["version"] = version(name.split()[0])
        print(
            f"{dtype} {name:<20} {times[name]['run_s']:.3f} s  {ratio:7.1f}x",
            violations(got),
        )
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
        lambda prior: sample_bounded(
            key, prior, share, 0.0, 1.0, (10,), sweeps=100, throw=False
        )
    )
    return interleaved(
        {
            "monotone, 10000 points": lambda: ordered(prior),
            "10 draws of 1000 points, 100 sweeps": lambda: draws(short),
        },
        repeats,
    )


def walls(side: int, repeats: int) -> dict:
    """Values on all walls of a square of nodes, and a lower bound."""
    grid = Grid.uniform((0.0, 0.0), (1.0, 1.0), (side, side), location="nodes")
    law = boundary_values(grid, Boundary(Dirichlet(0.5), Dirichlet(0.5)))
    mean = 0.2 + 0.5 * jax.random.normal(jax.random.key(0), grid.shape)
    prior = Gaussian.diagonal(mean, 0.1 + 0.3 * jnp.abs(mean))
    times = interleaved(
        {
            "condition": lambda: condition(prior, law, throw=False).posterior.mean,
            "bounded": lambda: bounded(prior, law, 0.0, throw=False).mean,
        },
        repeats,
    )
    return {"points": side**2, "rows": 4 * side, **times}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", default="benchmarks/results/bench_bounded.json")
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument(
        "--small", type=int, default=32, help="batch for the comparison"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--walls", action="store_true", help="only the walls; the rest is kept"
    )
    options = parser.parse_args()
    if options.walls:
        results = earlier(options.output)
        results["walls and a lower bound"] = walls(64, options.repeats)
        record("bounded", results, options.output)
        return
    results = {
        "one row and a box": million(options.points, options.repeats),
        **{
            f"ten rows and a box, {dtype}": batches(
                options.batch, options.small, options.repeats, dtype
            )
            for dtype in ("float32", "float64")
        },
        "others": shapes_and_samples(options.repeats),
    }
    results["walls and a lower bound"] = walls(64, options.repeats)
    record("bounded", results, options.output)


if __name__ == "__main__":
    main()
