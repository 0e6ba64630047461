"""Compiled programs of commands are kept for the next command."""

import os
import subprocess
import sys

import numpy as np
import pytest

from physcon.cli.compiled import keep_programs

COUNTED = """
import sys
import jax
from physcon.cli import main

found = []
jax.monitoring.register_event_listener(lambda event, **_: found.append(event))
main(sys.argv[1:])
print("hits", found.count("/jax/compilation_cache/cache_hits"))
print("misses", found.count("/jax/compilation_cache/cache_misses"))
"""


@pytest.fixture
def predictions(tmp_path):
    path = tmp_path / "predictions.npz"
    x = np.linspace(0.0, 1.0, 11)
    np.savez(path, mean=np.exp(-x)[None], std=0.1 + 0 * x[None], x=x)
    return path


def constrained(predictions, output, home, *options):
    """Start the command for a user with this home folder."""
    command = ["constrain", str(predictions), "-o", str(output)]
    command += ["--integral", "0.6", "--lower", "0", *options]
    environment = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home)}
    environment.pop("PHYSCON_COMPILE_CACHE")
    return subprocess.Popen(
        [sys.executable, "-c", COUNTED, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def counts(process):
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    lines = [line.split() for line in said.splitlines()]
    found = {line[0]: int(line[1]) for line in lines if line[0] in ("hits", "misses")}
    return found["hits"], found["misses"]


def test_the_second_command_compiles_nothing(predictions, tmp_path):
    first = [constrained(predictions, tmp_path / f"{k}.npz", tmp_path) for k in "ab"]
    for process in first:  # both write to the same folder at the same time
        counts(process)
    hits, misses = counts(constrained(predictions, tmp_path / "c.npz", tmp_path))
    assert hits > 0
    assert misses == 0
    written = [np.load(tmp_path / f"{k}.npz")["mean"] for k in "abc"]
    np.testing.assert_array_equal(written[0], written[1])
    np.testing.assert_array_equal(written[0], written[2])


def test_off_keeps_nothing(predictions, tmp_path):
    home = tmp_path / "home"
    options = ("--compile_cache", "off")
    assert counts(constrained(predictions, tmp_path / "a.npz", home, *options))[0] == 0
    assert not home.exists()


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.delenv("PHYSCON_COMPILE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    keep_programs(None)  # a cache that nobody asked for does not stop a command
    with pytest.raises(OSError, match="file"):
        keep_programs(str(blocked / "cache"))
