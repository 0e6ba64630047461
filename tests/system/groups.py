"""Several processes of one run on this machine; every one started here is ended here,
whatever happens.
"""

import os
import signal
import socket
import subprocess
import sys
import time

LIMIT = 100.0  # seconds for anything that should happen


class Group:
    """Processes 0 to n - 1 of one run, and their outputs."""

    def __init__(self, number, command):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        flags = os.environ.get("XLA_FLAGS", "").split()
        flags = [f for f in flags if "device_count" not in f]  # one device each
        environment = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": " ".join(flags),
        }
        self.processes = [
            subprocess.Popen(
                [sys.executable, *command(address, number, k)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for k in range(number)
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def killed(self, victim, checkpoint):
        """Exit codes and outputs, one process killed once there is a checkpoint."""
        deadline = time.monotonic() + LIMIT
        while not checkpoint.exists():
            assert time.monotonic() < deadline
            assert all(p.poll() is None for p in self.processes)
            time.sleep(0.01)
        self.processes[victim].send_signal(signal.SIGKILL)
        codes, outputs = self.finish(limit=60.0)
        assert codes[victim] == -signal.SIGKILL
        return codes, outputs

    def finish(self, limit=LIMIT):
        """Exit codes and outputs, all within the limit."""
        deadline = time.monotonic() + limit
        outputs = [
            p.communicate(timeout=deadline - time.monotonic())[0]
            for p in self.processes
        ]
        return [p.returncode for p in self.processes], outputs


def shared(program, command):
    """The command line of every process: `command`, and how to join the others."""
    return lambda address, number, k: [
        *program, *command, "--distributed",
        "--coordinator", address, "--processes", str(number), "--process_id", str(k),
    ]  # fmt: skip
