"""Runs of several processes: one mesh over all of their devices."""

import atexit
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from physcon.parallel.meeting import difference, meet
from physcon.parallel.watch import GRACE, Watch

#: Processes that are done wait this long for the others; a lost one is noticed by its
#: silence.
PATIENCE = 7 * 24 * 3600
#: Seconds in which all processes must come.
WAIT = 45.0
#: Seconds without a sign of life after which JAX itself ends a process. Where the
#: processes watch each other, that comes first.
SILENCE = 100
#: How an error of JAX's runtime, of its messages or of its files begins.
_STATUS = re.compile("[A-Z_]+: ")

_watch: Watch | None = None


def start(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    *,
    about: dict[str, Any] | None = None,
    wait: float = WAIT,
) -> None:
    """Join this process to the others, before anything else of JAX runs
    (`jax.distributed`).

    Args:
        coordinator: address of process 0, ``"host:port"``; it binds this one address.
        processes: number of processes.
        process_id: number of this process, from 0. With all three None, JAX asks the
            cluster (Slurm, Open MPI, Kubernetes, Cloud TPU) or the environment.
        about: JSON values that all processes must share: settings, versions, files.
        wait: seconds in which all processes must come.

    Raises: ValueError where one does not come, or runs something else; on every process
        that is there.
    """
    global _watch
    about = {} if about is None else about
    given = (coordinator, processes, process_id)
    explicit = None not in given
    connections = {}
    if explicit:
        connections = meet(coordinator, processes, process_id, about, wait)  # type: ignore[arg-type]
    # It would catch SIGTERM, and leave the process running.
    preemption = jax.config.jax_enable_preemption_service  # type: ignore[attr-defined]
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            *given,
            coordinator_bind_address=coordinator if process_id == 0 else None,
            initialization_timeout=int(wait),
            heartbeat_timeout_seconds=SILENCE if explicit else 30,
            shutdown_timeout_seconds=PATIENCE,
        )
    except (jax.errors.JaxRuntimeError, ValueError, TypeError) as error:
        if not explicit and not isinstance(error, jax.errors.JaxRuntimeError):
            raise ValueError(
                "expected --coordinator, --processes and --process_id, or a cluster "
                f"that JAX knows (Slurm, Open MPI, Kubernetes), got {given}; give all "
                "three"
            ) from error
        reason = str(error).splitlines()[0][:200]
        raise ValueError(
            f"expected all processes to come within {wait:g} seconds, got an error of "
            f"JAX ({reason}); start each of them once, with the same --coordinator"
        ) from error
    finally:
        jax.config.update("jax_enable_preemption_service", preemption)
    if explicit and jax.process_count() > 1:
        _watch = Watch(jax.process_index(), jax.process_count(), connections)
        atexit.register(_watch.done)
    elif not explicit:
        _compare_by_jax(about)


def _compare_by_jax(about: dict[str, Any]) -> None:
    """Compare what the processes run where JAX found them, without connections."""
    from jax.experimental.multihost_utils import process_allgather

    text = json.dumps(about).encode()
    longest = int(np.max(process_allgather(np.int32(len(text)))))
    padded = np.frombuffer(text.ljust(longest), np.uint8)
    each = np.asarray(process_allgather(padded)).reshape(-1, longest)
    wrong = difference({k: json.loads(bytes(row)) for k, row in enumerate(each)})
    if wrong:
        raise ValueError(wrong)


@contextmanager
def ending_together() -> Iterator[None]:
    """End this process at once, with one sentence, where another one has ended or this
    one fails alone: the others notice.

    Errors that all processes raise alike (of the input, of the numbers) pass.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError, OSError) as error:
        # A lost connection is a ValueError where an array is fetched, as is a full disk
        # in orbax.
        alike = isinstance(error, ValueError) and not _STATUS.match(str(error))
        if jax.process_count() == 1:
            raise
        reason = str(error).splitlines()[0][:200]
        if alike:
            if _watch is not None:
                _watch.failed(reason)
            raise
        _end(reason)
    except FloatingPointError as error:
        if _watch is not None:
            _watch.failed(str(error))
        raise


def _end(reason: str) -> None:
    """End this process; the thread of the watch may know the cause, and comes first."""
    number = jax.process_count()
    message = (
        f"expected all {number} processes to stay, lost one of them or failed here "
        f"({reason}); start them all again and resume from the checkpoint"
    )
    if _watch is not None:
        time.sleep(GRACE / 5)
        _watch.end(message)
    print(f"process {jax.process_index()}: {message}", file=sys.stderr, flush=True)
    os._exit(1)  # what runs at a normal exit would wait for the lost process


def mesh_of_all(name: str = "batch") -> Mesh:
    """A mesh of one axis over the devices of all processes."""
    return Mesh(np.asarray(jax.devices()), (name,))
