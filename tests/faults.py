"""Faults in the middle of runs: after each, the run resumes to the same result, or says
in one sentence why it does not.

    python tests/faults.py --trials 20 --seed 1

A trial starts a small `physcon solve` or `physcon run`, and at a random moment kills or
stops it, cuts off or flips a bit of one of its files, or lets its disk be full. Then it
is resumed. The script ends with 1 if a result differs, or a process ends with a stack.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

LIMIT = 300.0  # seconds for a run
COMMANDS = {
    "solve": [
        "solve", "fv_sod", "--grid.cells=[32]", "--snapshots=150", "--figure=false",
        "--scheme.reconstruction=constant", "--end=0.1",
    ],
    "run": [
        "run", "boon_stokes", "--nodes=9", "--train=8", "--test=2", "--modes=2",
        "--width=4", "--depth=1", "--batch=4", "--steps=300", "--save_every=10",
        '--methods=["lift"]', "--seeds=[0]",
    ],
}  # fmt: skip
KINDS = ("kill", "truncate", "flip", "full", "hang")


class Run:
    """One command with its own folder, and a log of what it prints."""

    def __init__(self, name: str, folder: Path):
        self.name = name
        self.folder = folder
        self.log = folder.with_suffix(".log")

    def start(self, *more: str, file_size: int | None = None) -> subprocess.Popen:
        """Start it; `file_size` in blocks of 1024 bytes stands for a full disk."""
        command = [sys.executable, "-m", "physcon", *COMMANDS[self.name], "--quiet"]
        command += ["--output", str(self.folder), *more]
        if file_size is not None:
            limited = f'ulimit -f {file_size}; exec "$@"'
            command = ["bash", "-c", limited, "bash", *command]
        with self.log.open("w") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=os.environ | {"JAX_PLATFORMS": "cpu"},
            )

    def finish(self, *more: str) -> int:
        return self.start(*more).wait(timeout=LIMIT)

    def progress(self) -> list[Path]:
        """The files that hold what has been computed so far."""
        return sorted(
            [*self.folder.glob("snapshots/*.nc"), *self.folder.glob("*.checkpoint")]
        )

    def result(self) -> object:
        if self.name == "run":
            return (self.folder / "table.json").read_bytes()
        data = xr.load_dataset(self.folder / "solution.nc", engine="h5netcdf")
        return {str(name): v.values.tobytes() for name, v in data.variables.items()}


def disturbed(run: Run, kind: str, rng: random.Random) -> str:
    """Start a run and disturb it; says what was done."""
    if kind == "full":
        size = rng.randrange(1, 40)
        code = run.start(file_size=size).wait(timeout=LIMIT)
        return f"files of at most {size} kB, which ended it with {code}"
    process = run.start()
    deadline = time.monotonic() + LIMIT
    while not run.progress() and process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
            raise TimeoutError(f"no progress of {run.name} within {LIMIT:g} s")
        time.sleep(0.005)
    time.sleep(rng.uniform(0, 0.5))
    if kind == "hang":
        process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        process.send_signal(signal.SIGCONT)
        return f"stopped for a second, then ended with {process.wait(timeout=LIMIT)}"
    process.kill()
    process.wait(timeout=LIMIT)
    if kind == "kill" or not run.progress():
        return "killed"
    path = rng.choice(run.progress())
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    if kind == "truncate":
        path.write_bytes(content[:place])
    else:
        content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
    return f"killed, and {path.name} {kind} at byte {place} of {len(content)}"


def fault(run: Run, code: int, expected: object) -> str:
    """What is wrong with a resumed run; "" if nothing is."""
    said = run.log.read_text()
    if "Traceback" in said or code < 0:
        return f"ended with {code} and {said[-300:]!r}"
    if code == 0:
        return "" if run.result() == expected else "another result"
    lines = [line for line in said.splitlines() if line.startswith("physcon ")]
    damaged = any("expected a" in line and ".checkpoint" in line for line in lines)
    return "" if damaged and len(lines) == 1 else f"ended with {code}: {said[-300:]!r}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials and return the number of those that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=5, help="number of faults")
    parser.add_argument("--seed", type=int, default=0, help="seed of kinds and moments")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--commands", nargs="*", choices=COMMANDS, default=[*COMMANDS])
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    failed = 0
    with tempfile.TemporaryDirectory() as place:
        expected = {}
        for name in options.commands:
            whole = Run(name, Path(place) / f"{name}-whole")
            if whole.finish():
                raise RuntimeError(whole.log.read_text())
            expected[name] = whole.result()
        for k in range(options.trials):
            kind = options.kinds[k % len(options.kinds)]
            name = rng.choice(options.commands)
            run = Run(name, Path(place) / f"{name}-{k}")
            what = disturbed(run, kind, rng)
            wrong = "Traceback" in run.log.read_text() and "a stack"
            wrong = wrong or fault(run, run.finish("--resume"), expected[name])
            failed += bool(wrong)
            print(f"{name}, {kind}: {what}: {wrong or 'as it should be'}", flush=True)
            shutil.rmtree(run.folder, ignore_errors=True)
    return failed


if __name__ == "__main__":
    sys.exit(main() > 0)
