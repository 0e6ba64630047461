"""Laws across dask chunks: the same numbers as in memory, one chunk at a time."""

import dask.array
import dask.config
import numpy as np
import pytest
import xarray as xr

import physcon.datasets as pcd
from physcon.datasets import _block, _constrain, _files, _work


@pytest.fixture
def data(rng):
    """Twelve days of rain and a store of water, over sea and land."""
    shape = (12, 3, 4)
    dims = ("time", "lat", "lon")
    lat = xr.Variable("lat", [-60.0, 0, 60], {"units": "degrees_north"})
    lon = xr.Variable("lon", np.arange(4) * 90.0, {"units": "degrees_east"})
    days = xr.Variable("time", np.arange(12.0), {"units": "days since 2001-01-01"})
    pr = rng.gamma(1, 3e-5, shape)
    pr[:, 1, 2] = np.nan
    pr[4:7, 0, 0] = np.nan  # a mask that changes in time
    data = xr.Dataset(
        {
            "pr": (dims, pr),
            "evap": (dims, rng.gamma(2, 1.5e-5, shape)),
            "w": (dims, rng.gamma(5, 5, shape)),
            "pr_std": (dims, rng.uniform(1e-6, 1e-5, shape)),
            "days": ("time", rng.uniform(0.5, 1.5, 12)),
            "year": (("lat", "lon"), rng.gamma(4, 1e-4, (3, 4))),
            "daily": ("time", rng.gamma(9, 1e9, 12)),
            "cap": (dims[1:], np.full((3, 4), 9e-5)),
        }
    )
    return data.assign_coords(lat=lat, lon=lon, time=days)


BUDGET = {"storage": "w", "inflow": [{"of": "pr", "times": 1.0}], "outflow": ["evap"]}
CASES = {
    "year of each cell": (
        [
            {
                "total": {
                    "of": "pr",
                    "over": ["time"],
                    "equals": "year",
                    "weights": "days",
                }
            }
        ],
        {"pr": "pr_std"},
    ),
    "global year": (
        [{"total": {"of": "pr", "over": list(("time", "lat", "lon")), "equals": 3e10}}],
        "proportional",
    ),
    "mean of the year": (
        [{"mean": {"of": "pr", "over": ["time", "lat", "lon"], "equals": 4e-5}}],
        {"pr": "pr_std"},
    ),
    "year and days": (
        [
            {"total": {"of": "pr", "equals": "daily"}},
            {"mean": {"of": "pr", "over": ["time"], "equals": 4e-5, "std": 1e-6}},
        ],
        {"pr": "20%"},
    ),
    "uncertain year": (
        [{"mean": {"of": "pr", "over": ["time"], "equals": 4e-5, "std": 1e-6}}],
        {"pr": "pr_std"},
    ),
    "bounded year": (
        [
            {"mean": {"of": "pr", "over": ["time", "lat", "lon"], "equals": 4e-5}},
            {"between": {"of": "pr", "lower": 0, "upper": "cap"}},
        ],
        {"pr": 5e-5},
    ),
    "budget": (
        [{"budget": BUDGET | {"per": "total"}}, {"between": {"of": "pr", "lower": 0}}],
        {"w": 0.5, "pr": "10%", "evap": 1e-6},
    ),
    "start of the steps": (
        [{"budget": BUDGET | {"per": "total", "fluxes": "start"}}],
        {"w": 0.5, "pr": "10%"},
    ),
    "initial": ([{"total": {"of": "w", "equals": "initial"}}], "uniform"),
    "columns": ([{"budget": BUDGET}], {"w": 0.5, "pr": "10%", "evap": 1e-6}),
}


CHUNKS = [(case, (1, 4, 7)) for case in CASES] + [("budget", 5), ("initial", 5)]


@pytest.mark.parametrize(("case", "chunk"), CHUNKS)
def test_the_same_as_in_memory(data, case, chunk):
    laws, spread = CASES[case]
    laws = pcd.laws({"laws": laws, "spread": spread, "coordinates": "centres"})
    whole = pcd.constrain(data, laws)
    lazy = pcd.constrain(data.chunk(time=chunk), laws)
    assert lazy.pr.chunks is not None
    found = lazy.compute()
    assert list(found.data_vars) == list(data.data_vars)
    for name in data.data_vars:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-9, err_msg=name)
    changed = [n for n in ("pr", "w") if not whole[n].equals(data[n])]
    assert changed
    if case != "uncertain year":
        assert pcd.audit(found, laws).laws[0].violated_before == 0


def test_no_more_than_a_chunk_is_in_memory(data, monkeypatch):
    """Each task sees one chunk and, for a budget, a day before and after it."""
    from physcon.datasets import _passes

    seen = []

    def watched(fn):
        def call(part, *rest):
            assert "other" not in part  # large, and no law reads it
            seen.append(part.sizes["time"])
            return fn(part, *rest)

        return call

    for name in ("measured", "corrected"):
        monkeypatch.setattr(_passes, name, watched(getattr(_passes, name)))
    laws, spread = CASES["budget"]
    laws = pcd.laws({"laws": laws[:1], "spread": spread})
    with dask.config.set(scheduler="synchronous"):
        wide = dask.array.zeros((12, 10**7), chunks=(3, -1))
        data = data.chunk(time=3).assign(other=(("time", "z"), wide))
        lazy = pcd.constrain(data, laws)
        assert "other" in lazy
        assert sorted(seen) == [4, 4, 5, 5]
        lazy.w.compute()
        assert max(seen) == 5


def test_shared_rows_that_no_correction_meets(data):
    law = "total: {of: pr, over: [time], equals: year, weights: days}"
    certain = data.assign(pr_std=data.pr_std * (data.lat != 0)).chunk(time=4)
    with pytest.raises(ValueError, match="total of pr' within reach"):
        pcd.constrain(certain, law, spread={"pr": "pr_std"})
    laws = [pcd.Total("pr", 1.0, ("time",), "days"), pcd.Between("pr", 0.0, 1e-4)]
    with pytest.raises(ValueError, match="within reach"):
        pcd.constrain(data.chunk(time=4), laws, spread=1e-5)


@pytest.mark.parametrize("times", [0, 1])
def test_a_store_with_initial_totals_is_written_block_by_block(data, tmp_path, times):
    from physcon.cli import main

    short = data[["w"]].isel(time=slice(0, times))
    short.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    law = "total: {of: w, equals: initial}"
    paths = [str(tmp_path / name) for name in ("a.nc", "b.nc")]
    main(["constrain", paths[0], law, "--spread", "uniform", "-o", paths[1]])
    found = xr.load_dataset(paths[1], engine="h5netcdf", decode_times=False)
    np.testing.assert_array_equal(found.w, pcd.constrain(short, law, "uniform").w)
    assert list(found.data_vars) == ["w"]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_files_in_blocks_are_constrained_as_in_memory(
    data, tmp_path, monkeypatch, number
):
    """A block of a file holds two to six days, whatever the laws tie together."""
    laws, spread = list(CASES.values())[number]
    laws = pcd.laws({"laws": laws, "spread": spread, "coordinates": "centres"})
    whole, expected = _constrain.constrain_with_report(data, laws)
    monkeypatch.setattr(_work, "VALUES_AT_ONCE", 75)
    source, output = write(data, tmp_path, number)
    audit = _files.audit_file(source, laws)
    monkeypatch.setattr(_block, "constrain_block", None)  # not in one piece
    report = _files.constrain_dataset_file(source, output, laws)
    with _files.opened(output) as found:
        for name in data.data_vars:
            np.testing.assert_allclose(found[name], whole[name], rtol=1e-9)
        assert found.pr.encoding.get("preferred_chunks", {}).get("time", 5) == 5
    for k, law in enumerate(expected.laws):
        same(report.laws[k], law, ("before", "found_before", "wanted"))
        same(audit.laws[k], law, ("before",))
        assert report.laws[k].largest_after <= 1e-9 * scale(law) + law.largest_after
    for new, old in zip(report.variables, expected.variables, strict=True):
        assert new.variable == old.variable
        np.testing.assert_allclose(new.norm, old.norm, rtol=1e-9)
        np.testing.assert_allclose(new.chi_squared, old.chi_squared, rtol=1e-9)
        assert new.points == old.points


def write(data, folder, number):
    """Write a NetCDF file, or a store in chunks of five days."""
    ending = ".zarr" if number % 2 else ".nc"
    source, output = folder / f"in{ending}", folder / f"out{ending}"
    if number % 2:
        chunks = {"pr": {"chunks": (5, 3, 4)}, "w": {"chunks": (5, 3, 4)}}
        data.to_zarr(source, encoding=chunks, zarr_format=2)
    else:
        data.to_netcdf(source, engine="h5netcdf")
    return source, output


def same(new, old, lists):
    assert new.law == old.law
    assert new.count == old.count
    assert new.along == old.along
    assert new.violated_before == old.violated_before
    # Rows where some are missing come in the order of the blocks.
    order = np.sort if list(old.along) == ["rows"] else np.asarray
    for name in lists:
        small = 1e-12 * scale(old)
        found, expected = (order(getattr(report, name)) for report in (new, old))
        np.testing.assert_allclose(found, expected, 1e-9, small)
    if old.times is not None:
        assert new.times.labels == old.times.labels
        before = old.times.values["before"]
        np.testing.assert_allclose(new.times.values["before"], before, 1e-9)


def scale(law):
    return max([1e-300, *map(abs, law.wanted), *map(abs, law.found_before)])


@pytest.mark.parametrize("chunks", [{"lat": 3}, {"lon": (1, 3, 1)}])
@pytest.mark.parametrize("kind", ["mean", "total"])
def test_cells_at_the_ends_of_chunks_are_those_of_the_whole_grid(rng, chunks, kind):
    """Areas follow from all latitudes and longitudes, not from those of a chunk."""
    lat = ("lat", [-80.0, -50, -5, 10, 42, 81], {"units": "degrees_north"})
    lon = ("lon", [0.0, 60, 130, 220, 290], {"units": "degrees_east"})
    field = xr.Dataset({"t": (("lat", "lon"), rng.normal(280, 9, (6, 5)))})
    field = field.assign_coords(lat=lat, lon=lon)
    law = {kind: {"of": "t", "over": ["lat", "lon"], "equals": 281.0}}
    whole = pcd.constrain(field, law, 1.0)
    lazy = pcd.constrain(field.chunk(chunks), law, 1.0)
    np.testing.assert_allclose(lazy.t, whole.t, rtol=1e-10)
    assert lazy.t.attrs == field.t.attrs
