"""Conditioning with every covariance structure, compared with the least work.

    python benchmarks/bench_structures.py --output FILE.json

Each case and its reference are timed in one interleaved run. Residuals are evaluated in
float64, in units of eps (|G| |u| + |b|).
"""

import argparse
import resource
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import physcon as pc
from _record import earlier, interleaved, record
from physcon.conditioning import balance, join_fields, stationary
from physcon.kernels import matern32
from physcon.linear_map import Dense, Kronecker, LowRank, Rows

normal = jax.random.normal


@jax.jit
def mean_of(prior, law):
    found = pc.condition(prior, law, throw=False)
    return found.posterior.mean, found.steps


def rounding_of(rows, value, u) -> float:
    """Largest |G u - b| in units of eps (|G| |u| + |b|)."""
    g, b, u = (np.asarray(a, float) for a in (rows, value, u))
    g, u = g.reshape(len(b), -1), u.ravel()
    size = np.abs(g) @ np.abs(u) + np.abs(b)
    return float(np.max(np.abs(g @ u - b) / size) / np.finfo(np.float32).eps)


def report(name: str, results: dict, timings: dict, extra: dict) -> None:
    results[name] = {"timings": timings, **extra}
    times = "  ".join(f"{key} {value['run_s']:.3f} s" for key, value in timings.items())
    print(f"{name}: {times}  {extra}", flush=True)


def low_rank(n: int, r: int, m: int, repeats: int) -> tuple[dict, dict]:
    keys = jax.random.split(jax.random.key(0), 4)
    vectors, z = normal(keys[0], (r, n)), jnp.ones(r)
    law = pc.LinearConstraint(Rows(normal(keys[2], (m, n)) / n**0.5), jnp.ones(m))
    prior = pc.Gaussian(normal(keys[1], (n,)), LowRank(vectors))
    one_pass = jax.jit(lambda z, f: z @ f)
    rows_pass = jax.jit(lambda f, g: f @ g.T)
    posterior = jax.jit(partial(pc.condition, throw=False))(prior, law).posterior
    variance = jax.jit(lambda posterior: posterior.variance())
    timings = interleaved(
        {
            "condition": lambda: mean_of(prior, law),
            "variance": lambda: variance(posterior),
            "one_pass": lambda: one_pass(z, vectors),
            "product_with_rows": lambda: rows_pass(vectors, law.operator.weights),
        },
        repeats,
    )
    rounding = rounding_of(law.operator.weights, law.value, mean_of(prior, law)[0])
    one = timings["one_pass"]["run_s"]
    return timings, {
        "ratio_to_one_pass": timings["condition"]["run_s"] / one,
        "ratio_of_variance_to_one_pass": timings["variance"]["run_s"] / one,
        "residual_in_eps": rounding,
    }


def dense(n: int, m: int, repeats: int) -> tuple[dict, dict]:
    keys = jax.random.split(jax.random.key(0), 4)
    root = normal(keys[0], (n, n)) / n**0.5
    covariance = root @ root.T
    law = pc.LinearConstraint(Rows(normal(keys[2], (m, n)) / n**0.5), jnp.ones(m))
    prior = pc.Gaussian(normal(keys[1], (n,)), Dense(root, (n,)))

    @jax.jit
    def textbook(mean, covariance, g, b):  # float64, as the accuracy asks for
        with jax.enable_x64(True):
            mean, covariance, g, b = (
                a.astype(jnp.float64) for a in (mean, covariance, g, b)
            )
            cross = g @ covariance
            multiplier = jnp.linalg.solve(cross @ g.T, b - g @ mean)
            return (mean + cross.T @ multiplier).astype(jnp.float32)

    timings = interleaved(
        {
            "condition": lambda: mean_of(prior, law),
            "textbook": lambda: textbook(
                prior.mean, covariance, law.operator.weights, law.value
            ),
        },
        repeats,
    )
    rounding = rounding_of(law.operator.weights, law.value, mean_of(prior, law)[0])
    ratio = timings["condition"]["run_s"] / timings["textbook"]["run_s"]
    return timings, {"ratio_to_textbook": ratio, "residual_in_eps": rounding}


def few_rows(prior: pc.Gaussian, m: int, repeats: int) -> tuple[dict, dict]:
    """Mean, and one sample, of a structured prior given m rows."""
    weights = normal(jax.random.key(2), (m, *prior.mean.shape)) / prior.mean.size**0.5
    law = pc.LinearConstraint(Rows(weights), jnp.ones(m))
    sample = jax.jit(
        lambda p, c: pc.condition(p, c, throw=False).posterior.sample(jax.random.key(0))
    )
    timings = interleaved(
        {
            "condition": lambda: mean_of(prior, law),
            "condition_and_sample": lambda: sample(prior, law),
        },
        repeats,
    )
    return timings, {
        "residual_in_eps": rounding_of(weights, law.value, mean_of(prior, law)[0])
    }


def local_balance(n: int, contrast: float, repeats: int) -> tuple[dict, dict]:
    """n windows on n cells, field and fluxes unknown; std varies by exp(± contrast)."""
    grid, times = pc.Grid.uniform(0.0, 1.0, n), jnp.linspace(0.0, 1.0, n + 1)
    x, faces, t = (
        grid.coordinates[0][None],
        jnp.linspace(0.0, 1.0, n + 1)[None],
        times[:, None],
    )
    std = 0.1 * jnp.exp(contrast * jnp.sin(7 * x) * jnp.cos(5 * t))
    flux_std = 0.1 * jnp.exp(contrast * jnp.sin(4 * faces + 9 * t[:-1]))
    keys = jax.random.split(jax.random.key(0))
    prior = join_fields(
        pc.Gaussian.diagonal(1 + 0.1 * normal(keys[0], std.shape), std),
        pc.Gaussian.diagonal(0.1 * normal(keys[1], flux_std.shape), flux_std),
    )
    law = balance(grid, times)
    timings = interleaved({"condition": lambda: mean_of(prior, law)}, repeats)
    mean, steps = mean_of(prior, law)
    u, flux = (np.asarray(a, float) for a in prior.root.split(mean))
    part_u, part_f = (np.asarray(p.area, float) for p in law.operator.parts)
    stored, through = part_u * u, part_f * flux
    missed = np.diff(stored, axis=0) + np.diff(through, axis=1)
    size = np.abs(stored[1:]) + np.abs(stored[:-1])
    size = size + np.abs(through[:, 1:]) + np.abs(through[:, :-1])
    rounding = float(np.max(np.abs(missed) / size) / np.finfo(np.float32).eps)
    return timings, {"steps": int(steps), "residual_in_eps": rounding}


def balances(results: dict, repeats: int, *, small: bool) -> None:
    for contrast in (0.0, 0.5, 1.0):
        for n in (1000,) if contrast == 1.0 else (250, 1000):
            n = n // (10 if small else 1)
            name = f"balance {n}x{n}, contrast {contrast}"
            report(name, results, *local_balance(n, contrast, repeats))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    results["peak memory so far, GB"] = peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--small", action="store_true", help="a hundredth of the sizes, to try it"
    )
    parser.add_argument("--output", default="out/bench_structures.json")
    parser.add_argument(
        "--low-rank", action="store_true", help="only this case; the rest is kept"
    )
    parser.add_argument(
        "--balance", action="store_true", help="only these cases; the rest is kept"
    )
    args = parser.parse_args()
    shrink, repeats = (100 if args.small else 1), args.repeats

    part = args.low_rank or args.balance
    results: dict = earlier(args.output) if part else {}
    low = "low rank r=100, n=1e6, 16 rows", results
    if args.low_rank:
        report(*low, *low_rank(10**6 // shrink, 100, 16, repeats))
        record("structures", results, args.output)
        return
    balances(results, repeats, small=args.small)
    if args.balance:
        record("structures", results, args.output)
        return
    n = 2**20 // shrink
    line = pc.Grid.uniform(0.0, 1.0, n)
    prior = stationary(jnp.zeros(n), matern32, line, 1.0, 0.01)
    report(f"circulant n={n}, 4 rows", results, *few_rows(prior, 4, repeats))
    side = 512 // (10 if args.small else 1)
    root = normal(jax.random.key(1), (side, side)) / side**0.5
    prior = pc.Gaussian(
        jnp.zeros((side, side)), Kronecker(Dense(root, (side,)), Dense(root, (side,)))
    )
    report(f"kronecker {side}x{side}, 4 rows", results, *few_rows(prior, 4, repeats))
    report("dense n=4000, 16 rows", results, *dense(4000 // shrink, 16, repeats))
    report(*low, *low_rank(10**6 // shrink, 100, 16, repeats))
    record("structures", results, args.output)


if __name__ == "__main__":
    main()
