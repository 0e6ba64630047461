"""Compiled batch inference: samples per second, and the share of the constraint.

    python benchmarks/bench_inference.py --output FILE.json

ANP: mean and std of a field at 10 times and 201 points from 100 observations, each time
conditioned on its mass. BOON-FNO: mean and variance on 1024 nodes with exact boundary
values, conditioned on the mass. One sample is one field. Shares are ratios of medians
of interleaved calls in one run. "exported" is the constrained BOON-FNO through a file
of `physcon.export`.
"""

import argparse
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp

import physcon as pc
from _record import interleaved, record
from physcon.models.anp import ANP, predict
from physcon.models.predictor import Observations
from physcon.operators import FNO, BoundaryFNO, mean_and_variance

TIMES, POINTS, CONTEXTS = 10, 201, 100


def conserved(grid, mean, variance, mass):
    """Mean and variance of one profile given its mass."""
    prior = pc.Gaussian.from_variance(mean, variance)
    posterior = pc.condition(prior, pc.integral(grid, mass), throw=False).posterior
    return posterior.mean, posterior.variance()


def neural_process(batch: int, samples: int):
    """Functions without arguments by name: the ANP without and with the constraint."""
    model = ANP(size=128, key=jax.random.key(0))
    grid = pc.Grid.uniform(0.0, 1.0, POINTS, location="nodes")
    times = jnp.linspace(0.0, 1.0, TIMES)
    points = jnp.stack(jnp.meshgrid(times, grid.coordinates[0], indexing="ij"), -1)
    seen = jax.random.uniform(jax.random.key(1), (batch, CONTEXTS, 2))
    contexts = Observations(seen, jnp.sin(seen[..., 1:] - seen[..., :1]))
    keys, mass = jax.random.split(jax.random.key(2), batch), jnp.ones((batch, TIMES))

    def plain(model, contexts, key, mass):
        out = predict(model, contexts, points.reshape(-1, 2), key, num_samples=samples)
        mean, std = (x.reshape(TIMES, POINTS) for x in out)
        return mean, std**2

    def constrained(model, contexts, key, mass):
        mean, variance = plain(model, contexts, key, mass)
        return jax.vmap(lambda *one: conserved(grid, *one))(mean, variance, mass)

    return {
        name: compiled(fn, model, contexts, keys, mass)
        for name, fn in {"model": plain, "model + condition": constrained}.items()
    }


def operator(batch: int, points: int):
    """The same of the FNO: plain, with its boundary corrected, conditioned, and from a
    file.
    """
    grid = pc.Grid.uniform(0.0, 1.0, points, location="nodes")
    boundary = pc.Boundary((pc.Dirichlet(0.0), pc.Dirichlet(1.0)))
    fno = FNO.init(jax.random.key(0), 1, 2, (16,), 64, 4)
    u = jax.random.normal(jax.random.key(1), (batch, 1, points))
    mass = jnp.full(batch, 0.5)

    def plain(fno, u, mass):
        return mean_and_variance(fno.raw(u))

    def boon(fno, u, mass):
        return BoundaryFNO(fno, throw=False).mean_and_variance(u, boundary, grid)

    def constrained(fno, u, mass):
        mean, variance = boon(fno, u, mass)
        return conserved(grid, mean[0], variance[0], mass)

    with tempfile.TemporaryDirectory() as folder:
        artifact = pc.export(
            lambda u, mass: constrained(fno, u, mass),
            Path(folder) / "boon.physcon",
            {"u": u[0], "mass": mass[0]},
        )
    fns = {"fno": plain, "model": boon, "model + condition": constrained}
    return {
        **{name: compiled(fn, fno, u, mass) for name, fn in fns.items()},
        "exported": lambda: artifact(u=u, mass=mass),
    }


def compiled(fn, model, *batches):
    """`fn(model, *one sample)` over a batch, as a compiled function without arguments;
    its weights are constants, as in an exported predictor.
    """
    run = jax.jit(jax.vmap(lambda *one: fn(model, *one)))
    return lambda: run(*batches)


def main() -> None:
    parser = argparse.ArgumentParser(description="Throughput of constrained inference.")
    parser.add_argument(
        "--batches", nargs="+", type=int, default=[1, 32], help="BOON-FNO"
    )
    parser.add_argument("--anp_batch", type=int, default=4)
    parser.add_argument("--anp_samples", type=int, default=10, help="latent samples")
    parser.add_argument("--points", type=int, default=1024, help="BOON-FNO")
    parser.add_argument(
        "--repeats", type=int, default=15, help="at least; 640 samples if more"
    )
    parser.add_argument("--output", default="out/bench_inference.json")
    args = parser.parse_args()

    results = {}
    cases = {
        f"ANP, batch {args.anp_batch}": (
            neural_process,
            args.anp_batch,
            args.anp_samples,
        )
    }
    cases |= {f"BOON-FNO, batch {b}": (operator, b, args.points) for b in args.batches}
    for case, (build, batch, size) in cases.items():
        samples = 640 if build is operator else 0
        timings = interleaved(build(batch, size), max(args.repeats, samples // batch))
        model, both = (
            timings[name]["run_s"] for name in ("model", "model + condition")
        )
        least = [timings[name]["run_min_s"] for name in ("model", "model + condition")]
        for timing in timings.values():
            timing["samples_per_s"] = batch / timing["run_s"]
        results[case] = {
            "timings": timings,
            "condition_share_of_model": both / model - 1,
            "condition_share_of_model_by_minima": least[1] / least[0] - 1,
        }
        if "fno" in timings:
            results[case]["boundary_and_condition_share_of_fno"] = (
                both / timings["fno"]["run_s"] - 1
            )
        print(case)
        for name, timing in timings.items():
            print(f"  {name:20s} {timing['samples_per_s']:10.1f} samples/s")
        shares = (both / model - 1, least[1] / least[0] - 1)
        print(
            "  condition: {:+.1%} of the model's time, {:+.1%} by minima".format(
                *shares
            )
        )
    settings = {key: value for key, value in vars(args).items() if key != "output"}
    record("inference", {"settings": settings, "cases": results}, args.output)


if __name__ == "__main__":
    main()
