"""The history of benchmarks keeps ratios, under names that stay the same."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ENVIRONMENT = {"commit": "abc", "date": "2026-01-01", "versions": {"jax": "0.10.2"}}
RESULTS = {
    "seconds": 2.0,
    "rows": [{"case": "small", "shape": [3, 4], "run_s": 0.1, "over_forward": 1.23456}],
    "ratio to copy": {"copy": 1.0, "forward": 1.5},
}


@pytest.fixture
def history(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import _history  # pyright: ignore[reportMissingImports]

    yield _history
    del sys.modules["_history"]


def test_only_ratios_are_kept_and_named_by_their_records(history, tmp_path):
    content = {"benchmark": "b", "environment": ENVIRONMENT, "results": RESULTS}
    history.append(content, tmp_path)
    history.append(content, tmp_path)
    lines = (tmp_path / "b.jsonl").read_text().splitlines()
    assert len(lines) == 2
    found = json.loads(lines[0])
    assert found["commit"] == "abc"
    assert found["ratios"] == {
        "rows, small 3x4, over_forward": 1.235,
        "ratio to copy, forward": 1.5,
    }


def test_a_run_without_ratios_adds_no_line(history, tmp_path):
    content = {"benchmark": "b", "environment": ENVIRONMENT, "results": {"run_s": 1.0}}
    history.append(content, tmp_path)
    assert not list(tmp_path.iterdir())


def test_kept_history_can_be_read(history):
    files = sorted(history.FOLDER.glob("*.jsonl"))
    assert files
    for file in files:
        for line in file.read_text().splitlines():
            run = json.loads(line)
            assert run["ratios"]
            assert {"commit", "date", "jax"} <= run.keys()
