"""Runs of several processes: one mesh over all of their devices."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
from jax.sharding import Mesh

#: Processes that are done wait this long for the others; a lost one is noticed by its
#: silence.
PATIENCE = 7 * 24 * 3600
#: Seconds without a sign of life after which a process counts as ended.
SILENCE = 30
#: How an error of JAX's runtime, of its messages or of its files begins.
_STATUS = re.compile("[A-Z_]+: ")


def start(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Join this process to the others, before anything else of JAX runs
    (`jax.distributed`).

    Args:
        coordinator: address of process 0, ``"host:port"``; it binds this one address.
        processes: how many there are.
        process_id: which one this is, from 0. With all three None, JAX asks the cluster (Slurm,
            Open MPI, Kubernetes, Cloud TPU) or the environment.
    """
    bind = coordinator if process_id == 0 else None
    jax.distributed.initialize(
        coordinator,
        processes,
        process_id,
        coordinator_bind_address=bind,
        heartbeat_timeout_seconds=SILENCE,
        shutdown_timeout_seconds=PATIENCE,
    )


@contextmanager
def ending_together() -> Iterator[None]:
    """If another process has ended, or this one fails alone, end this one at once with
    the reason: the others notice. Errors that all processes raise alike (of the input,
    of the numbers) pass.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError, OSError) as error:
        # A lost connection is a ValueError where an array is fetched, as is a full disk
        # in orbax.
        alike = isinstance(error, ValueError) and not _STATUS.match(str(error))
        if jax.process_count() == 1 or alike:
            raise
        reason = str(error).splitlines()[0][:200]
        message = (
            f"process {jax.process_index()}: expected all {jax.process_count()} processes to stay, "
            f"lost one of them or failed here ({reason}); "
            "start them all again and resume from the checkpoint"
        )
        print(message, file=sys.stderr, flush=True)
        os._exit(1)  # what runs at a normal exit would wait for the lost process


def mesh_of_all(name: str = "batch") -> Mesh:
    """A mesh of one axis over the devices of all processes."""
    return Mesh(np.asarray(jax.devices()), (name,))
