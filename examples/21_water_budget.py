# %% [markdown]
# # 21. A water budget that closes
#
# The water vapour of the atmosphere changes by evaporation minus precipitation. Daily
# means of a model, or products of different makers, never close this budget exactly.
# Here both rates are corrected so that the global budget closes on every day, each in
# proportion to its uncertainty, while the storage is kept.
#
# The maps are those of the example before, jcm with SPEEDY's physics, from the ninth
# day on. Without that file, a synthetic field of the same layout is used.
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
DAY = 86400.0


# %%
def modelled():
    """Water vapour of the columns, evaporation and precipitation of the model."""
    with xr.open_dataset(FILE, engine="h5netcdf", decode_times=False) as data:
        settled = data.isel(time=slice(8, None))  # the model starts without clouds
        return settled[["water", "evap", "pr"]].load()


def synthetic():
    """Storage that follows from the rates, which are then known with errors only."""
    rng = np.random.default_rng(2)
    lat = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(48)[0]))
    lon = np.arange(96) * 3.75
    warm = np.cos(np.deg2rad(lat))[:, None] ** 2 * np.ones((20, 48, 96))
    evap = 5e-5 * warm * (1 + 0.2 * np.sin(np.deg2rad(3 * lon)))
    rain = 5e-5 * warm * rng.gamma(1.0, 1.0, warm.shape)
    water = 40 * warm + np.cumsum((evap - rain) * DAY, 0)
    dims = ("time", "lat", "lon")
    data = xr.Dataset(
        {
            "water": (dims, water),
            "evap": (dims, evap * (1 + 0.05 * rng.normal(size=(20, 1, 1)))),
            "pr": (dims, rain * (1 + 0.1 * rng.normal(size=(20, 1, 1)))),
        },
        {
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
            "time": ("time", np.arange(20.0), {"units": "days since 2000-01-01"}),
        },
    )
    data.water.attrs["units"] = "kg m-2"
    for name in ("evap", "pr"):
        data[name].attrs["units"] = "kg m-2 s-1"
    return data


data = modelled() if FILE.exists() else synthetic()
data = data.transpose("time", "lat", "lon")

# %% [markdown]
# The law is about the total over the sphere. Precipitation is less certain than
# evaporation: 30 % against 10 % of each value. Where it does not rain, the spread is
# zero, so that dry places stay dry.

# %%
laws = """
laws:
  - budget: {storage: water, inflow: [evap], outflow: [pr], per: total}
  - between: {of: pr, lower: 0}
"""
spread = {"pr": "30%", "evap": "10%"}
print(pcd.audit(data, laws))
fixed = pcd.constrain(data, laws, spread=spread)


def imbalance(data):
    """Storage change minus evaporation plus precipitation, in mm per day."""
    area = np.polynomial.legendre.leggauss(data.sizes["lat"])[1]
    area = xr.DataArray(area, dims="lat", coords={"lat": data.lat}) / 2
    mean = {n: (data[n] * area).sum("lat").mean("lon") for n in ("water", "evap", "pr")}
    change = np.diff(mean["water"].values)
    rates = (mean["evap"] - mean["pr"]).values[1:] * DAY
    return change - rates


before, after = imbalance(data), imbalance(fixed)
print(f"imbalance, mm per day: {np.abs(before).max():.3g} -> {np.abs(after).max():.1e}")
assert np.abs(after).max() < 1e-5 * np.abs(data.pr.values).mean() * DAY
assert float(fixed.pr.min()) >= 0
changes = {}
for name in ("evap", "pr"):
    change = np.abs(fixed[name] - data[name])
    changes[name] = float(change.mean() / np.abs(data[name]).mean())
    print(f"{name:5} mean change {changes[name]:.2%} of its mean")

# %%
day = int(np.abs(before).argmax()) + 1
label = "precipitation (mm d$^{-1}$)"
shown = {
    "before": data.pr.isel(time=day) * DAY,
    "after": fixed.pr.isel(time=day) * DAY,
}
change = shown["after"] - shown["before"]
evaporation = (fixed.evap - data.evap).isel(time=day) * DAY
title = f"before, day {day}: imbalance {before[day - 1]:.3f} mm/d"
unit = "evaporation (mm d$^{-1}$)"
maps = [
    Map(title, shown["before"].values, label),
    Map("after: the global budget closes", shown["after"].values, label),
    Map("correction of precipitation", change.values, label, "change"),
    Map("correction of evaporation", evaporation.values, unit, "change of it"),
]
Path("out").mkdir(exist_ok=True)
maps_figure(Path("out/21_water_budget.png"), maps, data.lon.values, data.lat.values)
