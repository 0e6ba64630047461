"""A named metric and an ensemble's spread compared on held-out months.

Synthetic ensembles of 20 members and 24 months. Errors are ten times larger in some
regions than in others, and 36 % of their variance is shared by all members, so that
each member misses the total. The truth of the total is known. The scores are those of
the last twelve months; the spread of each cell is that of the members in the same month
("ensemble"), or their mean spread over the first twelve months ("climatology").
"""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import physcon.datasets as pcd

MEMBERS, MONTHS = 20, 24
SPACE = ("lat", "lon")
#: Variable of a state -> mean, seasonal amplitude, least error; multiplicative or not.
FIELDS: dict[str, tuple[float, float, float, bool]] = {
    "ps1": (98500.0, 600.0, 40.0, False),
    "rain": (3e-5, 0.4, 0.08, True),
    "t1": (288.0, 8.0, 0.2, False),
    "theta1": (14.0, 3.0, 0.05, False),
}


def ensemble(variable: str) -> xr.Dataset:
    """Return members ``x``, the truth, and cell areas, on a grid of 12 by 24 cells."""
    rng = np.random.default_rng(list(FIELDS).index(variable))
    mean, season, error, product = FIELDS[variable]
    lat = -90 + (np.arange(12) + 0.5) * 15
    area = np.cos(np.deg2rad(lat))[:, None] * np.ones(24)
    phase = 2 * np.pi * np.arange(MONTHS) / 12
    wave = np.sin(np.deg2rad(lat))[:, None] * np.ones(24)
    cycle = np.cos(phase)[:, None, None] * wave
    noise = _smooth(rng, (MONTHS, 12, 24))
    size = error * 10 ** _ramp(_smooth(rng, (12, 24)))
    shared = _smooth(rng, (MONTHS, 1, 12, 24)) + rng.normal(size=(MONTHS, 1, 1, 1))
    own = _smooth(rng, (MONTHS, MEMBERS, 12, 24))
    errors = size * (0.6 * shared / np.sqrt(2) + 0.8 * own)
    if product:
        truth = mean * np.exp(season * cycle + 0.5 * noise)
        members = truth[:, None] * np.exp(errors)
    else:
        truth = mean + season * (cycle + 0.3 * noise)
        members = truth[:, None] + errors
    data = xr.Dataset({"x": (("time", "member", *SPACE), members)})
    data["truth"] = ("time", *SPACE), truth
    data["area"] = SPACE, area
    return data


def _smooth(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return random fields of unit variance, correlated over a few cells."""
    x = np.fft.rfft2(rng.normal(size=shape))
    rows = np.fft.fftfreq(shape[-2])[:, None]
    columns = np.fft.rfftfreq(shape[-1])
    x *= np.exp(-((rows**2 + columns**2) / (2 * 0.1**2)))
    found = np.fft.irfft2(x, shape[-2:])
    return found / found.std((-2, -1), keepdims=True)


def _ramp(x: np.ndarray) -> np.ndarray:
    """Return the rank of each value, from 0 to 1."""
    return x.ravel().argsort().argsort().reshape(x.shape) / (x.size - 1)


def scores(variable: str, metric: str) -> dict[str, float]:
    """Return the CRPS and the size of the correction, for a metric and for a spread."""
    data = ensemble(variable)
    train, test = data.isel(time=slice(0, 12)), data.isel(time=slice(12, None))
    return _scored(test, train.x.std("member", ddof=1).mean("time"), metric)


def winters(path: Path, metric: str) -> dict[str, float]:
    """Return the scores for 25 winters of the Pacific, held out, of a file of eofs.

    The members are the anomalies of sea surface temperature in the 25 winters before,
    and the mean of each held-out winter is known. "climatology" and "ensemble" are the
    same here.
    """
    with xr.open_dataset(path, engine="scipy", decode_times=False) as file:
        sst = file.sst.load().rename(latitude="lat", longitude="lon")
    train: Any = sst.isel(time=slice(0, 25)).rename(time="member")
    train = train.drop_vars("member")
    truth = sst.isel(time=slice(25, None))
    test = xr.Dataset({"truth": truth})
    test["x"] = train.expand_dims(time=truth.time).transpose("time", "member", *SPACE)
    area = np.cos(np.deg2rad(truth.lat)) * xr.ones_like(truth.lon)
    test["area"] = area.where(truth.isel(time=0, drop=True).notnull(), 0.0)
    return _scored(test, train.std("member", ddof=1), metric)


def _scored(test: Any, std: xr.DataArray, metric: str) -> dict[str, float]:
    """Return the scores of held-out months whose mean is known."""
    weights = test.area / test.area.sum()
    test["known"] = (test.truth * weights).sum(SPACE)
    test["std"] = std
    law = {"of": "x", "over": list(SPACE), "weights": "area", "equals": "known"}
    laws = {"laws": [{"mean": law}]}
    found = {"crps_before": crps(test.x, test.truth, weights)}
    spreads = {
        "metric": metric,
        "climatology": {"x": "std"},
        "ensemble": {"x": {"ensemble": "member"}},
    }
    for short, spread in spreads.items():
        fixed: Any = pcd.constrain(test, laws, spread=spread)
        change = fixed.x - test.x
        found[f"crps_{short}"] = crps(fixed.x, test.truth, weights)
        size = ((change**2 * weights).sum(SPACE)).mean() ** 0.5
        found[f"correction_{short}"] = float(size)
    return found


def crps(x: Any, truth: Any, weights: Any) -> float:
    """Return the fair continuous ranked probability score, averaged over the globe.

    Source: Ferro (2014), Quarterly Journal of the Royal Meteorological Society 140.
    """
    ordered = np.sort(x.transpose("member", ...).values, axis=0)
    n = len(ordered)
    rank = (2 * np.arange(1, n + 1) - n - 1).reshape(-1, 1, 1, 1)
    pairs = 2 * (rank * ordered).sum(0) / (n * (n - 1))  # mean |x - x'|
    error = np.abs(x - truth).mean("member")
    score = error - 0.5 * xr.DataArray(pairs, dims=error.dims)
    return float((score * weights).sum(SPACE).mean())
