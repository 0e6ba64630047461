"""Faults in the middle of runs: after each, the command gives the same result when it
is started again, or says in one sentence why it does not.

    python tests/faults.py --trials 20 --seed 1
    python tests/faults.py --trials 8 --kinds coordinator worker stopped absent

A trial starts a small run of a command that writes files. At a random moment it kills
or stops the run, sends it a signal, cuts off or flips a bit of one of its files, closes
its pipe, or lets its disk be full. Many of the moments are near the end, while tables,
figures and pages are written. The last four kinds disturb one of two processes that
solve an equation together. The script ends with 1 if a result differs, a file is
half-written, or a process ends with a stack or too late.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from faulty_groups import DIVIDED, divided_fault
from faulty_runs import COMMANDS, LIMIT, Run, make_inputs

SIGNALS = {
    "term": [signal.SIGTERM],
    "interrupt": [signal.SIGINT],
    "hangup": [signal.SIGHUP],
    "twice": [signal.SIGINT, signal.SIGINT],
}
#: Kinds for the commands that keep what they have computed in a folder.
RESUMED = ("kill", "truncate", "flip", "hang")
KINDS = (*RESUMED, "full", "pipe", *SIGNALS)
SOON = 20.0  # seconds within which a process ends after a signal
STACKS = ("Traceback", "Exception ignored", "Fatal Python error", "Check failed")


def interrupted(run: Run, kind: str, changes: int, rng: random.Random) -> str:
    """Send signals after a random change of the run's files, often one of the last."""
    last = rng.random() < 0.7
    number = rng.randrange(max(changes - 8, 1) if last else 1, changes + 1)
    process = run.start()
    run.changes(process, number)
    time.sleep(rng.choice([0, 0, 0.003, 0.02, 0.1]))
    for one in SIGNALS[kind]:
        process.send_signal(one)
        time.sleep(rng.choice([0, 0.001, 0.01, 0.05]))
    code = process.wait(timeout=SOON)
    return f"after change {number} of {changes}, which ended it with {code}"


def disturbed(run: Run, kind: str, changes: int, rng: random.Random) -> str:
    """Start a run and disturb it; says what was done."""
    if kind in SIGNALS:
        return interrupted(run, kind, changes, rng)
    if kind == "full":
        size = rng.randrange(1, 40)
        code = run.start(file_size=size).wait(timeout=LIMIT)
        return f"files of at most {size} kB, which ended it with {code}"
    if kind == "pipe":
        code = run.unread()
        if code not in (0, 141):
            raise AssertionError(f"ended with {code} for a closed pipe")
        return f"which ended with {code}"
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
    return "killed, and " + damaged(rng.choice(run.progress()), kind, rng)


def damaged(path: Path, kind: str, rng: random.Random) -> str:
    """Cut off a file, or flip one of its bits; says where."""
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    if kind == "truncate":
        path.write_bytes(content[:place])
    else:
        content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
    return f"{path.name} {kind} at byte {place} of {len(content)}"


def stack(run: Run) -> str:
    """A part of a stack that the run has printed, or ""."""
    said = run.log.read_text()
    found = [said.index(word) for word in STACKS if word in said]
    return f"a stack, {said[min(found) :][:300]!r}" if found else ""


def fault(run: Run, code: int, expected: object) -> str:
    """What is wrong with a run that was started again; "" if nothing is."""
    said = run.log.read_text()
    if stack(run) or code < 0:
        return f"ended with {code} and {said[-300:]!r}"
    if code == 0:
        left = [name for name in run.files() if ".partial" in name or ".old" in name]
        wrong = f"leaves {left}" if left else ""
        return wrong if run.result() == expected else "another result"
    lines = [line for line in said.splitlines() if line.startswith("physcon ")]
    damaged = any("expected a" in line and ".checkpoint" in line for line in lines)
    return "" if damaged and len(lines) == 1 else f"ended with {code}: {said[-300:]!r}"


def trial(run: Run, kind: str, whole: tuple[int, object], rng: random.Random) -> str:
    """Disturb a run and start it again; says what was done and what is wrong."""
    changes, expected = whole
    what = disturbed(run, kind, changes, rng)
    wrong = stack(run) or run.half_written()
    wrong = wrong or fault(run, run.again(), expected)
    run.remove()
    return f"{run.name}, {kind}: {what}: {wrong or 'as it should be'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials and return the number of those that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=5, help="number of faults")
    parser.add_argument("--seed", type=int, default=0, help="seed of kinds and moments")
    kinds = (*KINDS, *DIVIDED)
    parser.add_argument("--kinds", nargs="*", choices=kinds, default=KINDS)
    parser.add_argument("--commands", nargs="*", choices=COMMANDS, default=[*COMMANDS])
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    failed = 0
    order = rng.sample(options.kinds, len(options.kinds))
    with tempfile.TemporaryDirectory() as place:
        make_inputs(Path(place))
        whole: dict[str, tuple[int, object]] = {}
        for k in range(options.trials):
            kind = order[k % len(order)]
            if kind in DIVIDED:
                said = divided_fault(Path(place), kind, rng)
            else:
                name = rng.choice(fitting(options.commands, kind))
                if name not in whole:
                    whole[name] = Run(name, Path(place), "whole").undisturbed()
                run = Run(name, Path(place), str(k))
                said = trial(run, kind, whole[name], rng)
            print(said, flush=True)
            failed += not said.endswith("as it should be")
    return failed


def fitting(commands: list[str], kind: str) -> list[str]:
    """The commands to which a kind applies."""
    if kind not in RESUMED:
        return commands
    return [name for name in ("solve", "run") if name in commands] or ["solve"]


if __name__ == "__main__":
    sys.exit(main() > 0)
