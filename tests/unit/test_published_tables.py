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
        *("boundary_forms.md", "metrics.md", "meshes.md", "real_data.md"),
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
        assert content["command"].startswith(("physcon run ", "python benchmarks/"))


def test_every_benchmark_says_how_it_was_made():
    """By its command, or in older files by the name of its program."""
    folder = ROOT / "benchmarks"
    for path in (folder / "results").glob("*.json"):
        content = json.loads(path.read_text())
        about = content["environment"]
        assert {"device", "cores", "processor", "versions", "date"} <= about.keys()
        name = content["benchmark"]
        command = content.get("command", f"python benchmarks/bench_{name}.py")
        programs = (ROOT / command.split()[1], folder / f"{name}.py")
        assert any(program.is_file() for program in programs), path.name


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


def test_every_equation_with_a_front_has_a_table_of_the_scores_near_it(tables):
    found = tables.tables()
    page = (ROOT / "docs" / "published_tables.md").read_text()
    for name in ("stefan", "pme", "advection", "burgers"):
        assert f"<!-- table best_{name}_front -->" in page
        table = found[f"best_{name}_front"]
        lines = [k for k in table.splitlines() if k.startswith("| ")][2:]
        path = tables.RESULTS / f"best_{name}.json"
        rows = json.loads(path.read_text())["results"]
        for line, row in zip(lines, rows, strict=True):
            cells = [re.findall(r"[-\d.]+", k) for k in line.split(" | ")[2:]]
            covered = 100 * row["mean"]["coverage_behind"]
            assert float(cells[1][0]) == pytest.approx(covered, abs=0.051)
            mean = 1e3 * row["mean"]["front_of_mean"]
            assert float(cells[2][0]) == pytest.approx(mean, abs=0.051)
    assert "best_heat_front" not in found


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


def test_the_figure_of_the_forms_shows_the_errors_of_the_files(tables):
    import boundary_figure  # pyright: ignore[reportMissingImports]

    shown = boundary_figure.stored()
    folder = tables.RESULTS / "boundary" / "quick"
    assert shown.keys() == {path.stem for path in folder.glob("*.json")}
    for name, errors in shown.items():
        rows = json.loads((folder / f"{name}.json").read_text())["results"]
        found = {row["method"]: row["relative_l2"] for row in rows}
        (default,) = (row["relative_l2"] for row in rows if row["is_default"])
        expected = [found["plain"], found["overwrite"], default]
        assert list(errors.values()) == pytest.approx(expected, rel=1e-3)


def test_the_overview_compares_the_same_rows_of_the_files(tables):
    """A gain, a loss and a mean over networks, computed here from the files."""
    lines = [
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in tables.tables()["overview"].splitlines()[2:-2]
    ]
    found = {(cells[0].partition(" ([")[0], cells[-2]): cells for cells in lines}

    def rows(name):
        return json.loads((tables.RESULTS / f"{name}.json").read_text())["results"]

    maps = {
        row["method"]: np.mean(row["rmse"])
        for row in rows("downscaling_sst")
        if row["quantity"] == "anomaly"
    }
    cells = found["downscaling anomalies", "block means"]
    assert float(cells[2]) == pytest.approx(maps["unconstrained"], rel=6e-3)
    assert float(cells[3]) == pytest.approx(maps["condition"], rel=6e-3)
    assert cells[-1].startswith("-")

    errors = {
        row["method"]: row["mean"]["mean_squared_error"]
        for row in rows("pme_remedies")
        if row["parameter"] == 6
    }
    cells = found["published weights, m = 6", "ProbConserv"]
    change = 100 * (errors["probconserv"] / errors["unconstrained"] - 1)
    assert float(cells[-1].strip("% ")) == pytest.approx(change, abs=0.51)
    assert change > 0, "the page says that this law does not help"

    widths = {
        row["method"]: row["width"]
        for row in rows("inverse_stefan")
        if row["interval"] == "integrated"
    }
    cells = found["melting value p* from sensors", "mass"]
    factor = widths["sensors"] / widths["sensors and mass"]
    assert float(cells[-1].strip("÷ ")) == pytest.approx(factor, abs=0.051)


def test_the_overview_shows_both_uses_of_a_law_in_every_front(tables):
    """Whichever has the better score."""
    lines = tables.tables()["overview"].splitlines()
    for name in ("Stefan", "porous medium", "advection", "Burgers", "heat"):
        about = [k for k in lines if f"{name}, " in k and "(published_tables" in k]
        laws = [line.split(" | ")[4] for line in about]
        assert laws == ["law in the front", "trained through it"]


def test_the_overview_compares_operators_with_the_same_network_without_a_law(tables):
    ratios = []
    for path in (tables.RESULTS / "boundary" / "quick").glob("*.json"):
        rows = {r["method"]: r for r in json.loads(path.read_text())["results"]}
        (default,) = (r for r in rows.values() if r["is_default"])
        ratios.append(default["relative_l2"] / rows["plain"]["relative_l2"])
    (line,) = (k for k in tables.tables()["overview"].splitlines() if "operators" in k)
    assert float(line.split(" | ")[3]) == pytest.approx(
        np.exp(np.mean(np.log(ratios))), abs=0.0051
    )


def test_the_table_of_calibration_has_the_coverage_of_the_results(tables):
    """On the functions that gave the factor, 95 % intervals hold 95 %."""
    path = tables.RESULTS / "held_out.json"
    rows = json.loads(path.read_text())["results"]
    held = [row for row in rows if row["functions"] == "held out"]
    assert {row["problem"] for row in held} == {
        *("stefan", "pme", "advection", "burgers", "heat")
    }
    for row in held:
        after = np.mean(row["after"]["coverage_behind"])
        assert after == pytest.approx(0.95, abs=0.015)
    cells = {
        tuple(line.split(" | ")[:2]): line.split(" | ")
        for line in tables.tables()["held_out"].splitlines()
    }
    (row,) = (r for r in held if (r["problem"], r["method"]) == ("stefan", "front"))
    (shown,) = (v for k, v in cells.items() if k == ("| Stefan", "law in the front"))
    assert float(shown[3]) == pytest.approx(
        100 * np.mean(row["before"]["coverage_behind"]), abs=0.051
    )
    assert float(shown[4]) == pytest.approx(row["factor"], abs=0.0051)


def test_the_tables_of_real_files_have_the_scores_of_the_examples(tables):
    found = tables.tables()
    content = json.loads((tables.RESULTS / "real_files.json").read_text())
    results = content["results"]
    lines = [line.split(" | ") for line in found["real_rain"].splitlines()][2:]
    for line, row in zip(lines[:-2], results["rain"], strict=True):
        assert float(line[3].strip("| ")) == pytest.approx(row["rmse"], abs=0.0051)
    assert all(row["land_kept"] for row in results["files"])
    assert all(row["error_eps"] <= 4 for row in results["files"])
    for row in results["ocean"]:
        assert row["spread"] == "forecast" or row["heat_content_error"] < 1e-14
