"""How close the main programs come to the limits of the device.

    python benchmarks/bench_roofline.py [--repeats 5]

The programs are conditioning, finite volumes and an FNO. For each, the file has the
bytes and operations that it needs at least (inputs read once, results written once; the
products of its matrices, and the usual 5 N log2 N of its transforms), its time, and the
share of the time that a copy or a matrix product of that size takes on the same device.
Conditioning reads its inputs twice, because no result can be written before the sums
over all of them are known and no cache holds them until then. "share_of_single_copy"
compares one call with one call, including new pages for the results; on a CPU this is
the fair comparison. The operations of finite volumes, and the bytes that a program
moves if every fusion reads its inputs from memory, are counted by XLA.
"""

import argparse
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import physcon as pc
from _ceiling import ceilings
from _record import interleaved, record
from physcon import fv
from physcon.operators import FNO


def programs(small: bool) -> dict[str, tuple[Callable, tuple, float, float]]:
    """Per name: function, arguments, least bytes, least operations (0: as XLA counts
    them).
    """
    found: dict[str, tuple[Callable, tuple, float, float]] = {}

    n = 10**7 if small else 10**8
    mean, std, weights = (jnp.full(n, v, jnp.float32) for v in (1.0, 0.5, 1 / n))

    def condition(mean, std, weights):
        prior = pc.Gaussian.diagonal(mean, std)
        posterior = pc.condition(
            prior, pc.integral(weights, 1.5), throw=False
        ).posterior
        return posterior.mean, posterior.variance()

    found["condition, 1 row"] = (
        condition,
        (mean, std, weights),
        8 * mean.nbytes,
        10.0 * n,
    )

    side = 512 if small else 4096
    grid = pc.Grid.uniform((0, 0), (1, 1), (side, side))
    state, torus = (1.0, 0.1, 0.0, 2.5), pc.Boundary(pc.Periodic(), pc.Periodic())
    u = jnp.stack([jnp.full((side, side), v, jnp.float32) for v in state])
    for name, scheme in {
        "muscl": fv.Scheme(fv.MUSCL()),
        "weno5": fv.Scheme(fv.WENO(5)),
    }.items():

        def step(u, scheme=scheme):
            return fv.tendency(u, fv.Euler(), grid, torus, scheme)

        found[f"finite volumes, {name}"] = step, (u,), 2.0 * u.nbytes, 0.0

    batch, side, width, modes, depth = (
        (4, 64, 32, 12, 4) if small else (32, 256, 64, 16, 4)
    )
    model = FNO.init(jax.random.key(0), 1, 1, (modes, modes), width, depth)
    fields = jnp.ones((batch, 1, side, side), jnp.float32)
    points = batch * side**2
    transforms = 2 * 2.5 * points * math.log2(side**2) * width
    products = 8 * batch * 2 * modes**2 * width**2 + 2 * points * width**2
    ends = 2 * points * (3 * width + width * 128 + 128)
    work = depth * (transforms + products) + ends
    touched = (depth * 4 * width + 2) * points * 4.0
    found["FNO"] = lambda x: jax.vmap(model)(x), (fields,), touched, work
    return found


def roofline(repeats: int) -> dict[str, Any]:
    """Times, rates, and shares of the device's ceilings."""
    most = ceilings(repeats)
    print({name: f"{value:.3g}" for name, value in most.items()}, flush=True)
    rows = {}
    for name, (fn, args, touched, work) in programs(
        jax.default_backend() == "cpu"
    ).items():
        compiled = jax.jit(fn).lower(*args).compile()
        counted = compiled.cost_analysis() or {}
        work = work or counted.get("flops", 0.0)
        seconds = interleaved({name: lambda c=compiled, a=args: c(*a)}, repeats)[name][
            "run_s"
        ]
        least = max(
            touched / most["copy_bytes_per_s"], work / most["matmul_flop_per_s"]
        )
        rows[name] = {
            "run_s": seconds,
            "bytes_per_s": touched / seconds,
            "flop_per_s": work / seconds,
            "share_of_copy_bandwidth": touched / seconds / most["copy_bytes_per_s"],
            "share_of_single_copy": touched / seconds / most["single_copy_bytes_per_s"],
            "share_of_roofline": least / seconds,
            "program_bytes_over_least": counted.get("bytes accessed", 0.0) / touched,
        }
        shown = {k: f"{v:.3g}" for k, v in rows[name].items()}
        print(f"{name}: {shown}", flush=True)
    return {"ceilings": most, "programs": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", default="out/bench_roofline.json")
    args = parser.parse_args()
    record("roofline", roofline(args.repeats), args.output)


if __name__ == "__main__":
    main()
