# %% [markdown]
# # 19. The heat content of the ocean
#
# A forecast of the sea surface temperature keeps February's map for March. The heat
# that the upper ten metres of the ocean hold in March is known, for instance from
# floats. The forecast is corrected so that its heat content is that one. Where does the
# correction go? That is what the spread decides, and it matters.
#
# The maps are three months of the ocean model NEMO, on a curvilinear grid with land:
#
# ```sh
# pip install --no-deps --target real iris-sample-data
# PHYSCON_REAL_FILES=real python examples/19_ocean_heat_content.py
# ```
#
# Without them, a synthetic ocean of the same layout is used. [](../../real_data.md)
# shows the figure made from the real maps.

# %%
import os
from pathlib import Path

import numpy as np
import xarray as xr

import physcon.datasets as pcd
from physcon.report import Map, maps_figure
from physcon.sphere import polygon_areas

FOLDER = Path(os.environ.get("PHYSCON_REAL_FILES", "real"))
MONTHS = ("20150101-20150201", "20150201-20150301", "20150301-20150401")
FILE = "iris_sample_data/sample_data/NEMO/nemo_1m_{}_grid-T.nc"
real = (FOLDER / FILE.format(MONTHS[0])).exists()
print("real maps" if real else "synthetic maps")


# %%
def month(number):
    """One month of NEMO: temperature, and the corners of the cells."""
    path = FOLDER / FILE.format(MONTHS[number])
    with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as data:
        names = ["tos", "nav_lat", "nav_lon", "bounds_lat", "bounds_lon"]
        return data[names].isel(time_counter=0).load()


def synthetic(number):
    """An ocean with two continents, on a grid that is turned near the pole."""
    edges = np.meshgrid(
        np.linspace(-78, 88, 61), np.linspace(0, 360, 73), indexing="ij"
    )
    lat_edges = edges[0]
    lon_edges = edges[1] + 20 * (np.maximum(edges[0], 0) / 88) ** 3
    corners = [
        np.stack([e[:-1, :-1], e[:-1, 1:], e[1:, 1:], e[1:, :-1]], -1)
        for e in (lat_edges, lon_edges)
    ]
    lat, lon = (c.mean(-1) for c in corners)
    season = (number - 1) * np.sin(np.deg2rad(lat)) * (1 + np.cos(np.deg2rad(lon)) / 2)
    tos = 28 * np.cos(np.deg2rad(lat)) ** 2 - 1 - 1.2 * season
    land = (np.abs(lon - 100) < 25) & (np.abs(lat) < 50)
    land |= (np.abs(lon - 280) < 20) & (lat > -40)
    about = {"units": "degree_C", "coordinates": "nav_lat nav_lon"}
    return xr.Dataset(
        {
            "tos": (("y", "x"), np.where(land, np.nan, tos).astype("f4"), about),
            "bounds_lat": (("y", "x", "nvertex"), corners[0]),
            "bounds_lon": (("y", "x", "nvertex"), corners[1]),
        },
        {
            "nav_lat": (
                ("y", "x"),
                lat,
                {"units": "degrees_north", "bounds": "bounds_lat"},
            ),
            "nav_lon": (
                ("y", "x"),
                lon,
                {"units": "degrees_east", "bounds": "bounds_lon"},
            ),
        },
    )


january, february, march = (month(k) if real else synthetic(k) for k in range(3))

# %% [markdown]
# The heat in a column of ten metres is 4.1e7 J m-2 for each degree. Its total over the
# ocean is a law about that variable, in joules. Areas come from the corners of cells.

# %%
HEAT = 1026 * 3990 * 10.0  # density, specific heat, depth: J m-2 per degree


def heat(data):
    """The data with the heat of each column instead of the temperature."""
    new = data.drop_vars("tos")
    new["heat"] = (data.tos.astype("f8") * HEAT).assign_attrs(data.tos.attrs)
    new.heat.attrs["units"] = "J m-2"
    return new


area = polygon_areas(march.bounds_lat.values, march.bounds_lon.values)
area = np.where(np.isnan(march.tos), 0.0, area)
known = float((heat(march).heat.fillna(0.0).values * area).sum())
law = f"total: {{of: heat, equals: {known!r}}}"
forecast = heat(february)
print(pcd.audit(forecast, law))

# %% [markdown]
# Three statements of the spread. `uniform` adds the same heat everywhere, and
# `proportional` scales by one ratio: these are the usual fixers. The third uses what is
# known: March will differ from February about as much as February did from January.

# %%
change = np.abs(heat(february).heat - heat(january).heat)
forecast["heat_std"] = (change + 0.05 * HEAT).assign_attrs(units="J m-2")
corrected = {
    "uniform": pcd.constrain(forecast, law, spread="uniform"),
    "proportional": pcd.constrain(forecast, law, spread="proportional"),
    "change of a month": pcd.constrain(forecast, law, spread="heat_std"),
}


def score(data):
    """Error of the heat content, and of the map in degrees."""
    field = data.heat.fillna(0.0).values
    total = abs((field * area).sum() - known) / abs(known)
    wrong = (field - heat(march).heat.fillna(0.0).values) / HEAT
    return total, float(np.sqrt((wrong**2 * area).sum() / area.sum()))


print(f"{'':20}{'heat content':>14}{'map (degrees)':>16}")
compared = {"forecast": forecast, **corrected}
scores = {name: score(data) for name, data in compared.items()}
for name, (total, rmse) in scores.items():
    print(f"{name:20}{total:14.1e}{rmse:16.4f}")
    assert name == "forecast" or total < 1e-14
    assert bool((compared[name].heat.isnull() == march.tos.isnull()).all())

# %% [markdown]
# The map before and after, for the third spread.

# %%
best = corrected["change of a month"]
maps = [
    Map("forecast: February's map", forecast.heat / HEAT, "temperature (°C)"),
    Map("after the correction", best.heat / HEAT, "temperature (°C)"),
    Map("correction", (best.heat - forecast.heat) / HEAT, "change (°C)", "change"),
    Map(
        "what would have been needed",
        (heat(march).heat - forecast.heat) / HEAT,
        "change (°C)",
        "change that was needed",
    ),
]
maps = [Map(m.title, m.values.values, m.label, m.scale) for m in maps]
Path("out").mkdir(exist_ok=True)
rows, columns = (np.arange(n) for n in march.tos.shape)
labels = ("index of the grid along x", "index of the grid along y")
maps_figure(Path("out/19_ocean_heat_content.png"), maps, columns, rows, labels=labels)
