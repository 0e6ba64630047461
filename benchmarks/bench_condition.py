"""The mass update compared with copying its arrays and with the dense formula.

    python benchmarks/bench_condition.py [--repeats 5] [--max-points 10000000]

Each time is the median of interleaved calls in one process. "call" includes the time of
the operating system for new output pages, which dominates for large arrays. "chained"
repeats the step inside one program (`fori_loop`), where buffers are reused, and
measures arithmetic and memory traffic. Conservation errors are evaluated in float64,
relative to |G| |u| + |b|.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import physcon as pc
from _record import interleaved, record

SIZES = [
    (1, 201, 201),
    (10, 201, 201),
    (100, 201, 201),
    (1, 10, 1000),
    (1, 1, 10**6),
    (1, 1, 10**7),
]
#: Numbers in the dense covariances of a size that is still tried.
DENSE_LIMIT = 10**8
CHAIN = 4


def update(mean, std, mass, weights):
    """Posterior mean and variance under the mass; batches of profiles."""

    def one(mean, std, mass):
        prior = pc.Gaussian.diagonal(mean, std)
        posterior = pc.condition(
            prior, pc.integral(weights, mass), throw=False
        ).posterior
        return posterior.mean, posterior.variance()

    return jax.vmap(jax.vmap(one))(mean, std, mass)


def gradient(mean, std, mass, weights, mean_slope, variance_slope):
    """The update, and the slopes of its inputs given the slopes of its outputs."""
    out, pull = jax.vjp(lambda *a: update(*a, weights), mean, std, mass)
    return out, pull((mean_slope, variance_slope))


def copy(mean, std):
    """Reads and writes what the update must, at least."""
    return mean + 1, std + 1


def dense(mean, std, mass, weights, xp=jnp):
    """Rasmussen and Williams (2006), eq. A.6, with n-by-n covariances."""
    covariance = (std**2)[..., None] * xp.eye(weights.size, dtype=std.dtype)
    projected = covariance @ weights
    gain = projected / (projected @ weights)[..., None]
    mean = mean + gain * (mass - mean @ weights)[..., None]
    covariance = covariance - gain[..., :, None] * projected[..., None, :]
    return mean, xp.diagonal(covariance, axis1=-2, axis2=-1)


def chained(fn: Callable, *rest) -> Callable:
    """`CHAIN` times the step on its own results, in one program."""
    return jax.jit(
        lambda *a: jax.lax.fori_loop(0, CHAIN, lambda _, s: fn(*s, *rest), a)
    )


def chained_gradient(mean, std, mass, weights):
    """As `chained`: the slopes of one step are the next one's."""

    def step(_, state):
        out, slopes = gradient(*state[:2], mass, weights, *state[2:])
        return (*out, *slopes[:2])

    return jax.jit(lambda *a: jax.lax.fori_loop(0, CHAIN, step, a))


def bench(size: tuple[int, int, int], repeats: int) -> dict:
    """All of one size."""
    rng = np.random.default_rng(0)
    n = size[-1]
    mean, std = (jnp.asarray(rng.uniform(0.1, 1, size), jnp.float32) for _ in range(2))
    mass = jnp.asarray(rng.uniform(0.5, 0.6, size[:2]), jnp.float32)
    weights = jnp.full(n, 1 / n, jnp.float32)
    forward, backward = jax.jit(update), jax.jit(gradient)
    copies = jax.jit(copy)
    fns = {
        "copy": lambda: copies(mean, std),
        "forward": lambda: forward(mean, std, mass, weights),
        "gradient": lambda: backward(mean, std, mass, weights, mean, std),
    }
    chains = {
        "copy": chained(copy),
        "forward": chained(update, mass, weights),
        "gradient": chained_gradient(mean, std, mass, weights),
    }
    fns |= {
        "copy chained": lambda: chains["copy"](mean, std),
        "forward chained": lambda: chains["forward"](mean, std),
        "gradient chained": lambda: chains["gradient"](mean, std, mean, std),
    }
    if mean.size * n <= DENSE_LIMIT:
        textbook = jax.jit(dense)
        arrays = tuple(np.asarray(a) for a in (mean, std, mass, weights))
        fns["dense JAX"] = lambda: textbook(mean, std, mass, weights)
        fns["dense NumPy"] = lambda: dense(*arrays, xp=np)
    times = interleaved(fns, repeats)
    seconds = {
        name: t["run_s"] / (CHAIN if "chained" in name else 1)
        for name, t in times.items()
    }
    ratio = {
        name: seconds[name] / seconds["copy chained" if "chained" in name else "copy"]
        for name in seconds
    }
    posterior = np.asarray(forward(mean, std, mass, weights)[0], float)
    w, b = np.asarray(weights, float), np.asarray(mass, float)
    missed = np.abs(posterior @ w - b) / (np.abs(posterior) @ w + np.abs(b))
    return {
        "functions, times, points": size,
        "seconds": seconds,
        "ratio to copy": ratio,
        "compile_s": {name: t["compile_s"] for name, t in times.items()},
        "conservation error": float(missed.max()),
        "peak memory / inputs": {
            "forward": _memory(update, mean, std, mass, weights),
            "gradient": _memory(gradient, mean, std, mass, weights, mean, std),
        },
    }


def _memory(fn: Callable, *args: jax.Array) -> float:
    """Bytes of arguments, results and temporaries of the compiled program, over the
    arguments'.
    """
    found: Any = jax.jit(fn).lower(*args).compile().memory_analysis()
    total = (
        found.argument_size_in_bytes
        + found.output_size_in_bytes
        + found.temp_size_in_bytes
    )
    return total / found.argument_size_in_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--max-points", type=int, default=10**7)
    default = Path(__file__).parent / "results" / "bench_condition.json"
    parser.add_argument("--output", type=Path, default=default)
    args = parser.parse_args()
    results = []
    for size in SIZES:
        if np.prod(size) <= args.max_points:
            found = bench(size, args.repeats)
            results.append(found)
            row = ", ".join(f"{k} {v:.2f}" for k, v in found["ratio to copy"].items())
            milliseconds = found["seconds"]["forward"] * 1e3
            print(f"{size}: {milliseconds:.2f} ms; ratios to copy: {row}")
    record("condition", results, args.output)


if __name__ == "__main__":
    main()
