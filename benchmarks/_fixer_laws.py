"""The published fixers as laws with a named metric, applied to one step in float32.

Sources of the equations: fme.core.corrector.atmosphere and .ocean (fme, Apache-2.0);
credit.postblock.conservation (miles-credit, Apache-2.0).
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

import physcon.datasets as pcd
from _fixer_states import STEP, Arrays

G = 9.80665
RD = 287.05
CV = 1004.6 - RD
HYBRID = "atmosphere_hybrid_sigma_pressure_coordinate"
Q_BUDGET = {"storage": "q", "over": ["lev"], "per": "total", "step": STEP}


def template(s: Arrays, area: np.ndarray) -> xr.Dataset:
    """Return the state before the step as a dataset, with its grid."""
    flat = ("lat", "lon")
    deep = ("lev", *flat)
    ocean = ("depth", *flat)
    names = {"ps": "ps0", "rain": "rain", "advection": "advection"}
    data = xr.Dataset({name: (flat, s[key]) for name, key in names.items()})
    data["latent"] = flat, s["latent"]
    data["toa"] = flat, s["sun"] - s["reflected"] - s["toa"]
    up = s["sw"] + s["lw"] - s["up"] - s["latent"] - s["sensible"]
    data["surface"] = flat, up
    for name in ("q", "t"):
        data[name] = deep, s[f"{name}0"]
    data["energy"] = deep, level_energy(s, 0)
    data["theta"] = ocean, s["theta0"]
    for name in ("hfds", "hfgeou"):
        data[name] = flat, s[name]
    data["area"] = flat, area
    data["wet"] = flat, area * s["sea"]
    for name in ("theta", "hfds", "hfgeou"):
        data[name].attrs["cell_measures"] = "area: wet"
    others = ("ps", "rain", "advection", "latent", "toa", "surface", "q", "t", "energy")
    for name in others:
        data[name].attrs["cell_measures"] = "area: area"
    middle = {"hyam": s["ak"], "hybm": s["bk"]}
    for name, x in middle.items():
        data[name] = "lev", 0.5 * (x[1:] + x[:-1])
        data[name[:-1] + "i"] = "ilev", x
    terms = {"standard_name": HYBRID, "formula_terms": "ap: hyam b: hybm ps: ps"}
    data["lev"] = "lev", np.arange(len(s["ak"]) - 1.0), terms
    edges = np.stack([s["idepth"][:-1], s["idepth"][1:]], -1)
    data["depth_bnds"] = ("depth", "two"), edges
    data["depth"] = "depth", edges.mean(1), {"positive": "down", "bounds": "depth_bnds"}
    data["deptho"] = flat, s["deptho"]
    return data


def level_energy(s: Arrays, k: int) -> np.ndarray:
    """Return the energy per mass that miles-credit conserves, in J kg-1."""
    t, q, u = (s[f"{name}{k}"] for name in ("t", "q", "u"))
    return heat_capacity(q) * t + _rest(s, q, u)


def heat_capacity(q: np.ndarray) -> np.ndarray:
    """Return the heat capacity of moist air, in J kg-1 K-1."""
    return (1 - q) * 1004.64 + q * 1810.0


def _rest(s: Arrays, q: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return the energy per mass that does not depend on temperature."""
    return 2.501e6 * q + G * s["zs"] + 0.5 * u**2


def _step(data: xr.Dataset, law: Any, spread: Any, after: Arrays) -> Any:
    """Return the state after the step, corrected in float32."""
    before = {n: np.float32(data[n].values) for n in data.data_vars}
    moved = before | {n: np.float32(x) for n, x in after.items()}
    law = law if isinstance(law, str) else {"laws": [law]}
    init, apply = pcd.fixer(law, data, spread=spread)
    return apply(init(before), {n: jnp.asarray(x) for n, x in moved.items()})[1]


def _dry_air(spread: str) -> Callable[[Arrays, xr.Dataset], np.ndarray]:
    def fix(s: Arrays, data: xr.Dataset) -> np.ndarray:
        law = "dry_air: {of: ps, water: q, equals: initial}"
        return _step(data, law, spread, {"ps": s["ps1"], "q": s["q1"]})["ps"]

    return fix


def _moisture(s: Arrays, data: xr.Dataset) -> np.ndarray:
    evaporation = {"of": "latent", "times": 1 / 2.5e6, "given": True}
    law = {"budget": Q_BUDGET | {"inflow": [evaporation], "outflow": ["rain"]}}
    after = {"ps": s["ps1"], "q": s["q1"]}
    return _step(data, law, {"rain": "proportional"}, after)["rain"]


def _advection(s: Arrays, data: xr.Dataset) -> np.ndarray:
    evaporation = {"of": "latent", "times": 1 / 2.5e6, "given": True}
    known = {"of": "rain", "given": True}
    terms = {"inflow": [evaporation, "advection"], "outflow": [known]}
    law = {"budget": Q_BUDGET | terms | {"per": "column"}}
    after = {"ps": s["ps1"], "q": s["q1"], "rain": _moisture(s, data)}
    return _step(data, law, {"advection": "residual"}, after)["advection"]


def _energy(s: Arrays, data: xr.Dataset) -> np.ndarray:
    """The energy is linear in temperature: the same offset in every cell."""
    area = data.area.values
    energy, weights = zip(*(_ace_energy(s, area, k) for k in (0, 1)), strict=True)
    flux = ((data.toa - data.surface).values * area).sum()
    missing = energy[0] + STEP * flux - energy[1]
    goal = float((weights[1] * s["t1"]).sum() + missing)
    data = data.assign(weight=(("lev", "lat", "lon"), weights[1]))
    law = {"of": "t", "over": ["lev", "lat", "lon"], "weights": "weight"}
    law = {"total": law | {"equals": goal}}
    return _step(data, law, "uniform", {"t": s["t1"]})["t"]


def _ace_energy(s: Arrays, area: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """Return the energy of ACE2 (internal, latent, potential), and dE/dT of a cell.

    The sum of the derivatives over a column is that of an equal change of all levels.
    """
    t, q, ps = s[f"t{k}"], s[f"q{k}"], s[f"ps{k}"]
    p = s["ak"][:, None, None] + s["bk"][:, None, None] * ps
    mass = np.diff(p, axis=0) / G * area
    rise = np.diff(np.log(np.maximum(p, 1.0)), axis=0) * RD * (1 + (461.5 / RD - 1) * q)
    above = np.cumsum(rise[::-1], axis=0)[::-1] - 0.5 * rise
    heights = np.cumsum((rise * t)[::-1], axis=0)[::-1] - 0.5 * rise * t
    energy = CV * t + 2.5e6 * q + heights + G * s["zs"]
    return float((energy * mass).sum()), (CV + above) * mass


def _ocean(s: Arrays, data: xr.Dataset) -> np.ndarray:
    heat = 1 / (3992.0 * 1035.0)  # K m per J m-2
    terms = [{"of": n, "times": heat, "given": True} for n in ("hfds", "hfgeou")]
    law = {"storage": "theta", "over": ["depth", "lat", "lon"], "inflow": terms}
    law = {"budget": law | {"per": "total", "step": STEP}}
    return _step(data, law, {"theta": "proportional"}, {"theta": s["theta1"]})["theta"]


def _level_energy(s: Arrays, data: xr.Dataset) -> np.ndarray:
    terms = {"inflow": [{"of": "toa", "given": True}]}
    terms["outflow"] = [{"of": "surface", "given": True}]
    law = {"budget": Q_BUDGET | {"storage": "energy"} | terms}
    after = {"energy": level_energy(s, 1), "ps": s["ps1"], "q": s["q1"]}
    fixed = _step(data, law, {"energy": "proportional"}, after)["energy"]
    rest = _rest(s, s["q1"], s["u1"])
    return (np.asarray(fixed, np.float64) - rest) / heat_capacity(s["q1"])


#: Name -> package, spread, corrected variable and what it was before, and the function.
CASES: dict[str, tuple] = {
    "fme_dry_air": ("fme", "uniform", "ps1", _dry_air("uniform")),
    "fme_moisture": ("fme", "proportional", "rain", _moisture),
    "fme_advection": ("fme", "residual", "advection", _advection),
    "fme_energy": ("fme", "uniform", "t1", _energy),
    "fme_ocean_heat": ("fme", "proportional", "theta1", _ocean),
    "credit_mass": ("miles-credit", "proportional", "ps1", _dry_air("proportional")),
    "credit_water": ("miles-credit", "proportional", "rain", _moisture),
    "credit_energy": ("miles-credit", "proportional", "t1", _level_energy),
}


def ours(name: str, s: Arrays) -> np.ndarray:
    """Return the variable that a fixer corrects, by physcon in float32."""
    package, *_, fix = CASES[name]
    area = s["credit_area"] if package == "miles-credit" else s["area"]
    return np.asarray(fix(s, template(s, area)), np.float64)
