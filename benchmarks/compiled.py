"""Kernels and memory traffic of the main programs, compiled for an absent accelerator.

    pip install jax-cuda12-plugin jax-cuda12-pjrt nvidia-cuda-nvcc-cu12   # for cuda
    pip install libtpu                                                    # for tpu
    python benchmarks/compiled.py --target cuda|tpu [--only PART] [--output ...]

The programs are compiled ahead of time for an NVIDIA H100 or for one core of a TPU v5e;
nothing runs, and no device is needed. Per program the file has the kernels, the bytes
that they read and write (`_hlo.py`), and the resulting bound on the share of the copy
bandwidth: least bytes over bytes moved. A program can be slower than this bound
(arithmetic, kernel starts, uneven access), never faster. The compiler chooses the GPU's
kernels without trying them.
"""

import argparse
import json
import os
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = {
    "cuda": ("jax-cuda12-plugin", "jax-cuda12-pjrt", "nvidia-cuda-nvcc-cu12"),
    "tpu": ("libtpu",),
}
#: What the compiler must know of the device, from its data sheet.
H100 = """
gpu_device_info {
  cuda_compute_capability { major: 9 }
  core_count: 132
  fpus_per_core: 128
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  shared_memory_per_core: 233472
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  l2_cache_size: 52428800
  clock_rate_ghz: 1.98
  memory_bandwidth: 3352320000000
  device_memory_size: 84929347584
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 7 }
runtime_version { major: 12 minor: 8 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


def versions(target: str) -> dict[str, str]:
    """Of jax and the compilers; an error that names what is absent."""
    found = {}
    for name in ("jax", "jaxlib", *PACKAGES[target]):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            raise SystemExit(
                f"expected {name} for --target {target}, which is not installed; "
                f"run pip install {' '.join(PACKAGES[target])}, with the version of "
                "jax for each package whose name contains jax"
            ) from None
    return found


def absent_device(target: str) -> Any:
    """A device of the target that can be compiled for and nothing else."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    if target == "cuda":
        os.environ["XLA_FLAGS"] = (
            os.environ.get("XLA_FLAGS", "") + " --xla_gpu_autotune_level=0"
        )
    else:
        alone = {"TPU_SKIP_MDS_QUERY": "1", "TPU_WORKER_HOSTNAMES": "localhost"}
        os.environ.update(alone, TPU_WORKER_ID="0", TPU_ACCELERATOR_TYPE="v5litepod-1")
    from jax.experimental import topologies

    if target == "cuda":
        options = {"target_config": H100, "topology": "1x1x1"}
        return topologies.get_topology_desc("H100", "cuda", **options).devices[0]
    return topologies.get_topology_desc("v5e:2x2x1", "tpu").devices[0]


def measure(program: Any, device: Any) -> dict[str, Any]:
    """Counts of one program."""
    import jax

    from _hlo import traffic

    place = jax.sharding.SingleDeviceSharding(device)
    args = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), program.args
    )
    start = time.perf_counter()
    compiled = jax.jit(program.fn).lower(*args).compile()
    seconds = time.perf_counter() - start
    text = compiled.as_text()
    found = traffic(text)
    worst = traffic(text, rare=True)
    moved = found.read + found.written
    return {
        "kernels": found.kernels,
        "loops": found.kinds.get("loop", 0),
        "GB moved": moved / 1e9,
        "GB with rare branches": (worst.read + worst.written) / 1e9,
        "least GB": program.least and program.least / 1e9,
        "ceiling": program.least and program.least / moved,
        "temporary GB": compiled.memory_analysis().temp_size_in_bytes / 1e9,
        "largest float64 array, GB": found.float64 / 1e9,
        "calls of the host": text.count("callback"),
        "compile_s": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", choices=list(PACKAGES), required=True)
    parser.add_argument("--only", default="", help="part of a program's name")
    parser.add_argument(
        "--skip", nargs="*", default=[], help="parts of names of programs"
    )
    parser.add_argument("--output", type=Path, default=None)
    args = parser.parse_args()
    found, device = versions(args.target), absent_device(args.target)
    import jax

    # The library asks which device it computes on where that decides how; here, on
    # none.
    jax.default_backend = lambda: {"cuda": "gpu"}.get(args.target, args.target)
    from _programs import programs

    rows = []
    for name, make in programs():
        if args.only not in name or any(part in name for part in args.skip):
            continue
        try:
            row = measure(make(), device)
        except jax.errors.JaxRuntimeError as error:
            row = {"failed": str(error).splitlines()[0][:200]}
        rows.append({"program": name, **row})
        print(rows[-1], flush=True)
    output = (
        args.output
        or Path(__file__).parent / "results" / f"compiled-{args.target}.json"
    )
    if output.exists():  # what this call left out stays
        new = {row["program"] for row in rows}
        earlier = json.loads(output.read_text())["results"]["programs"]
        rows += [row for row in earlier if row["program"] not in new]
    order = [name for name, _ in programs()]
    rows = sorted(
        (r for r in rows if r["program"] in order),
        key=lambda r: order.index(r["program"]),
    )
    results = {
        "how": "compiled ahead of time, not run",
        "target": device.device_kind,
        "compilers": found,
        "programs": rows,
    }
    jax.default_backend = lambda: "cpu"
    from _record import record

    record("compiled", results, output)
    print(f"written: {output}")


if __name__ == "__main__":
    main()
