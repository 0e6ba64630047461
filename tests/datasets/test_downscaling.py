"""Block means of precipitation: areas on the sphere, bounds, and dry blocks."""

import numpy as np
import pytest
import xarray as xr

import physcon.datasets as pcd

LAWS = "laws: [{block_mean: {of: pr, like: pr_coarse}}, {between: {of: pr, lower: 0}}]"


@pytest.mark.parametrize("dry", [0.0, 1e-60, 1e-12, 1e-3])
def test_blocks_that_dry_out(rng, dry):
    """Values that become nearly zero are rounded like what they were before."""
    lat, lon = np.arange(-75.0, 76.0, 30.0), np.arange(0.0, 360.0, 45.0)
    pr = rng.gamma(0.7, 5.0, (6, 8))
    coarse = np.full((3, 4), 2.0)
    coarse[1, 1:3] = dry
    data = xr.Dataset(
        {
            "pr": (("lat", "lon"), pr),
            "pr_coarse": (("lat_coarse", "lon_coarse"), coarse),
            "pr_std": (("lat", "lon"), 0.5 + pr / 3),
        },
        {
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    )
    edges = np.sin(np.deg2rad(np.arange(-90, 91, 30)))
    area = np.diff(edges)[:, None] * np.ones(8)
    for spread in ("pr_std", "proportional", "uniform"):
        found = pcd.constrain(data, LAWS, spread=spread).pr.values
        assert found.min() >= 0
        whole = area.reshape(3, 2, 4, 2).sum((1, 3))
        mean = (found * area).reshape(3, 2, 4, 2).sum((1, 3)) / whole
        np.testing.assert_allclose(mean, coarse, rtol=1e-14, atol=1e-14)
