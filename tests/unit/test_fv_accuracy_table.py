"""The tables of error against time have the numbers of the benchmark's file."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "bench_fv_accuracy.json"
PROBLEMS = json.loads(RESULTS.read_text())["results"]["problems"]
LIMITERS = ("minmod", "van_leer", "mc", "superbee", "koren")
STEPS = ("ssp_rk3", "hancock")
#: The schemes of the problem in two dimensions.
QUADRANTS = {f"muscl {name}, hllc, {step}" for name in LIMITERS for step in STEPS} | {
    "muscl van_leer conservative, hllc, hancock",
    "muscl van_leer characteristic, hllc, ssp_rk3",
}


@pytest.fixture
def shown(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import fv_accuracy_table  # pyright: ignore[reportMissingImports]

    lines = fv_accuracy_table.tables(RESULTS).splitlines()
    yield [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    del sys.modules["fv_accuracy_table"]


def test_every_row_shows_its_error(shown):
    expected = sorted(
        (row["scheme"], "fails" if None in row["errors"] else f"{row['errors'][1]:.3g}")
        for rows in PROBLEMS.values()
        for row in rows
    )
    found = [cells[:2] for cells in shown if cells[0] not in ("scheme", "---")]
    assert sorted(map(tuple, found)) == expected


def test_a_reference_says_how_far_another_scheme_is_from_it(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import fv_accuracy_table  # pyright: ignore[reportMissingImports]

    text = fv_accuracy_table.tables(RESULTS)
    del sys.modules["fv_accuracy_table"]
    references = json.loads(RESULTS.read_text())["results"]["references"]
    assert {"blasts", "shu_osher"} <= references.keys()
    for found in references.values():
        assert found["scheme"] != found["check"]
        shown = (
            f"{found['check']} there differs from it by {found['difference'][1]:.2g}"
        )
        assert shown in text


def test_the_time_for_the_defaults_error_is_one_for_the_default(shown):
    default = json.loads(RESULTS.read_text())["results"]["default"]
    own = [cells[3] for cells in shown if cells[0] == default]
    assert own == ["1"] * len(PROBLEMS)


def test_the_file_has_every_problem_and_scheme_of_the_benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import bench_fv_accuracy  # pyright: ignore[reportMissingImports]

    assert list(PROBLEMS) == list(bench_fv_accuracy.CASES)
    every = list(bench_fv_accuracy.schemes())
    for name, rows in PROBLEMS.items():
        found = [row["scheme"] for row in rows]
        # In two dimensions a run of all schemes takes an hour.
        expected = (
            [s for s in every if s in QUADRANTS] if name == "quadrants" else every
        )
        assert found == expected


def test_the_default_of_a_solve_is_the_scheme_that_the_tables_recommend():
    """MUSCL with mc and MUSCL-Hancock: the least error for its time, over all."""
    best = {}
    for rows in PROBLEMS.values():
        times = {row["scheme"]: row for row in rows}
        hancock = times["muscl mc, hllc, hancock"]
        runge_kutta = times["muscl mc, hllc, ssp_rk3"]
        assert hancock["errors"][1] < runge_kutta["errors"][1]
        assert hancock["seconds"][1] < runge_kutta["seconds"][1]
        for name in LIMITERS:
            error = times[f"muscl {name}, hllc, hancock"]["errors"][1]
            best[name] = best.get(name, 1.0) * error
    assert min(best, key=best.get) == "mc"


def test_the_page_includes_the_tables():
    page = (ROOT / "docs" / "finite_volumes.md").read_text()
    settings = (ROOT / "docs" / "conf.py").read_text()
    assert "{include} generated/fv_accuracy.md" in page
    assert '"fv_accuracy.md"' in settings
