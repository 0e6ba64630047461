"""Commands that work on named variables in NumPy do not wait for JAX to be imported."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

CODE = """
import sys
from physcon.cli import main
main(sys.argv[1:])
found = {"jax", "equinox", "jaxtyping"} & set(sys.modules)
assert not found, found
"""


@pytest.mark.parametrize("command", ["audit", "constrain"])
def test_small_files_need_no_jax(tmp_path, command):
    lat = ("lat", [-60.0, 0.0, 60.0], {"units": "degrees_north"})
    lon = ("lon", [0.0, 90.0, 180.0, 270.0], {"units": "degrees_east"})
    values = np.linspace(1.0, 2.0, 12).reshape(3, 4)
    data = xr.Dataset({"q": (("lat", "lon"), values)}, {"lat": lat, "lon": lon})
    source = tmp_path / "in.nc"
    output = tmp_path / "out.nc"
    data.to_netcdf(source)
    arguments = [command, str(source), "mean: {of: q, equals: 1.7}"]
    if command == "constrain":
        arguments += ["--spread", "uniform", "-o", str(output)]
    whole = [sys.executable, "-W", "error", "-c", CODE, *arguments]
    done = subprocess.run(whole, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    if command == "constrain":
        # The zones between the midpoints of the latitudes; sin 30° = 1/2.
        area = np.array([0.5, 1.0, 0.5])[:, None] * np.ones(4) / 8
        with xr.open_dataset(output) as found:
            assert abs(float((area * found.q.values).sum()) - 1.7) < 1e-12
