"""A process that ends, stops, fails or is interrupted ends the others."""

import signal
import subprocess
import sys
import time

import pytest

WATCHED = """
import signal, sys, time
from physcon.parallel import watch
from physcon.parallel.meeting import meet

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
address, own, action = sys.argv[1], int(sys.argv[2]), sys.argv[3]
watch.SILENCE, watch.BEAT, watch.GRACE = 3.0, 0.3, 1.0
mine = watch.Watch(own, 2, meet(address, 2, own, {}, 60))
print("together", flush=True)
if action == "fail" and own == 1:
    mine.failed("a file is absent")
    sys.exit("one of them failed")
if action == "finish" and own == 1:
    mine.done()
    sys.exit(0)
time.sleep(3 if action == "finish" else 60)  # as within a compiled program
mine.done()
"""


def pair(action, free):
    address = f"127.0.0.1:{free}"
    return [
        subprocess.Popen(
            [sys.executable, "-c", WATCHED, address, str(own), action],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for own in (0, 1)
    ]


def ended(processes, limit=20.0):
    deadline = time.monotonic() + limit
    said = [p.communicate(timeout=deadline - time.monotonic())[0] for p in processes]
    return [p.returncode for p in processes], said


@pytest.fixture
def started(free_port):
    """`started(action)`: two processes that are connected; ended with the test."""
    all_of_them = []

    def start(action):
        all_of_them.extend(pair(action, free_port))
        for process in all_of_them:
            assert process.stdout.readline() == "together\n"
        return all_of_them

    yield start
    for process in all_of_them:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def free_port():
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize(
    ("sent", "code", "what"),
    [
        (signal.SIGTERM, 143, "was ended by SIGTERM"),
        (signal.SIGINT, 130, "was ended by SIGINT"),
        (signal.SIGKILL, -9, "has ended"),
    ],
)
def test_a_signal_to_one_ends_both(started, sent, code, what):
    processes = started("wait")
    processes[1].send_signal(sent)
    codes, said = ended(processes)
    assert codes == [1, code]
    sentence = (
        f"expected all 2 processes to stay, got: process 1 {what}; start them all"
    )
    assert f"process 0: {sentence}" in said[0]
    assert said[0].count("\n") == 1
    if sent != signal.SIGKILL:
        assert f"process 1: {sentence}" in said[1]


def test_a_stopped_process_is_noticed_by_its_silence_and_ends_once_it_continues(
    started,
):
    processes = started("wait")
    processes[1].send_signal(signal.SIGSTOP)
    assert processes[0].wait(timeout=20) == 1
    processes[1].send_signal(signal.SIGCONT)
    codes, said = ended(processes)
    assert codes == [1, 1]
    for text in said:
        assert "process 1 has been silent for 3 seconds" in text


def test_one_that_fails_alone_ends_the_other_with_its_reason(started):
    codes, said = ended(started("fail"))
    assert codes == [1, 1]
    assert "process 1 failed (a file is absent)" in said[0]


def test_one_that_has_finished_is_not_missed(started):
    codes, said = ended(started("finish"))
    assert codes == [0, 0]
    assert said == ["", ""]
