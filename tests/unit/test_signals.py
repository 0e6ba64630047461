"""A signal ends a command in one sentence, and no file is left half-written."""

import signal
import subprocess
import sys

import pytest

WRITER = """
import signal, sys, time
from physcon._files import atomic_write
from physcon._signals import end_at_signals

signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a foreground job
if "nohup" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
end_at_signals(lambda number: f"ended by {number.name}")
with atomic_write(sys.argv[1]) as file:
    file.write(b"half of it")
    print("ready", flush=True)
    while True:  # as in a compiled program, an exception would not be noticed
        try:
            time.sleep(60)
        except BaseException:
            pass
"""
HUP, INT, TERM = signal.SIGHUP, signal.SIGINT, signal.SIGTERM


@pytest.mark.parametrize(
    ("numbers", "ending", "more"),
    [([TERM], TERM, []), ([INT, INT], INT, []), ([HUP, TERM], TERM, ["nohup"])],
)
def test_a_signal_ends_a_command_at_once(tmp_path, numbers, ending, more):
    path = tmp_path / "table.txt"
    path.write_text("the old table")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    assert len(list(tmp_path.iterdir())) == 2
    for number in numbers:
        process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + ending
    assert said == f"ended by {ending.name}\n"
    assert [p.name for p in tmp_path.iterdir()] == ["table.txt"]
    assert path.read_text() == "the old table"
