"""The script for an accelerator: limits, resumption and exit status of its parts."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "on_device.sh"
#: Stands for Python: notes each call, fails or hangs where asked.
STUB = """#!/usr/bin/env bash
echo "$@" >> calls
case "$*" in
  *${FAILS:-nothing}*) exit 3 ;;
  *${HANGS:-nothing}*) sleep 30 ;;
esac
"""


@pytest.fixture
def start(tmp_path):
    """Run the script with a stub in place of Python; returns its status and calls."""
    stub = tmp_path / "python"
    stub.write_text(STUB.replace("calls", str(tmp_path / "calls")))
    stub.chmod(0o755)

    def run(**variables):
        calls = tmp_path / "calls"
        calls.unlink(missing_ok=True)
        found = subprocess.run(
            [SCRIPT, "cpu", str(tmp_path / "out")],
            env=os.environ | {"PYTHON": str(stub), "TOY": "1"} | variables,
            capture_output=True,
            text=True,
        )
        lines = calls.read_text().splitlines() if calls.exists() else []
        return found, lines

    return run


def test_every_part_runs_once_in_order_of_value(start):
    found, calls = start()
    assert found.returncode == 0, found.stdout + found.stderr
    scripts = ["device_exactness", "run_all", "device_cells", "run stefan", "evidence"]
    assert len(calls) == len(scripts)
    for name, call in zip(scripts, calls, strict=True):
        assert name in call
    assert "--toy" in calls[0]
    _, again = start()
    assert [c.split()[0] for c in again] == ["benchmarks/evidence.py"]


def test_a_part_that_fails_stops_no_other_and_is_run_again(start):
    found, calls = start(FAILS="exactness")
    assert found.returncode == 1
    assert "exactness: at most" in found.stdout
    assert "status 3" in found.stdout
    assert sum("device_" in c for c in calls) == 2
    found, calls = start()
    assert found.returncode == 0
    assert "exactness" in calls[0]
    assert not any("cells" in c or "-m physcon" in c for c in calls)


def test_a_part_that_hangs_is_ended_and_the_budget_is_kept(start):
    found, calls = start(HANGS="exactness", BUDGET="1")
    assert found.returncode == 1
    assert "status 124" in found.stdout
    assert "cells: no time left" in found.stdout
    assert len(calls) == 1
