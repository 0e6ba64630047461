# %% [markdown]
# # 20. Downscaling precipitation on the sphere
#
# A coarse model knows the mean precipitation of large cells. A finer map is wanted
# whose means over those cells are exactly these, with areas on the sphere, and which is
# never negative. The first guess of the fine map is the pattern of the days before.
#
# The maps are twenty days of the atmosphere model jcm with SPEEDY's physics (T31, on a
# Gaussian grid). They are made in a minute, from boundary data inside of its package:
#
# ```sh
# pip install jcm
# python benchmarks/speedy.py real/speedy.nc
# PHYSCON_REAL_FILES=real python examples/20_rain_downscaling.py
# ```
#
# Without that file, a synthetic field of the same layout is used.
# [](../../real_data.md) shows the figure made from the model's maps.

# %%
import os
from pathlib import Path

import numpy as np
import xarray as xr

import physcon.datasets as pcd
from physcon.report import Map, maps_figure

FILE = Path(os.environ.get("PHYSCON_REAL_FILES", "real")) / "speedy.nc"
print("maps of a model" if FILE.exists() else "synthetic maps")


# %%
def modelled():
    """Daily precipitation of the model, in kg m-2 per day."""
    with xr.open_dataset(FILE, engine="h5netcdf", decode_times=False) as data:
        return data.pr.load() * 86400.0


def synthetic():
    """Bands of rain that move, on the same grid."""
    rng = np.random.default_rng(1)
    lat = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(48)[0]))
    lon = np.arange(96) * 3.75
    day = np.arange(20.0)[:, None, None]
    phi = np.deg2rad(lat)[:, None]
    phase = np.deg2rad(lon) * 5 - 0.4 * day
    storms = np.maximum(0, np.sin(phase + 3 * phi)) * np.exp(-((phi - 0.8) ** 2) / 0.08)
    south = np.exp(-((phi + 0.8) ** 2) / 0.1)
    storms = storms + np.maximum(0, np.sin(phase + 1)) * south
    tropics = np.exp(-(phi**2) / 0.02) * (1 + np.sin(2 * np.deg2rad(lon) + 0.1 * day))
    noise = rng.gamma(0.7, 1.4, (20, 48, 96))
    return xr.DataArray(
        6 * (storms + tropics) * noise,
        dims=("time", "lat", "lon"),
        coords={
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    )


rain = modelled() if FILE.exists() else synthetic()
rain = rain.transpose("time", "lat", "lon").clip(0).assign_attrs(units="kg m-2 d-1")

# %% [markdown]
# The truth is the last day. The coarse model sees means over blocks of 4 x 4 cells. The
# first guess is the mean of the days before. Three spreads are compared: the same
# everywhere, in proportion to the guess, and the deviation of the days before. The
# first guess has blocks without any rain; the margin of 0.02 lets rain enter them.
# (`spread="proportional"`, which scales by a ratio, can't, and an error says so.)

# %%
BLOCK = 4
truth = rain.isel(time=-1)
area = np.polynomial.legendre.leggauss(truth.sizes["lat"])[1]
area = xr.DataArray(area, dims="lat", coords={"lat": truth.lat})
blocks = {"lat": BLOCK, "lon": BLOCK}
total = (truth * area).coarsen(blocks).sum()
coarse = total / (area.broadcast_like(truth)).coarsen(blocks).sum()
coarse = coarse.rename(lat="lat_coarse", lon="lon_coarse")

before = rain.isel(time=slice(None, -1))
data = xr.Dataset({"pr": before.mean("time"), "pr_coarse": coarse})
data["pr_std"] = before.std("time") + 0.02
data["pr_share"] = data.pr + 0.02
for name in data.data_vars:
    data[name].attrs["units"] = "kg m-2 d-1"
for name in ("lat", "lon"):
    data[name].attrs["units"] = rain[name].attrs["units"]

# %% [markdown]
# Two laws together: block means on the sphere, and no negative rain.

# %%
laws = """
laws:
  - block_mean: {of: pr, like: pr_coarse}
  - between: {of: pr, lower: 0}
"""
print(pcd.audit(data, laws))
fixed = {
    "the same everywhere": pcd.constrain(data, laws, spread="uniform"),
    "in proportion": pcd.constrain(data, laws, spread="pr_share"),
    "deviation of the days": pcd.constrain(data, laws, spread="pr_std"),
}


def score(field):
    """Largest error of a block mean, smallest value, error of the map."""
    means = (field * area).coarsen(blocks).sum()
    means = means / area.broadcast_like(field).coarsen(blocks).sum()
    error = np.abs(means.values - coarse.values).max()
    weights = area.broadcast_like(field).values
    wrong = np.sum((field - truth).values ** 2 * weights) / weights.sum()
    return float(error), float(field.min()), float(np.sqrt(wrong))


flat = xr.zeros_like(truth) + np.kron(coarse.values, np.ones((BLOCK, BLOCK)))
rows = {"first guess": data.pr, "blocks, not downscaled": flat}
rows |= {name: each.pr for name, each in fixed.items()}
print(f"{'':24}{'block means':>12}{'smallest':>10}{'RMSE':>8}  (kg m-2 per day)")
scores = {name: score(field) for name, field in rows.items()}
for name, (error, least, rmse) in scores.items():
    print(f"{name:24}{error:12.1e}{least:10.3f}{rmse:8.3f}")
    if name in fixed:
        assert error < 1e-4
        assert least >= 0

# %%
best = fixed["deviation of the days"].pr
label = "precipitation (kg m$^{-2}$ d$^{-1}$)"
maps = [
    Map("first guess: mean of the days before", data.pr.values, label),
    Map("after: block means and bounds hold", best.values, label),
    Map("what the coarse model knows", flat.values, label),
    Map("correction", (best - data.pr).values, label, "change"),
]
Path("out").mkdir(exist_ok=True)
maps_figure(
    Path("out/20_rain_downscaling.png"), maps, truth.lon.values, truth.lat.values
)
