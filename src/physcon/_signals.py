"""Signals that end a process: it removes its temporary files and prints one sentence.

A thread acts on them. Python's own handlers run only after a compiled program has
returned, and an exception raised in the main thread at any moment ends with a stack of
another package, or is lost in one of its callbacks.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

#: Numbers of the signals that ask a process to end; Windows has no SIGHUP.
ENDING = tuple(
    int(getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)
_cleanups: dict[object, Callable[[], object]] = {}


@contextmanager
def cleaned_up(action: Callable[[], object]) -> Iterator[None]:
    """Run `action` if a signal ends the process within the block."""
    key = object()
    _cleanups[key] = action
    try:
        yield
    finally:
        del _cleanups[key]


def end_at_signals(sentence: Callable[[signal.Signals], str]) -> None:
    """Let signals end this process, with that sentence on standard error.

    The exit code is 128 plus the number of the signal, as a shell reports it. Call it
    in a command that owns its process.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    pipe = signal_pipe()
    threading.Thread(target=_wait, args=(pipe, sentence), daemon=True).start()


def signal_pipe() -> int:
    """The end of a pipe that receives the number of every signal that arrives.

    The signals have no other effect then. Those that the process ignores, as under
    `nohup`, are still ignored.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
    return reading


def _wait(pipe: int, sentence: Callable[[signal.Signals], str]) -> None:
    while True:
        for number in os.read(pipe, 100):
            if number in ENDING:
                _end(number, sentence(signal.Signals(number)))


def _end(number: int, sentence: str) -> NoReturn:
    for action in reversed([*_cleanups.values()]):
        with contextlib.suppress(OSError):
            action()
    _flush()
    with contextlib.suppress(OSError):  # standard error may be closed
        os.write(2, f"{sentence}\n".encode())
    os._exit(128 + number)


def _flush() -> None:
    """Flush standard output, unless the main thread is stuck in writing to it."""
    if sys.stdout is not None:
        flushing = threading.Thread(target=_flush_quietly, daemon=True)
        flushing.start()
        flushing.join(1.0)


def _flush_quietly() -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
