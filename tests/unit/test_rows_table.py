"""The table of the page on many rows has the numbers of the benchmark's file."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "bench_rows.json"
UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0}


@pytest.fixture
def rows_table(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import rows_table  # pyright: ignore[reportMissingImports]

    yield rows_table
    del sys.modules["rows_table"]


def _seconds(text: str) -> float:
    found = re.search(r"([\d.e+]+) (µs|ms|s)\b", text)
    assert found is not None
    return float(found[1]) * UNITS[found[2]]


def test_every_row_shows_its_times_and_aim(rows_table):
    records = json.loads(RESULTS.read_text())["results"]
    lines = rows_table.table(RESULTS).splitlines()
    shown = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    assert [cells[0] for cells in shown[2:]] == [r["work"] for r in records]
    for cells, record in zip(shown[2:], records, strict=True):
        assert _seconds(cells[1]) == pytest.approx(record["physcon_s"], rel=0.01)
        others = cells[2].split("<br>") if record["others_s"] else []
        times = list(record["others_s"].items())
        for text, (name, seconds) in zip(others, times, strict=True):
            assert text.startswith(name)
            assert _seconds(text) == pytest.approx(seconds, rel=0.01)
        assert cells[3] == record["reach"]


def test_the_file_has_every_row_of_the_benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import bench_rows  # pyright: ignore[reportMissingImports]

    records = json.loads(RESULTS.read_text())["results"]
    assert [record["case"] for record in records] == list(bench_rows.CASES)
    for record in records:
        assert record["others_s"], f"{record['case']} is compared with nothing"
        ratios = {
            name: record["physcon_s"] / seconds
            for name, seconds in record["others_s"].items()
        }
        assert record["over"] == pytest.approx(ratios)


def test_the_page_includes_the_table():
    page = (ROOT / "docs" / "many_rows.md").read_text()
    settings = (ROOT / "docs" / "conf.py").read_text()
    assert "{include} generated/rows.md" in page
    assert '"rows.md"' in settings
