"""Connect the processes of a run, and check that all of them run the same program."""

import errno
import select
import socket
import time
from typing import Any

from physcon._checks import require
from physcon.parallel.watch import Connection

About = dict[str, Any]


def meet(
    address: str, number: int, own: int, about: About, wait: float
) -> dict[int, Connection]:
    """Connect all processes to process 0, and compare the settings of the run.

    Args:
        address: address of process 0, ``"host:port"``.
        number: number of processes.
        own: number of this process.
        about: JSON values that must be equal in all processes.
        wait: seconds within which all processes must connect.

    Returns:
        On process 0, a connection to every other process; on the others, the connection
        to process 0.

    Raises:
        ValueError: on every connected process, with the reason.
    """
    require(
        0 <= own < number,
        f"a --process_id from 0 to {number - 1}",
        own,
        "number the processes from 0",
    )
    host, _, port = address.rpartition(":")
    require(
        bool(host) and port.isdigit() and 0 < int(port) < 2**16,
        "a --coordinator host:port",
        address,
        "give the address of process 0, for instance localhost:1234",
    )
    place = _resolved(host.strip("[]"), int(port))
    if own == 0:
        return _host(place, address, number, about, wait)
    return {0: _join(place, address, own, about, wait)}


def _resolved(host: str, port: int) -> tuple[Any, ...]:
    try:
        family, _, _, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
    except OSError as error:
        raise ValueError(
            f"expected a host that can be found in --coordinator, got {host!r} "
            f"({error.strerror}); check its name"
        ) from None
    return family, place


def _host(
    place: tuple[Any, ...], address: str, number: int, about: About, wait: float
) -> dict[int, Connection]:
    """Wait for the other processes, compare their settings, and let them continue."""
    come: dict[int, Connection] = {}
    abouts = {0: about}
    deadline = time.monotonic() + wait
    with _listening(place, address) as listener:
        strangers: list[Connection] = []
        while len(come) < number - 1 and (left := deadline - time.monotonic()) > 0:
            wires = [listener, *(c.wire for c in strangers)]
            ready, _, _ = select.select(wires, [], [], left)
            for wire in ready:
                if wire is listener:
                    strangers.append(Connection(listener.accept()[0]))
                    continue
                (guest,) = (c for c in strangers if c.wire is wire)
                hello = _hello(guest)
                if hello is None:
                    continue
                strangers.remove(guest)
                if not hello:
                    guest.wire.close()
                else:
                    come[hello["process"]] = guest
                    abouts[hello["process"]] = hello["about"]
        for guest in strangers:
            guest.wire.close()
    missing = [str(k) for k in range(1, number) if k not in come]
    wrong = ""
    if missing:
        wrong = (
            f"expected {number} processes within {wait:g} seconds, got no sign of "
            f"process {', '.join(missing)}; start each of them once, with this "
            "--coordinator"
        )
    else:
        wrong = difference(abouts)
    for guest in come.values():
        guest.send({"wrong": wrong})
    if wrong:
        for guest in come.values():
            guest.wire.close()
        raise ValueError(wrong)
    return come


def _hello(guest: Connection) -> dict[str, Any] | None:
    """The first message of a process; {} from a stranger, None while incomplete."""
    try:
        for message in guest.receive():
            if isinstance(message, dict) and isinstance(message.get("process"), int):
                return message
            return {}
    except (OSError, ValueError):
        return {}
    return None


def _listening(place: tuple[Any, ...], address: str) -> socket.socket:
    family, where = place
    listener = socket.socket(family, socket.SOCK_STREAM)
    # JAX later listens on the same port, while these connections are still open.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(where)
        listener.listen(128)
    except OSError as error:
        listener.close()
        reasons = {
            errno.EADDRINUSE: ("a free port", "another program uses it"),
            errno.EADDRNOTAVAIL: ("an address of this machine", "it has no such one"),
            errno.EACCES: ("a port that may be opened", "permission is denied"),
        }
        expected, reason = reasons.get(
            error.errno or 0, ("a port that can be opened", str(error.strerror))
        )
        raise ValueError(
            f"expected {expected} for process 0 at {address}, got an error: {reason}; "
            "choose another --coordinator"
        ) from None
    return listener


def _join(
    place: tuple[Any, ...], address: str, own: int, about: About, wait: float
) -> Connection:
    """Find process 0, send it the settings of this process, and wait for its answer."""
    family, where = place
    # Process 0 gives up first, so that its reason arrives here.
    deadline = time.monotonic() + wait + 5
    absent = ValueError(
        f"expected an answer of process 0 at {address} within {wait + 5:g} seconds, "
        "got "
        "none; start process 0 there, and check that no other program uses the port"
    )
    while True:
        wire = socket.socket(family, socket.SOCK_STREAM)
        wire.settimeout(max(0.1, deadline - time.monotonic()))
        try:
            wire.connect(where)
            break
        except OSError:
            wire.close()
            if time.monotonic() > deadline:
                raise absent from None
            time.sleep(0.2)
    connection = Connection(wire)
    connection.send({"process": own, "about": about})
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([wire], [], [], left)
        if not ready:
            break
        try:
            answers = list(connection.receive())
        except (OSError, ValueError):
            break
        for answer in answers:
            if answer["wrong"]:
                wire.close()
                raise ValueError(answer["wrong"])
            wire.settimeout(None)
            return connection
    wire.close()
    raise absent


def difference(abouts: dict[int, About]) -> str:
    """A sentence that names the first difference between processes, or ""."""
    first = _flat(abouts[0])
    for k in sorted(abouts):
        other = _flat(abouts[k])
        for name in sorted(first.keys() | other.keys()):
            here = first.get(name, "absent")
            there = other.get(name, "absent")
            if here != there:
                return (
                    f"expected the same {name} on all processes, got {here} on process "
                    f"0 and {there} on process {k}; start them all with the same "
                    "command, versions and files"
                )
    return ""


def _flat(tree: About, prefix: str = "") -> dict[str, Any]:
    """Nested JSON values, as a flat dictionary with dotted names."""
    out: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            out |= _flat(value, f"{prefix}{name}.")
        else:
            out[f"{prefix}{name}"] = value
    return out
