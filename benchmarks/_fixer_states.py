"""Synthetic states of an atmosphere and an ocean, before and after a step.

All arrays are rounded to float32, so that codes in float32 and float64 see the same
numbers. Names end in 0 before the step and in 1 after it.
"""

import numpy as np

STEP = 21600.0  # s
Arrays = dict[str, np.ndarray]


def states(nlat: int = 4, nlon: int = 6, seed: int = 0) -> Arrays:
    """Return the states on a grid of `nlat` x `nlon` columns and a few levels."""
    rng = np.random.default_rng(seed)
    flat = (nlat, nlon)
    lat = -90 + (np.arange(nlat) + 0.5) * 180 / nlat
    lon = np.arange(nlon) * 360 / nlon
    found = {
        "lat": lat,
        "lon": lon,
        "ak": np.array([0.0, 5000, 16000, 6000, 0]),
        "bk": np.array([0.0, 0, 0.125, 0.625, 1]),
        "zs": rng.uniform(0, 1500, flat),
        "idepth": np.array([0.0, 10, 50, 300]),
        "sea": np.where(rng.uniform(size=flat) < 0.7, rng.uniform(0.3, 1, flat), 0.0),
    }
    found |= _atmosphere(rng, flat)
    found |= _ocean(rng, flat, found["sea"])
    return {k: np.asarray(v, np.float32).astype(np.float64) for k, v in found.items()}


def _atmosphere(rng: np.random.Generator, flat: tuple[int, int]) -> Arrays:
    """Return water, heat, winds and fluxes; the model drifts in every total."""
    deep = (4, *flat)
    level = np.array([0.02, 0.3, 2, 8])[:, None, None] * 1e-3
    q0 = level * rng.uniform(0.6, 1.4, deep)
    t0 = np.array([215.0, 225, 260, 285])[:, None, None] + rng.normal(0, 8, deep)
    ps0 = 98500 + rng.normal(0, 1500, flat)
    radiation = {"sw": (240, 80), "lw": (340, 40), "up": (390, 40), "toa": (235, 60)}
    fluxes = {
        f"{name}": mean + spread * rng.uniform(-1, 1, flat)
        for name, (mean, spread) in radiation.items()
    }
    return fluxes | {
        "q0": q0,
        "q1": q0 * rng.uniform(0.93, 1.08, deep),
        "t0": t0,
        "t1": t0 + rng.normal(0.05, 1.0, deep),
        "ps0": ps0,
        "ps1": ps0 + rng.normal(15, 200, flat),
        "u0": rng.normal(0, 15, deep),
        "u1": rng.normal(0, 15, deep),
        "latent": rng.uniform(20, 160, flat),
        "sensible": rng.uniform(-10, 40, flat),
        "rain": rng.gamma(0.7, 4e-5, flat),
        "advection": rng.normal(0, 3e-5, flat),
        "sun": rng.uniform(0, 680, flat),
        "reflected": rng.uniform(20, 160, flat),
        "frozen": np.zeros(flat),
    }


def _ocean(rng: np.random.Generator, flat: tuple[int, int], sea: np.ndarray) -> Arrays:
    """Return temperatures in degrees Celsius, NaN on land, and heat fluxes."""
    deep = (3, *flat)
    warm = np.array([18.0, 15, 9])[:, None, None] + rng.normal(0, 2, deep)
    floor = np.where(sea > 0, rng.uniform(20, 280, flat), 0.0)
    wet = sea > 0
    below = np.array([0.0, 10, 50])[:, None, None] >= floor
    return {
        "deptho": floor,
        "theta0": np.where(below, np.nan, warm),
        "theta1": np.where(below, np.nan, warm * rng.uniform(0.985, 1.02, deep)),
        "hfds": np.where(wet, rng.normal(5, 80, flat), np.nan),
        "hfgeou": np.where(wet, 0.05 + 0.05 * rng.uniform(size=flat), np.nan),
    }
