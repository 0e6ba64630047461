"""Processes find each other and compare what they run, or all end with one sentence."""

import socket
import threading
import time

import pytest

from physcon.parallel.meeting import meet


@pytest.fixture
def address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def together(address, abouts, wait=5.0):
    """What each process gets: its connections, or the sentence of its error."""
    found = {}

    def process(own):
        try:
            found[own] = meet(address, len(abouts), own, abouts[own], wait)
        except ValueError as error:
            found[own] = str(error)

    threads = [threading.Thread(target=process, args=(k,)) for k in range(len(abouts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    for connections in found.values():
        for connection in connections.values() if isinstance(connections, dict) else ():
            connection.wire.close()
    return found


def test_equal_processes_are_connected_to_the_first(address):
    about = {"settings": {"seed": 3, "sizes": [1, 2]}, "versions": {"jax": "0.10"}}
    found = together(address, [about] * 3)
    assert {own: set(connections) for own, connections in found.items()} == {
        0: {1, 2}, 1: {0}, 2: {0}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (
            {"settings": {"seed": 4}},
            "settings.seed on all processes, got 3 on process 0",
        ),
        ({"settings": {"seed": 3, "steps": 1}}, "settings.steps on all processes"),
        ({"settings": {"seed": 3}, "files": {"a.npz": "e3b0"}}, "files.a.npz"),
    ],
)
def test_a_difference_is_named_on_every_process(address, other, named):
    found = together(address, [{"settings": {"seed": 3}}, other, other])
    assert len(set(found.values())) == 1
    assert named in found[0]


def test_an_absent_process_is_named(address):
    with pytest.raises(
        ValueError, match=r"within 0\.5 seconds, got no sign of process 1"
    ):
        meet(address, 2, 0, {}, 0.5)


def test_process_0_that_is_absent_or_deaf_is_not_waited_for(address, monkeypatch):
    with pytest.raises(ValueError, match="expected an answer of process 0"):
        meet(address, 2, 1, {}, -4.5)  # five seconds longer than process 0
    with socket.socket() as deaf:
        host, port = address.split(":")
        deaf.bind((host, int(port)))
        deaf.listen()
        with pytest.raises(ValueError, match="no other program uses the port"):
            meet(address, 2, 1, {}, -4.5)
        with pytest.raises(ValueError, match="another program uses it"):
            meet(address, 2, 0, {}, 0.5)


def connected(host, port):
    """A connection to a server that may take a moment to start."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return socket.create_connection((host, port))
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_stranger_at_the_door_is_shown_out(address):
    host, port = address.split(":")
    found = {}

    def first():
        found[0] = meet(address, 2, 0, {}, 5.0)

    thread = threading.Thread(target=first)
    thread.start()
    stranger = connected(host, int(port))
    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    (connection,) = meet(address, 2, 1, {}, 5.0).values()
    thread.join(timeout=10)
    assert set(found[0]) == {1}
    for wire in (stranger, connection.wire, found[0][1].wire):
        wire.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("nowhere.invalid:80", "a host that can be found"),
        ("localhost", "a --coordinator host:port"),
        ("localhost:0", "a --coordinator host:port"),
        ("localhost:http", "a --coordinator host:port"),
    ],
)
def test_a_wrong_address_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        meet(wrong, 2, 0, {}, 0.5)


def test_a_number_beyond_the_others_is_refused(address):
    with pytest.raises(ValueError, match="a --process_id from 0 to 1, got 2"):
        meet(address, 2, 2, {}, 0.5)
