"""Neural operators: the cost of a boundary correction, spectral paths, neuraloperator.

    python benchmarks/bench_operators.py --output out/bench_operators.json
    python benchmarks/bench_operators.py --torch-python PYTHON

PYTHON has torch and neuraloperator. Ratios are of medians of interleaved calls in one
run, in processor time: pin it to one core (`taskset -c 0`). "training" is the time of
one of ten steps of gradient descent. For physcon these run inside one compiled loop, as
in `physcon.training.fit`, so that the pages of its buffers are touched for the first
time once and not in every step.

neuraloperator's FNO (PyTorch) runs in a worker process of the given interpreter with
the same cores, number of threads, dtype (float32), modes, width, depth and batch, one
call of each in turn. Its times, and ours beside them, are the least processor time of a
call. Pin the command to one core (`taskset -c 0`): on two cores PyTorch's threads wait
for each other at every operation, and any other program on the machine slows it down
many times over. Run this part a second time with huge pages,

    GLIBC_TUNABLES=glibc.malloc.hugetlb=1 taskset -c 0 python ...

whose results are written beside the others: without them both spend up to half of a
call outside of a loop on the first access to each of its buffers' pages of 4 KiB. Run
it a third time with the variables `MALLOC_...` of docs/operators.md, with which a
process keeps the memory that it has freed.
Parts and dimensions that are not run keep their earlier results.
"""

import argparse
import os
import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp

from _against_torch import against
from _record import earlier, interleaved, record
from physcon.boundary import Boundary, Dirichlet, Neumann
from physcon.grid import Grid
from physcon.operators.boon import BoundaryFNO
from physcon.operators.fno import FNO
from physcon.operators.spectral import (
    choose_method,
    init_spectral_weights,
    spectral_conv,
)

#: space, modes, width, batch
NETWORKS = [
    ((1024,), (16,), 64, 16),
    ((4096,), (16,), 64, 16),
    ((64, 64), (12, 12), 32, 8),
    ((32, 32, 16), (8, 8, 8), 20, 4),
]
CONVOLUTIONS = [
    *(
        ((n,), (m,), w, 16)
        for n in (256, 1024, 4096)
        for m in (16, 64)
        for w in (32, 64)
    ),
    *(((n, n), (m, m), 32, 8) for n in (32, 64, 128) for m in (8, 16)),
    ((32, 32, 16), (4, 4, 4), 20, 4),
    ((32, 32, 16), (8, 8, 8), 20, 4),
]
DIRECTIONS = ("forward", "forward+backward", "training")
STEPS = 10  # of "training", in one call
AGAINST_TORCH = [
    ((1024,), (16,), 64, 16),
    ((4096,), (16,), 64, 16),
    ((64, 64), (12, 12), 32, 8),
]


def network(space, modes, width, batch):
    """An FNO, a grid and a batch of inputs."""
    fno = FNO.init(jax.random.key(0), 1, 1, modes, width, 4)
    grid = Grid.uniform(
        (0.0,) * len(space), (1.0,) * len(space), space, location="nodes"
    )
    return fno, grid, jax.random.normal(jax.random.key(1), (batch, 1, *space))


def in_bases(space, modes, width, batch):
    """The network of form "basis" with the same wave numbers, and as many weights."""
    waves = tuple(2 * m for m in modes)
    key = jax.random.key(0)
    return BoundaryFNO.init(key, 1, 1, waves, width, 4, form="basis", throw=False)


def both_directions(forward, parameters, *args):
    """{"forward": ..., "forward+backward": ..., "training": ...}: compiled, without
    arguments.
    """
    run = eqx.filter_jit(forward)
    arrays, static = eqx.partition(parameters, eqx.is_inexact_array)

    def loss(arrays, *args):
        return jnp.sum(forward(eqx.combine(arrays, static), *args) ** 2)

    grad = jax.jit(jax.value_and_grad(loss))

    @jax.jit
    def train(arrays, *args):
        def step(_, arrays):
            gradient = jax.grad(loss)(arrays, *args)
            return jax.tree.map(lambda p, g: p - 1e-9 * g, arrays, gradient)

        return jax.lax.fori_loop(0, STEPS, step, arrays)

    return {
        "forward": lambda: run(parameters, *args),
        "forward+backward": lambda: grad(arrays, *args),
        "training": lambda: train(arrays, *args),
    }


def corrections(case, repeats):
    """Time of each boundary-corrected network over the plain one of the same size."""
    fno, grid, u = network(*case)
    # One condition a side of the first axis; values are data of each sample.
    values = jnp.linspace(0.0, 1.0, u.shape[0])

    def corrected(net, u, values):
        def one(u, a):
            return net(u, Boundary((Dirichlet(a), Neumann(0.0))), grid)

        return jax.vmap(one)(u, values)

    runs = {"plain": both_directions(lambda net, u: jax.vmap(net)(u), fno, u)}
    for form in ("overwrite", "lift", "eliminate"):
        net = BoundaryFNO(fno, form, throw=False)
        runs[form] = both_directions(corrected, net, u, values)
    if len(case[0]) < 3:
        runs["basis"] = both_directions(corrected, in_bases(*case), u, values)
    return ratios(runs, "plain", repeats)


def spectral_paths(case, repeats):
    """Both paths of one convolution, and what the automatic choice takes."""
    space, modes, width, batch = case
    weights = init_spectral_weights(jax.random.key(0), width, width, modes)
    u = jax.random.normal(jax.random.key(1), (batch, width, *space))
    runs = {
        method: both_directions(
            jax.vmap(partial(spectral_conv, method=method), in_axes=(None, 0)),
            weights,
            u,
        )
        for method in ("fft", "matmul")
    }
    result = ratios(runs, "fft", repeats)
    chosen = choose_method(space, weights.shape[3:])
    best = {d: min(result["seconds"][m][d] for m in runs) for d in DIRECTIONS}
    return {
        **result,
        "chosen": chosen,
        "chosen_over_best": {d: result["seconds"][chosen][d] / best[d] for d in best},
    }


def against_torch(case, repeats, python):
    """This FNO over neuraloperator's, one call of each in turn."""
    fno, _, u = network(*case)
    ours = both_directions(lambda net, u: jax.vmap(net)(u), fno, u)
    found = against(case, ours, STEPS, repeats, python)
    parameters = jax.tree.leaves(eqx.filter(fno, eqx.is_inexact_array))
    found["parameters"]["physcon"] = sum(x.size for x in parameters)
    return found


def ratios(runs, reference, repeats):
    """Seconds, and their ratio to one of the runs, for either direction."""
    seconds = {name: {} for name in runs}
    for direction in DIRECTIONS:
        timed = interleaved(
            {name: run[direction] for name, run in runs.items()},
            repeats,
            clock=time.process_time,
        )
        calls = STEPS if direction == "training" else 1
        for name, t in timed.items():
            seconds[name][direction] = t["run_s"] / calls
    ratio = {
        name: {d: s / seconds[reference][d] for d, s in value.items()}
        for name, value in seconds.items()
    }
    return {"seconds": seconds, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", default="benchmarks/results/bench_operators.json")
    parser.add_argument("--repeats", type=int, default=7)
    names = ("corrections", "spectral_paths", "against_neuraloperator")
    parser.add_argument("--parts", nargs="+", choices=names, default=list(names))
    parser.add_argument(
        "--cases", type=int, default=None, help="of each part, the first ones"
    )
    parser.add_argument(
        "--axes", type=int, nargs="+", default=[1, 2, 3], help="dimensions of the cases"
    )
    parser.add_argument(
        "--torch-python", help="interpreter that has torch and neuraloperator"
    )
    args = parser.parse_args()
    huge = "hugetlb=1" in os.environ.get("GLIBC_TUNABLES", "")
    kept = "MALLOC_MMAP_THRESHOLD_" in os.environ
    suffix = ", huge pages" if huge else ", kept memory" if kept else ""
    results = earlier(args.output)
    for name in (name + suffix for name in args.parts):
        rows = results.get(name, [])
        results[name] = [row for row in rows if len(row["space"]) not in args.axes]
    parts = [
        ("corrections", NETWORKS, partial(corrections, repeats=args.repeats)),
        ("spectral_paths", CONVOLUTIONS, partial(spectral_paths, repeats=args.repeats)),
    ]
    if args.torch_python:
        results.pop("not_run", None)
        torch = partial(against_torch, repeats=args.repeats, python=args.torch_python)
        parts.append(("against_neuraloperator", AGAINST_TORCH, torch))
    elif "against_neuraloperator" in args.parts:
        results["not_run"] = "against_neuraloperator: no --torch-python"
    for name, cases, run in parts:
        chosen = [case for case in cases if len(case[0]) in args.axes]
        for case in chosen[: args.cases] if name in args.parts else ():
            settings = dict(
                zip(("space", "modes", "width", "batch"), case, strict=True)
            )
            result = run(case)
            results[name + suffix].append(settings | result)
            shown = {
                k: v for k, v in result.items() if k in ("ratio", "chosen_over_best")
            }
            print(name, settings, shown, flush=True)
            record("operators", results, args.output)


if __name__ == "__main__":
    main()
