"""The processes of one run watch each other over plain connections.

JAX detects a lost process late, and then ends the others with a C++ stack trace. Here
every process keeps a connection to process 0, on which both sides send heartbeats. When
one process ends, is stopped, or fails alone, the others end within seconds, each with a
one-sentence message. The connections are made before JAX starts, so that a wrong
address, a missing process and different settings are detected first.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

from physcon._signals import ENDING, signal_pipe

#: Seconds between two heartbeats.
BEAT = 2.0
#: Seconds without a heartbeat after which a process counts as lost.
SILENCE = 30.0
#: Seconds within which all processes are expected to raise a common error.
GRACE = 10.0
#: Seconds within which the others are expected to close their connections.
PARTING = 1.0
_REMEDY = "start them all again and resume from the checkpoint"


class Connection:
    """A connection that carries lines of JSON over a socket."""

    def __init__(self, wire: socket.socket):
        self.wire = wire
        self.heard = time.monotonic()
        self.done = False
        self._rest = b""
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; a closed connection is detected by the reader."""
        with self._lock, contextlib.suppress(OSError):
            self.wire.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> Iterator[dict[str, Any]]:
        """Yield the received messages, once the socket is readable.

        Raises:
            ConnectionError: if the other side has closed the connection.
        """
        new = self.wire.recv(1 << 16)
        if not new:
            raise ConnectionError
        self.heard = time.monotonic()
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            yield json.loads(line)


class Watch:
    """The connections of this process, read by a thread until the process ends.

    Args:
        own: number of this process.
        number: number of processes.
        connections: connections by process number. Process 0 has one to every other
            process; the others have one to process 0.
    """

    def __init__(self, own: int, number: int, connections: dict[int, Connection]):
        self.own = own
        self.number = number
        self.connections = connections
        self._ending = threading.Lock()
        self._failed_at: float | None = None
        self._signals = signal_pipe()
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def done(self) -> None:
        """Tell the others that this process has finished its work."""
        self._tell({"done": True})

    def failed(self, reason: str) -> None:
        """Tell the others that this process fails and is about to end."""
        self._failed_at = time.monotonic()
        self._tell({"failed": reason})
        atexit.register(self._part)

    def end(self, reason: str, code: int = 1) -> NoReturn:
        """End this process at once with a one-sentence message, and tell the others."""
        if not self._ending.acquire(timeout=60):
            os._exit(code)
        self._tell({"lost": reason})
        print(f"process {self.own}: {reason}", file=sys.stderr, flush=True)
        self._part()
        os._exit(code)  # a normal exit would wait for the lost process

    def _tell(self, message: dict[str, Any]) -> None:
        for connection in self.connections.values():
            connection.send(message)

    def _part(self) -> None:
        """Close the connections after the others have received what was sent.

        A socket that is closed with unread heartbeats resets its connection, and the
        other side then loses what it has not read yet.
        """
        deadline = time.monotonic() + PARTING
        for connection in self.connections.values():
            with contextlib.suppress(OSError):
                connection.wire.shutdown(socket.SHUT_WR)
        for connection in self.connections.values():
            with contextlib.suppress(OSError):
                connection.wire.settimeout(max(deadline - time.monotonic(), 0.01))
                while connection.wire.recv(1 << 16):
                    pass

    def _beat(self) -> None:
        while True:
            self._tell({})
            time.sleep(BEAT)

    def _read(self) -> None:
        """Wait for messages, silence, signals, and closed connections."""
        failures: dict[int, tuple[float, str]] = {}
        waited = time.monotonic()
        while True:
            open_ones = {c.wire: k for k, c in self.connections.items() if not c.done}
            ready, _, _ = select.select([*open_ones, self._signals], [], [], BEAT)
            if self._signals in ready:
                self._end_by_signal()
            now = time.monotonic()
            if now - waited > SILENCE:  # this process itself was stopped
                for connection in self.connections.values():
                    connection.heard = now
            waited = now
            for wire, k in open_ones.items():
                if wire in ready:
                    self._hear(k, failures)
            self._judge(failures)

    def _hear(self, k: int, failures: dict[int, tuple[float, str]]) -> None:
        connection = self.connections[k]
        try:
            for message in connection.receive():
                if "done" in message:
                    connection.done = True
                elif "lost" in message:
                    self._lost(str(message["lost"]))
                elif "failed" in message:
                    failures[k] = time.monotonic(), str(message["failed"])
        except (OSError, ValueError):
            if not connection.done and k not in failures:
                self._lost(f"process {k} has ended")
            connection.done = True  # `_judge` reports a failure after `GRACE`

    def _judge(self, failures: dict[int, tuple[float, str]]) -> None:
        now = time.monotonic()
        for k, connection in self.connections.items():
            if not connection.done and now - connection.heard > SILENCE:
                self._lost(f"process {k} has been silent for {SILENCE:g} seconds")
        for k, (when, reason) in failures.items():
            if self._failed_at is None and now - when > GRACE:
                self._lost(f"process {k} failed ({reason})")
        if self._failed_at is not None and now - self._failed_at > GRACE:
            os._exit(1)  # the message is printed; nobody else will connect

    def _lost(self, what: str) -> NoReturn:
        expected = f"expected all {self.number} processes to stay"
        if what.startswith(expected):
            self.end(what)
        self.end(f"{expected}, got: {what}; {_REMEDY}")

    def _end_by_signal(self) -> None:
        for number in os.read(self._signals, 100):
            if number in ENDING:
                name = signal.Signals(number).name
                expected = f"expected all {self.number} processes to stay"
                got = f"process {self.own} was ended by {name}"
                self.end(f"{expected}, got: {got}; {_REMEDY}", 128 + number)
