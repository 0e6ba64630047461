"""Faults of one of two processes that solve an equation together.

The other one ends within a minute, in one sentence, and both resume to the same result.
"""

import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import xarray as xr

from faulty_runs import ENVIRONMENT, LIMIT

#: Process 0 or 1 killed, one of them stopped, or never started.
DIVIDED = ("coordinator", "worker", "stopped", "absent")
MINUTE = 60.0
SETTINGS = [
    "solve", "fv_sod", "--grid.cells=[32]", "--snapshots=60", "--figure=false",
    "--scheme.reconstruction=constant", "--end=0.1", "--quiet", "--distributed",
    "--processes=2", "--wait=20",
]  # fmt: skip
STACKS = ("Traceback", "Fatal Python error", "Check failed", "*** SIG", "F0000")


class Pair:
    """Two processes of one run, with a log each."""

    def __init__(self, folder: Path, *more: str, only: int | None = None):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.logs = [folder.with_suffix(f".{k}.log") for k in (0, 1)]
        self.processes = {
            k: self._started(k, address, more) for k in (0, 1) if only in (None, k)
        }

    def _started(self, k: int, address: str, more: tuple[str, ...]) -> subprocess.Popen:
        command = [sys.executable, "-m", "physcon", *SETTINGS, f"--process_id={k}"]
        command += [f"--coordinator={address}", f"--output={self.folder}", *more]
        with self.logs[k].open("w") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT)

    def begun(self) -> None:
        """Wait until a part of the solution is written."""
        deadline = time.monotonic() + LIMIT
        while not any(self.folder.glob("shards/*")):
            codes = [p.poll() for p in self.processes.values()]
            if time.monotonic() > deadline or any(c is not None for c in codes):
                raise RuntimeError(f"did not begin: {self.said()}")
            time.sleep(0.01)

    def said(self) -> str:
        return "".join(log.read_text() for log in self.logs if log.exists())

    def ended(self, numbers: list[int]) -> str:
        """Wait for these processes; what is wrong with how they end."""
        deadline = time.monotonic() + MINUTE
        for k in numbers:
            try:
                self.processes[k].wait(timeout=max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                return f"process {k} still runs after a minute"
            said = self.logs[k].read_text()
            if any(word in said for word in STACKS):
                return f"process {k} ends with a stack, {said[:300]!r}"
            # JAX itself ends a process that has lost its coordinator, sometimes first.
            sentences = said.count("expected all") + said.count("another task died")
            if not self.processes[k].returncode or not sentences:
                return f"process {k} says {said!r}"
        return ""

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()


def result(folder: Path) -> object:
    data = xr.load_dataset(folder / "solution.nc", engine="h5netcdf")
    return {str(name): v.values.tobytes() for name, v in data.variables.items()}


def finished(folder: Path, *more: str) -> object:
    """The result of two processes that nobody disturbs."""
    pair = Pair(folder, *more)
    try:
        codes = [p.wait(timeout=LIMIT) for p in pair.processes.values()]
        if codes != [0, 0]:
            raise RuntimeError(pair.said())
        return result(folder)
    finally:
        pair.close()


def divided_fault(place: Path, kind: str, rng: random.Random) -> str:
    """Disturb one process of two; says what was done and what is wrong."""
    token = rng.randrange(10**9)
    if kind == "absent":
        return _absent(place / f"absent-{token}", rng.randrange(2))
    whole = place / "divided-whole"
    expected = result(whole) if whole.exists() else finished(whole)
    victim = {"coordinator": 0, "worker": 1}.get(kind, rng.randrange(2))
    pair = Pair(place / f"{kind}-{token}")
    try:
        pair.begun()
        time.sleep(rng.uniform(0, 0.3))
        stopped = kind == "stopped"
        number = signal.SIGSTOP if stopped else signal.SIGKILL
        pair.processes[victim].send_signal(number)
        began = time.monotonic()
        wrong = pair.ended([1 - victim])
        seconds = time.monotonic() - began
        if stopped:
            pair.processes[victim].send_signal(signal.SIGCONT)
            wrong = wrong or pair.ended([victim])
    finally:
        pair.close()
    if not wrong and finished(pair.folder, "--resume") != expected:
        wrong = "another result"
    what = f"process {victim}, the other ended after {seconds:.0f} s"
    return f"divided, {kind}: {what}: {wrong or 'as it should be'}"


def _absent(folder: Path, present: int) -> str:
    began = time.monotonic()
    pair = Pair(folder, "--wait=5", only=present)
    try:
        wrong = pair.ended([present])
    finally:
        pair.close()
    seconds = time.monotonic() - began
    what = f"process {1 - present}, the other ended after {seconds:.0f} s"
    left = ", and leaves a folder" if folder.exists() else ""
    return f"divided, absent: {what}: {wrong + left or 'as it should be'}"
