"""README and documentation show the tables that the files of results hold."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import evidence_tables  # pyright: ignore[reportMissingImports]

    yield evidence_tables
    del sys.modules["evidence_tables"]


def test_the_pages_show_their_tables_as_they_are_in_the_results(tables):
    found = tables.tables()
    assert {path.name for path in tables.PAGES} >= {
        *("README.md", "studies.md", "evidence.md", "inverse.md"),
        *("boundary_forms.md", "metrics.md", "meshes.md"),
    }
    for path in tables.PAGES:
        text = path.read_text()
        assert tables.shown(text, found) == text, "run python docs/evidence_tables.py"


def test_every_file_says_how_it_was_made():
    for path in (ROOT / "benchmarks" / "results" / "evidence").rglob("*.json"):
        content = json.loads(path.read_text())
        about = content["provenance"]
        assert {"device", "cores", "versions", "started"} <= about.keys()
        assert {"seed", "seeds"} & about.keys()
        assert content["processor"]


def test_every_preset_best_has_its_table_with_the_means_of_the_results(tables):
    found = tables.tables()
    page = (ROOT / "docs" / "published_tables.md").read_text()
    paths = sorted(tables.RESULTS.glob("best_*.json"))
    assert paths
    for path in paths:
        assert f"<!-- table {path.stem} -->" in page
        lines = [k for k in found[path.stem].splitlines() if k.startswith("| ")][2:]
        rows = json.loads(path.read_text())["results"]
        for line, row in zip(lines, rows, strict=True):
            shown = float(re.findall(r"[-\d.]+", line.split(" | ")[3])[0])
            mean = 1e4 * row["mean"]["mean_squared_error"]
            assert shown == pytest.approx(mean, abs=0.0051)


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


def test_the_default_is_compared_with_overwriting_in_every_study(tables):
    """The last row holds the geometric mean of the ratios, computed from the files."""
    folder = tables.RESULTS / "boundary" / "quick"
    ratios = {}
    for path in folder.glob("*.json"):
        rows = {r["method"]: r for r in json.loads(path.read_text())["results"]}
        (default,) = (r for r in rows.values() if r["is_default"])
        ratio = default["relative_l2"] / rows["overwrite"]["relative_l2"]
        ratios[path.stem] = (default["method"], ratio)
    table = tables.tables()["boundary_forms"]
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(lines) == len(ratios) + 1
    for line in lines[:-1]:
        cells = line.split(" | ")
        study = cells[0].strip("| `")
        form = {"values": "lift", "slopes": "basis", "closed axis": "lift"}[cells[1]]
        assert ratios[study][0] == form
        assert float(cells[7]) == pytest.approx(ratios[study][1], abs=0.0051)
    mean = np.exp(np.mean(np.log([ratio for _, ratio in ratios.values()])))
    shown = float(lines[-1].split(" | ")[7].strip("*"))
    assert shown == pytest.approx(mean, abs=0.0051)
    assert shown <= 0.5, "the default halves the error of overwriting"
