"""Laws with a named metric do what the fixers of published emulators do."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data" / "fixers.npz"
RESULTS = ROOT / "benchmarks" / "results" / "bench_fixers.json"
MODULES = ("_fixer_states", "_fixer_laws", "_fixer_scores", "bench_fixers")
FIXERS = ("fme_dry_air", "fme_moisture", "fme_advection", "fme_energy")
FIXERS += ("fme_ocean_heat", "credit_mass", "credit_water", "credit_energy")
EPS = float(np.finfo(np.float32).eps)


@pytest.fixture
def benchmark(monkeypatch):
    """The modules of the benchmark, which has the laws of each fixer."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import bench_fixers  # pyright: ignore[reportMissingImports]

    yield bench_fixers
    for name in (*MODULES, "_record", "_history"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", FIXERS)
def test_a_metric_reproduces_the_fixer_to_rounding(benchmark, name):
    """The largest difference is a rounding of float32; the correction is many."""
    with np.load(DATA, allow_pickle=False) as data:
        arrays = {n: data[n].astype(np.float64) for n in data.files}
    theirs = arrays[name]
    mine = benchmark.ours(name, arrays)
    np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
    scale = np.nanmax(np.abs(theirs))
    assert np.nanmax(np.abs(mine - theirs)) <= 1.5 * EPS * scale
    before = arrays[benchmark.CASES[name][2]]
    assert np.nanmax(np.abs(theirs - before)) > 300 * EPS * scale


def test_the_page_shows_the_table_of_the_benchmark(benchmark):
    """The numbers on "Which metric is my fixer?" are those of the JSON."""
    results = json.loads(RESULTS.read_text())["results"]
    assert tuple(results) == FIXERS
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert benchmark.table(results) in page


def test_an_ensemble_scores_the_named_metric_as_the_file_says(benchmark):
    """The scores are computed anew for one of the fixers, without its package."""
    stored = json.loads(RESULTS.read_text())["results"]["fme_energy"]
    found = sys.modules["_fixer_scores"].scores("t1", "uniform")
    for name, value in found.items():
        assert value == pytest.approx(stored[name], rel=1e-6)
    assert found["crps_ensemble"] < found["crps_metric"] < found["crps_before"]
