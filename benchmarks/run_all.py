"""Every benchmark one after another, and how near the central programs come to the device's limits.

    python benchmarks/run_all.py [--device cpu|gpu|tpu] [--only roofline] [--repeats 5]

First the roofline: conditioning, finite volumes and an FNO, each with the bytes and operations that
it needs at least (inputs read once, results written once; the products of its matrices and the
usual 5 N log2 N of its transforms), its time, and the share of the time that a copy or a matrix
product of that size takes on the same device. Then each ``bench_*.py`` in a process of its own. All
of it goes into one file, results/run_all-DEVICE.json.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def programs(small: bool) -> dict[str, tuple[Callable, tuple, float, float]]:
    """Per name: function, arguments, least bytes, least operations."""
    import jax
    import jax.numpy as jnp

    import physcon as pc
    from physcon import fv
    from physcon.operators import FNO

    found: dict[str, tuple[Callable, tuple, float, float]] = {}

    n = 10**7 if small else 10**8
    mean, std, weights = (jnp.full(n, v, jnp.float32) for v in (1.0, 0.5, 1 / n))

    def condition(mean, std, weights):
        prior = pc.Gaussian.diagonal(mean, std)
        posterior = pc.condition(prior, pc.integral(weights, 1.5), throw=False).posterior
        return posterior.mean, posterior.variance()

    found["condition, 1 row"] = condition, (mean, std, weights), 5 * mean.nbytes, 10.0 * n

    side = 512 if small else 4096
    grid = pc.Grid.uniform((0, 0), (1, 1), (side, side))
    state, torus = (1.0, 0.1, 0.0, 2.5), pc.Boundary(pc.Periodic(), pc.Periodic())
    u = jnp.stack([jnp.full((side, side), v, jnp.float32) for v in state])
    for name, scheme in {"muscl": fv.Scheme(fv.MUSCL()), "weno5": fv.Scheme(fv.WENO(5))}.items():

        def step(u, scheme=scheme):
            return fv.tendency(u, fv.Euler(), grid, torus, scheme)

        found[f"finite volumes, {name}"] = step, (u,), 2.0 * u.nbytes, 0.0

    batch, side, width, modes, depth = (4, 64, 32, 12, 4) if small else (32, 256, 64, 16, 4)
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
    import jax

    from _ceiling import ceilings
    from _record import interleaved

    most = ceilings(repeats)
    print({name: f"{value:.3g}" for name, value in most.items()}, flush=True)
    rows = {}
    for name, (fn, args, touched, work) in programs(jax.default_backend() == "cpu").items():
        compiled = jax.jit(fn)
        seconds = interleaved({name: lambda c=compiled, a=args: c(*a)}, repeats)[name]["run_s"]
        least = max(touched / most["copy_bytes_per_s"], work / most["matmul_flop_per_s"])
        rows[name] = {
            "run_s": seconds,
            "bytes_per_s": touched / seconds,
            "flop_per_s": work / seconds,
            "share_of_copy_bandwidth": touched / seconds / most["copy_bytes_per_s"],
            "share_of_roofline": least / seconds,
        }
        shown = {k: f"{v:.3g}" for k, v in rows[name].items()}
        print(f"{name}: {shown}", flush=True)
    return {"ceilings": most, "programs": rows}


def benchmark(path: Path, output: Path, device: str, timeout: float) -> Any:
    """What a benchmark wrote, or why it wrote nothing."""
    name = {"gpu": "cuda"}.get(device, device)
    done = subprocess.run(
        [sys.executable, str(path), "--output", str(output)],
        env=os.environ | {"JAX_PLATFORMS": name},
        timeout=timeout,
        capture_output=True,
        text=True,
    )
    if done.returncode or not output.exists():
        return {"failed": done.stderr[-2000:]}
    return json.loads(output.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "gpu", "tpu"], default="cpu")
    parser.add_argument("--only", default="", help="part of a benchmark's name, or 'roofline'")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds for each benchmark")
    parser.add_argument("--output", type=Path, default=None)
    args = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = {"gpu": "cuda"}.get(args.device, args.device)
    output = args.output or HERE / "results" / f"run_all-{args.device}.json"
    results: dict[str, Any] = {}
    if args.only in "roofline":
        results["roofline"] = roofline(args.repeats)
    for path in sorted(HERE.glob("bench_*.py")):
        if args.only not in path.stem:
            continue
        print(f"{path.name} ...", flush=True)
        part = output.with_name(f"{output.stem}-{path.stem}.json")
        results[path.stem] = benchmark(path, part, args.device, args.timeout)
        part.unlink(missing_ok=True)
    from _record import record

    record("run_all", results, output)
    print(f"written: {output}")


if __name__ == "__main__":
    main()
