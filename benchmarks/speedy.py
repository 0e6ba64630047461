"""Twenty days of an atmosphere model, as a file for the examples on real maps.

Runs jcm with SPEEDY's physics (T31, 8 levels) on the boundary data inside of its
package and writes daily means: precipitation, evaporation, water vapour of columns.

    pip install jcm
    python benchmarks/speedy.py real/speedy.nc
"""

import sys
from pathlib import Path

import numpy as np
import xarray as xr

GRAVITY = 9.80616
PRESSURE = 1e5  # Pa, the unit of the model's surface pressure


def simulated() -> xr.Dataset:
    """Run the model for twenty days."""
    import jcm
    from jcm.configurations import load

    boundary = Path(jcm.__file__).parent / "data/bc/t63"
    options = {
        "run.total_time": 20,
        "run.save_interval": 1,
        "terrain.file": str(boundary / "terrain.nc"),
        "forcing.file": str(boundary / "forcing.nc"),
    }
    experiment = load("speedy-t31", **options)
    arguments = dict(experiment.run_kwargs) | {"output_averages": True}
    return experiment.model.run(**arguments).to_xarray()


def water_cycle(data: xr.Dataset) -> xr.Dataset:
    """Return storage and rates of water in kg m-2 and kg m-2 s-1."""
    middles = data.level.values[::-1]  # from the top, where sigma is zero
    edges = [0.0]
    for middle in middles:
        edges.append(2 * middle - edges[-1])
    thickness = xr.DataArray(np.diff(edges)[::-1], dims="level")
    column = (data.specific_humidity * thickness).sum("level")
    found = xr.Dataset(
        {
            "water": column * data.normalized_surface_pressure * PRESSURE / GRAVITY,
            "pr": data["surface_exchange.precipitation"],
            "evap": data["surface_exchange.evaporation"],
        }
    )
    found.water.attrs["units"] = "kg m-2"
    for name in ("pr", "evap"):
        found[name].attrs["units"] = "kg m-2 s-1"
    found["lat"].attrs["units"] = "degrees_north"
    found["lon"].attrs["units"] = "degrees_east"
    return found.drop_vars("level", errors="ignore").astype(np.float32)


if __name__ == "__main__":
    water_cycle(simulated()).to_netcdf(sys.argv[1], engine="h5netcdf")
