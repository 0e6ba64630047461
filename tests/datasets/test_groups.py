"""Variables in the groups of NetCDF files and Zarr stores."""

import h5netcdf
import numpy as np
import pytest
import xarray as xr

from physcon.cli import main

LAW = "mean: {of: low/surface/ts, equals: 281}"


def dataset(values, name, latitudes):
    latitude = ("lat", latitudes, {"units": "degrees_north"})
    longitude = ("lon", np.arange(4) * 90.0, {"units": "degrees_east"})
    data = xr.Dataset({name: (("time", "lat", "lon"), values.astype("f4"))})
    return data.assign_coords(lat=latitude, lon=longitude)


def inherited(path, data, values):
    """Write a group whose variable has the dimensions of the root."""
    data.to_netcdf(path, engine="h5netcdf")
    with h5netcdf.File(path, "a") as file:
        group = file.create_group("low/surface")
        group.create_variable("ts", ("time", "lat", "lon"), "f4", data=values)


@pytest.mark.parametrize("kind", ["own", "inherited", "zarr"])
def test_a_variable_in_a_group(tmp_path, rng, kind):
    ending = ".zarr" if kind == "zarr" else ".nc"
    source, output = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    root = dataset(rng.normal(280, 5, (2, 3, 4)), "tas", [-60.0, 0, 60])
    latitudes = [-45.0, 45] if kind != "inherited" else [-60.0, 0, 60]
    values = rng.normal(280, 5, (2, len(latitudes), 4))
    inner = dataset(values, "ts", latitudes)
    group = {"group": "low/surface", "mode": "a"}
    options = {"engine": "h5netcdf"}
    if kind == "zarr":
        options = {"engine": "zarr", "consolidated": False}
        root.to_zarr(source, zarr_format=2, consolidated=False)
        inner.to_zarr(source, zarr_format=2, consolidated=False, **group)
    elif kind == "own":
        root.to_netcdf(source, engine="h5netcdf")
        inner.to_netcdf(source, engine="h5netcdf", **group)
    else:
        inherited(source, root, values.astype("f4"))
    with pytest.raises(SystemExit, match=r"name it with its group \(low/surface/ts\)"):
        main(["audit", str(source), "mean: {of: ts, equals: 281}"])
    words = ["constrain", str(source), LAW, "--spread", "uniform", "-o", str(output)]
    main(words)
    with xr.open_dataset(output, group="low/surface", **options) as found:
        faces = np.array(
            [-90.0, 0, 90] if kind != "inherited" else [-90.0, -30, 30, 90]
        )
        zones = np.diff(np.sin(np.deg2rad(faces)))
        means = (found.ts.values.mean(-1, dtype="f8") * zones).sum(-1) / zones.sum()
        np.testing.assert_allclose(means, 281, rtol=4 * np.finfo("f4").eps)
        assert list(found.data_vars) == ["ts"]
    with xr.open_dataset(output, **options) as found:
        assert found.identical(root)
