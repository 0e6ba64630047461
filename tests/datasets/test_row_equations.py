"""Rows solved in JAX, as on an accelerator: the same values as on the host."""

import numpy as np
import pytest
import scipy.sparse as sp
import xarray as xr

import physcon.datasets as pcd
from physcon.datasets import _disjoint, _row_equations, _solve
from physcon.datasets._scaled_rows import Rows, residual, sizes

EPS = np.finfo(np.float64).eps


@pytest.fixture
def accelerated(monkeypatch):
    """Return a function that turns the solver of accelerators on or off."""
    monkeypatch.setattr(_disjoint, "LEAST", 1)

    def choose(chosen):
        monkeypatch.setattr(_disjoint, "on_accelerator", lambda: chosen)

    return choose


def problem(rng, bounded, unit, noise):
    """Three rows of up to 40 values out of 130; some are certain, some bounded."""
    count, terms = 3, 40
    columns = rng.permutation(130)[: count * terms]
    use = rng.random(count * terms) > 0.1
    weights = rng.uniform(0.1, 2, count * terms)
    lines = np.repeat(np.arange(count), terms)
    cells = (lines[use], columns[use])
    matrix = sp.csr_matrix((weights[use], cells), (count, 130))
    mean = rng.normal(10, 5, 130) * unit
    std = np.where(rng.random(130) < 0.1, 0.0, rng.uniform(0.1, 2, 130)) * unit
    lower = np.full(130, -np.inf)
    upper = np.full(130, np.inf)
    if bounded:
        lower[std > 0] = 0.0
        upper[(std > 0) & (rng.random(130) < 0.3)] = 12 * unit
    value = (matrix @ mean) * np.array([1.0, 1.1, 0.9])
    rows = Rows(matrix, value, np.full(count, noise * unit), np.zeros(count, bool))
    return mean, std, lower, upper, rows


@pytest.mark.parametrize("bounded", [False, True])
def test_the_same_values_as_on_the_host(rng, accelerated, bounded):
    for unit in (1e-30, 1.0, 1e30):
        for noise in (0.0, 3.0):
            args = problem(rng, bounded, unit, noise)
            accelerated(False)
            host = _solve.solve(*args)
            accelerated(True)
            assert _disjoint.is_for_device(args[-1])
            found = _solve.solve(*args)
            assert host.good.all()
            assert found.good.all()
            np.testing.assert_allclose(found.values / unit, host.values / unit, 1e-12)
            np.testing.assert_allclose(found.chi_squared, host.chi_squared, 1e-12)
            inside = (found.values >= args[2]) & (found.values <= args[3])
            assert inside[args[1] > 0].all()
            if noise == 0:
                missed = np.abs(residual(args[-1], found.values))
                assert np.all(missed <= EPS * sizes(args[-1], found.values))


def test_rows_out_of_reach_are_not_good(rng, accelerated):
    *prior, rows = problem(rng, True, 1.0, 0.0)
    accelerated(True)
    found = _solve.solve(*prior, rows._replace(value=rows.value * [1, -1, 1]))
    assert found.good.tolist() == [True, False, True]


def test_chunks_with_other_masks_share_one_program(rng, accelerated):
    values = rng.normal(5, 1, (4, 6, 20))
    for k in range(4):
        values[k, k, : 2 + k] = np.nan
    data = xr.Dataset({"t": (("time", "y", "x"), values)})
    law = pcd.laws(
        [pcd.Mean("t", 5.5, ("y", "x"), weights="equal"), pcd.Between("t", 2.0, 8.0)],
        spread=0.5,
    )
    accelerated(True)
    before = _row_equations.solved_rows._cache_size()
    found = pcd.constrain(data.chunk(time=1), law).t.values
    assert _row_equations.solved_rows._cache_size() == before + 1
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    np.testing.assert_allclose(np.nanmean(found, (1, 2)), 5.5, rtol=4 * EPS)
    accelerated(False)
    np.testing.assert_allclose(found, pcd.constrain(data, law).t, rtol=1e-13)
