"""Our FNO and neuraloperator's in turn: a part of bench_operators.py."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax


def against(
    case: tuple,
    ours: dict[str, Callable[[], Any]],
    steps: int,
    repeats: int,
    python: str,
) -> dict[str, Any]:
    """The least processor time of each call, and of one of the `steps` of "training".

    Args:
        case: space, modes, width and batch.
        ours: our calls by direction.
        python: interpreter that has torch and neuraloperator.
    """
    space, modes, width, batch = case
    threads = len(os.sched_getaffinity(0))
    words = [*map(str, (len(space), *space, *modes, width, batch, threads))]
    worker = Path(__file__).with_name("_torch_fno_worker.py")
    seconds: dict[str, dict[str, float]] = {"physcon": {}, "neuraloperator": {}}
    with subprocess.Popen(
        [python, str(worker), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        parameters, version = process.stdout.readline().split()
        for direction, run in ours.items():
            times: dict[str, list[float]] = {name: [] for name in seconds}
            for _ in range(repeats + 1):
                start = time.process_time()
                jax.block_until_ready(run())
                times["physcon"].append(time.process_time() - start)
                process.stdin.write(direction + "\n")
                process.stdin.flush()
                times["neuraloperator"].append(float(process.stdout.readline()))
            calls = steps if direction == "training" else 1
            for name, values in times.items():
                seconds[name][direction] = min(values[1:]) / calls
        process.stdin.close()
    pairs = {d: (seconds["physcon"][d], seconds["neuraloperator"][d]) for d in ours}
    return {
        "seconds": seconds,
        "ratio": {d: mine / theirs for d, (mine, theirs) in pairs.items()},
        "parameters": {"neuraloperator": int(parameters)},
        "threads": threads,
        "torch": version,
    }
