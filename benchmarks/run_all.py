"""Every benchmark one after another, each in a process of its own, into one file.

    python benchmarks/run_all.py [--quick] [--device cpu|gpu|tpu] [--only roofline]
    python benchmarks/run_all.py --data FOLDER --torch-python PYTHON  # two need these

The record of a benchmark is written before the next one starts: its results, arguments
and seconds; or the end of its messages if it failed; or, if it took too long, what it
had written until then; or why it was not run. `--resume` keeps the finished benchmarks
of an interrupted run. With `--only`, the records of the others stay as they are.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _record import write

HERE = Path(__file__).parent
UNFINISHED = {"left_out", "failed", "timed_out_after_s"}

#: The option of this command without which a benchmark has nothing to do.
NEEDS = {"bench_operator_data": "data"}
#: Options of this command that a benchmark also has.
TAKES = {
    "bench_operators": ("torch_python",),
    "bench_operator_data": ("data", "torch_python"),
}
#: Arguments where the defaults would take an hour, and small sizes for a trial run.
ARGUMENTS = {"bench_through_constraint": "--seeds 0"}
QUICK = {
    "bench_anp": "--cases 32:64 --samples 10",
    "bench_bounded": "--points 100000 --batch 64 --small 8 --repeats 3",
    "bench_condition": "--max-points 1000000 --repeats 3",
    "bench_fv": "--cells 1000 --side 64 --repeats 3",
    "bench_fv_accuracy": "--quick --only sod wave --scheme muscl",
    "bench_inference": "--batches 1 --anp_batch 1 --repeats 3",
    "bench_inverse": "--repeats 5",
    "bench_mesh": "--side 32 --repeats 3 --processes 1",
    "bench_operator_data": "--epochs 2 --seeds 0",
    "bench_operators": "--cases 1 --repeats 3",
    "bench_roofline": "--repeats 3",
    "bench_rows": "--repeats 3 --only blocks,species",
    "bench_scaling": "--devices 8",
    "bench_sphere": "--cells 4 8 --days 0.1 --truncation 15",
    "bench_structures": "--small --repeats 3",
    "bench_through_constraint": "--seeds 0 --problems advection --training.steps 20 "
    "--folder runs/through_constraint/quick",
}


def benchmark(
    command: list[str], output: Path, device: str, timeout: float
) -> dict[str, Any]:
    """The record of a benchmark: what it wrote, or why it wrote nothing."""
    start = time.monotonic()
    output.unlink(missing_ok=True)
    with subprocess.Popen(
        [sys.executable, *command, "--output", str(output)],
        env=os.environ | {"JAX_PLATFORMS": {"gpu": "cuda"}.get(device, device)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that its own workers end with it
    ) as process:
        found: dict[str, Any] = {}
        try:
            _, messages = process.communicate(timeout=timeout)
            if process.returncode:
                found["failed"] = messages[-2000:]
        except subprocess.TimeoutExpired:
            found["timed_out_after_s"] = timeout
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    found |= {"arguments": command[1:], "seconds": time.monotonic() - start}
    if output.exists():
        found |= json.loads(output.read_text())
        output.unlink()
    return found


def arguments_of(name: str, args: argparse.Namespace) -> list[str]:
    """Sizes, and the options of this command that the benchmark also has."""
    words = (QUICK if args.quick else ARGUMENTS).get(name, "").split()
    for option in TAKES.get(name, ()):
        if getattr(args, option):
            words += [f"--{option.replace('_', '-')}", str(getattr(args, option))]
    return words


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=["cpu", "gpu", "tpu"], default="cpu")
    parser.add_argument("--only", default="", help="part of a benchmark's name")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: whether all works"
    )
    parser.add_argument("--resume", action="store_true", help="keep what has finished")
    parser.add_argument(
        "--timeout", type=float, default=900.0, help="seconds for each benchmark"
    )
    parser.add_argument(
        "--torch-python", help="interpreter with torch and neuraloperator"
    )
    parser.add_argument(
        "--data", help="folder of the public data of bench_operator_data.py"
    )
    parser.add_argument("--output", type=Path, default=None)
    args = parser.parse_args()
    # Leave through `finally`, as an interrupt does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    name = f"run_all-{args.device}{'-quick' if args.quick else ''}.json"
    output = args.output or HERE / "results" / name
    before = json.loads(output.read_text()) if output.exists() else {"results": {}}
    environment = before.get("environment", {})
    results = {
        stem: found
        for stem, found in before["results"].items()
        if args.only not in stem or (args.resume and not UNFINISHED & found.keys())
    }
    for path in sorted(HERE.glob("bench_*.py")):
        if args.only not in path.stem or path.stem in results:
            continue
        print(f"{path.stem} ...", end=" ", flush=True)
        needed = NEEDS.get(path.stem)
        if needed and not getattr(args, needed):
            found = {"left_out": f"no --{needed}"}
        else:
            part = output.with_name(f"{output.stem}-{path.stem}.json")
            command = [str(path), *arguments_of(path.stem, args)]
            found = benchmark(command, part, args.device, args.timeout)
        results[path.stem] = found
        print(next((k for k in UNFINISHED if k in found), "done"), end=" ")
        print(f"{found.get('seconds', 0.0):.0f} s", flush=True)
        # This process uses no device; the last benchmark's environment is recorded.
        environment = found.get("environment", environment)
        write(
            {"benchmark": "run_all", "environment": environment, "results": results},
            output,
        )
    print(f"written: {output}")


if __name__ == "__main__":
    main()
