"""Runs of several processes, with one mesh over all of their devices."""

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

#: Seconds for which a finished process waits for the others. A lost process is detected
#: by its silence.
PATIENCE = 7 * 24 * 3600
#: Seconds within which all processes must connect.
WAIT = 45.0
#: Seconds without a heartbeat after which JAX itself ends a process. The watch between
#: processes, where there is one, acts earlier.
SILENCE = 100
#: The beginning of an error message from JAX's runtime, its messages or its files.
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
    """Join this process to the others with `jax.distributed`.

    Call it before any other JAX code runs.

    Args:
        coordinator: address of process 0, ``"host:port"``; it binds only this address.
        processes: number of processes.
        process_id: number of this process, from 0. If all three are None, JAX asks the
            cluster (Slurm, Open MPI, Kubernetes, Cloud TPU) or the environment.
        about: JSON values that must be equal in all processes: settings, versions,
            files.
        wait: seconds within which all processes must connect.

    Raises:
        ValueError: on every connected process, if a process is missing or runs
            something else.
    """
    global _watch
    about = {} if about is None else about
    given = (coordinator, processes, process_id)
    explicit = None not in given
    connections = {}
    if explicit:
        connections = meet(coordinator, processes, process_id, about, wait)  # type: ignore[arg-type]
    # The preemption service would catch SIGTERM and leave the process running.
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
        by_jax = isinstance(error, jax.errors.JaxRuntimeError)
        known = explicit or by_jax
        sentence = _not_connected(error, wait) if known else _no_cluster(given)
        raise ValueError(sentence) from error
    finally:
        jax.config.update("jax_enable_preemption_service", preemption)
    if explicit and jax.process_count() > 1:
        _watch = Watch(jax.process_index(), jax.process_count(), connections)
        atexit.register(_watch.done)
    elif not explicit:
        _compare_by_jax(about)


def _no_cluster(given: tuple[Any, ...]) -> str:
    return (
        "expected --coordinator, --processes and --process_id, or a cluster that JAX "
        f"knows (Slurm, Open MPI, Kubernetes), got {given}; give all three"
    )


def _not_connected(error: Exception, wait: float) -> str:
    reason = str(error).splitlines()[0][:200]
    return (
        f"expected all processes to connect within {wait:g} seconds, got an error of "
        f"JAX ({reason}); start each of them once, with the same --coordinator"
    )


def _compare_by_jax(about: dict[str, Any]) -> None:
    """Compare the settings of processes that were connected by JAX, without a watch."""
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
    """End this process at once if another has ended or if this one fails alone.

    The process prints one sentence, and the other processes are notified. Errors that
    all processes raise alike (caused by the input or the numbers) pass.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError, OSError) as error:
        # A lost connection raises ValueError when an array is fetched, and so does a
        # full disk in orbax.
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
    """End this process; wait first for the watch thread, which may know the cause."""
    number = jax.process_count()
    message = (
        f"expected all {number} processes to stay, lost one of them or failed here "
        f"({reason}); start them all again and resume from the checkpoint"
    )
    if _watch is not None:
        time.sleep(GRACE / 5)
        _watch.end(message)
    print(f"process {jax.process_index()}: {message}", file=sys.stderr, flush=True)
    os._exit(1)  # a normal exit would wait for the lost process


def mesh_of_all(name: str = "batch") -> Mesh:
    """A mesh with one axis over the devices of all processes."""
    return Mesh(np.asarray(jax.devices()), (name,))
