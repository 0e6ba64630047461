"""The options of a command that several processes run together, and how this one joins
them.
"""

from jsonargparse import ArgumentParser, Namespace

from physcon._checks import require


def add_options(parser: ArgumentParser, shared: str) -> None:
    """--distributed, which shares something among several processes, and who they are."""
    parser.add_argument(
        "--distributed",
        action="store_true",
        help=f"share {shared} among several processes",
    )
    parser.add_argument("--coordinator", default=None, help="host:port of process 0")
    parser.add_argument(
        "--processes", type=int, default=None, help="number of processes"
    )
    parser.add_argument(
        "--process_id", type=int, default=None, help="number of this one, from 0"
    )


def joined(options: Namespace) -> bool:
    """Whether this is one of several processes; it has joined the others then.

    To be called before anything else of JAX runs.

    Raises: ValueError for a process number without --distributed.
    """
    given = [options.coordinator, options.processes, options.process_id]
    if not options.distributed:
        require(
            given == [None] * 3, "--distributed with them", given, "add --distributed"
        )
        return False
    from physcon.parallel import processes

    processes.start(*given)
    return True
