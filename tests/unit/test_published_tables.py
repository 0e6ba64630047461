"""README and documentation show the tables that the files of results hold."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import evidence_tables  # pyright: ignore[reportMissingImports]

    yield evidence_tables
    del sys.modules["evidence_tables"]


@pytest.mark.parametrize(
    "page", ["README.md", "docs/studies.md", "docs/evidence.md", "docs/inverse.md"]
)
def test_a_page_shows_its_tables_as_they_are_in_the_results(tables, page):
    text = (ROOT / page).read_text()
    assert "<!-- table " in text
    assert tables.shown(text, tables.tables()) == text, (
        "run python docs/evidence_tables.py"
    )


def test_every_file_says_how_it_was_made():
    for path in (ROOT / "benchmarks" / "results" / "evidence").glob("*.json"):
        content = json.loads(path.read_text())
        about = content["provenance"]
        assert {"device", "cores", "versions", "started", "seed"} <= about.keys()
        assert content["processor"]


def test_a_table_has_the_means_and_the_best_of_the_results(tables):
    content = json.loads((tables.RESULTS / "stefan.json").read_text())
    table = tables.tables()["stefan"]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == len(content["results"])
    for line, row in zip(rows, content["results"], strict=True):
        shown = float(re.findall(r"[-\d.]+", line.split(" | ")[3])[0])
        mean = 1e4 * row["mean"]["mean_squared_error"]
        assert shown == pytest.approx(mean, abs=0.051)
        crps = [
            r["mean"]["crps"]
            for r in content["results"]
            if r["parameter"] == row["parameter"]
        ]
        assert ("**" in line.split(" | ")[5]) == (row["mean"]["crps"] == min(crps))
