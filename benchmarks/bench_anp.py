"""Attentive neural process: training steps per second and one dense prediction.

    python benchmarks/bench_anp.py --output out/bench_anp.json
    python benchmarks/bench_anp.py --cases 250:128 32:64 --samples 100

A case is BATCH:SIZE, the tasks per step and the width. Every task has 100 contexts and
100 targets. The training step is timed as `fit` runs it, inside its compiled loop of
`--steps` steps.
"""

import argparse

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from _record import interleaved, record
from physcon.models.anp import ANP, predict
from physcon.models.losses import mean_over_tasks, negative_elbo
from physcon.models.predictor import Observations
from physcon.training.batches import Minibatches
from physcon.training.loop import compiled_chunk, initial_state


def tasks(number: int) -> tuple[Observations, Observations]:
    """Travelling waves sin(a x - t) with a random wave number, seen at 100 + 100
    points.
    """

    def one(key):
        k1, k2, k3 = jax.random.split(key, 3)
        a = jax.random.uniform(k1, minval=1.0, maxval=5.0)

        def observe(key):
            points = jax.random.uniform(key, (100, 2))
            return Observations(points, jnp.sin(a * points[:, 1:] - points[:, :1]))

        return observe(k2), observe(k3)

    return jax.vmap(one)(jax.random.split(jax.random.key(1), number))


def training(batch: int, size: int, steps: int, dropout: bool):
    """A function that runs `steps` training steps."""
    model = ANP(size=size, key=jax.random.key(0))
    loss = mean_over_tasks(
        lambda m, task, key: negative_elbo(m, *task, key=key, dropout=dropout)
    )
    optimizer = optax.adam(1e-4)
    arrays, static = eqx.partition(model, eqx.is_inexact_array)
    run = compiled_chunk(loss, static, optimizer)
    inputs = (
        Minibatches(tasks(batch), batch),
        jax.random.key(2),
        jnp.asarray(0),
        jnp.asarray(steps),
    )
    room = jnp.zeros(steps)
    return lambda: (
        run(inputs, initial_state(arrays, optimizer)._replace(losses=room + 0)).losses
    )


def prediction(size: int, samples: int):
    """A function that predicts on 201 x 201 points."""
    model = ANP(size=size, key=jax.random.key(0))
    grid = jnp.stack(
        jnp.meshgrid(*[jnp.linspace(0, 1, 201)] * 2, indexing="ij"), -1
    ).reshape(-1, 2)
    contexts = jax.tree.map(lambda x: x[0], tasks(1)[0])
    run = eqx.filter_jit(lambda m, c, x, k: predict(m, c, x, k, num_samples=samples))
    return lambda: run(model, contexts, grid, jax.random.key(3))


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Speed of the attentive neural process."
    )
    parser.add_argument("--cases", nargs="+", default=["250:128", "32:128", "32:64"])
    parser.add_argument(
        "--steps", type=int, default=2, help="training steps per timed call"
    )
    parser.add_argument(
        "--samples", type=int, default=100, help="latent samples of the prediction"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dropout", action="store_true", help="train with dropout")
    parser.add_argument("--output", default="out/bench_anp.json")
    args = parser.parse_args()

    cases = {case: tuple(map(int, case.split(":"))) for case in args.cases}
    fns = {
        f"train {case}": training(b, s, args.steps, args.dropout)
        for case, (b, s) in cases.items()
    }
    for size in sorted({size for _, size in cases.values()}):
        fns[f"predict 201x201 size {size}"] = prediction(size, args.samples)
    results = interleaved(fns, args.repeats)
    for name, result in results.items():
        run, compiling = result["run_s"], result["compile_s"]
        line = f"{name:28s} run {run:8.3f} s   compile {compiling:6.2f} s"
        if name.startswith("train"):
            result["steps_per_s"] = args.steps / result["run_s"]
            line += f"   {result['steps_per_s']:8.3f} steps/s"
        print(line)
    settings = {
        key: getattr(args, key) for key in ("steps", "samples", "repeats", "dropout")
    }
    record("anp", {"settings": settings, "timings": results}, args.output)


if __name__ == "__main__":
    main()
