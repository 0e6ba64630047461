"""The fixers of fme and of miles-credit, run on one step of synthetic states.

Both packages are used as published (pip install fme miles-credit), in float64. Only
their results are kept: see tests/reference/data/README.md.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from _fixer_states import STEP, Arrays


def published(states: Arrays) -> Arrays:
    """Return the corrected variables of every fixer, by name."""
    return _fme_atmosphere(states) | _fme_ocean(states) | _credit(states)


def _tensor(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, np.float64))


def _mean(area: torch.Tensor) -> Any:
    """The mean over cells, in the form that fme passes to its correctors."""

    def mean(x: torch.Tensor, keepdim: bool = False, name: Any = None) -> torch.Tensor:
        return torch.nansum(x * area, (-2, -1), keepdim=keepdim) / area.sum()

    return mean


def _fme_atmosphere(s: Arrays) -> Arrays:
    from fme.core.coordinates import HybridSigmaPressureCoordinate
    from fme.core.corrector import atmosphere as fme

    levels = HybridSigmaPressureCoordinate(_tensor(s["ak"]), _tensor(s["bk"]))

    def data(k: int) -> dict:
        found = {"PRESsfc": s[f"ps{k}"], "HGTsfc": s["zs"], "LHTFLsfc": s["latent"]}
        found |= {"SHTFLsfc": s["sensible"], "PRATEsfc": s["rain"]}
        found |= {"DSWRFsfc": s["sw"], "USWRFsfc": 0 * s["sw"], "DLWRFsfc": s["lw"]}
        found |= {"ULWRFsfc": s["up"], "ULWRFtoa": s["toa"], "DSWRFtoa": s["sun"]}
        found |= {"USWRFtoa": s["reflected"]}
        found["total_frozen_precipitation_rate"] = s["frozen"]
        found["tendency_of_total_water_path_due_to_advection"] = s["advection"]
        for j in range(4):
            found[f"air_temperature_{j}"] = s[f"t{k}"][j]
            found[f"specific_total_water_{j}"] = s[f"q{k}"][j]
        return {name: _tensor(x)[None] for name, x in found.items()}

    before, after = data(0), data(1)
    mean = _mean(_tensor(s["area"]))
    state = fme._seed_global_dry_air_mass(before, None, mean, levels, torch.float64)
    dry = fme._adjust_gen_dry_air_to_target(
        after, state.global_dry_air_mass, mean, levels, torch.float64
    )
    wet = fme._force_conserve_moisture(
        before, after, mean, levels, STEP, "advection_and_precipitation"
    )
    warm = fme._force_conserve_total_energy(before, after, after, mean, levels, STEP)
    advection = wet["tendency_of_total_water_path_due_to_advection"]
    temperature = [warm[f"air_temperature_{j}"][0].numpy() for j in range(4)]
    return {
        "fme_dry_air": dry["PRESsfc"][0].numpy(),
        "fme_moisture": wet["PRATEsfc"][0].numpy(),
        "fme_advection": advection[0].numpy(),
        "fme_energy": np.stack(temperature),
    }


def _fme_ocean(s: Arrays) -> Arrays:
    from fme.core.coordinates import DepthCoordinate
    from fme.core.corrector import ocean as fme

    wet = np.repeat((s["sea"] > 0).astype(float)[..., None], 3, axis=-1)
    wet *= s["deptho"][..., None] > s["idepth"][:-1]
    levels = DepthCoordinate(_tensor(s["idepth"]), _tensor(wet), _tensor(s["deptho"]))

    def data(k: int) -> dict:
        found = {f"thetao_{j}": s[f"theta{k}"][j] for j in range(3)}
        return {name: _tensor(x)[None] for name, x in found.items()}

    fluxes = {"hfds": s["hfds"]}
    forcing = {"hfgeou": s["hfgeou"], "sea_surface_fraction": s["sea"]}
    out = fme._force_conserve_ocean_heat_content(
        data(0),
        data(1) | {name: _tensor(x)[None] for name, x in fluxes.items()},
        {name: _tensor(x)[None] for name, x in forcing.items()},
        _mean(_tensor(s["area"])),
        levels,
        STEP,
    )
    levels_out = [out[f"thetao_{j}"][0].numpy() for j in range(3)]
    return {"fme_ocean_heat": np.stack(levels_out)}


def credit_statics(s: Arrays, folder: str) -> str:
    """Write the file of grids that the blocks of miles-credit read."""
    lon, lat = np.meshgrid(s["lon"], s["lat"])
    dims = ("latitude", "longitude")
    data = xr.Dataset(
        {
            "lon2d": (dims, lon),
            "lat2d": (dims, lat),
            "coef_a": ("level", s["ak"]),
            "coef_b": ("level", s["bk"]),
            "PHIS": (dims, 9.80665 * s["zs"]),
        }
    )
    path = str(Path(folder) / "statics.nc")
    data.to_netcdf(path)
    return path


def _credit(s: Arrays) -> Arrays:
    from credit.postblock.conservation import (
        GlobalEnergyFixerUpDown,
        GlobalMassFixer,
        GlobalWaterFixer,
    )

    def field(x: np.ndarray) -> torch.Tensor:
        x = x[None] if x.ndim == 2 else x
        return _tensor(x)[None, :, None]

    hour = STEP / 3600
    metres = STEP / 1000.0  # of water, from kg m-2 s-1
    one = {"q": s["q1"], "sp": s["ps1"], "t": s["t1"], "u": s["u1"], "v": 0 * s["u1"]}
    one |= {"tp": s["rain"] * metres, "e": -s["latent"] / 2.5e6 * metres}
    one |= {"tsr_up": s["reflected"], "olr": s["toa"]}
    surface = {"sd": s["sw"], "su": 0 * s["sw"], "ld": s["lw"], "lu": s["up"]}
    surface |= {"sh": -s["sensible"], "lh": -s["latent"]}
    one |= {name: x * STEP for name, x in surface.items()}
    zero = {"q": s["q0"], "sp": s["ps0"], "t": s["t0"], "u": s["u0"], "v": 0 * s["u0"]}
    zero["sun"] = s["sun"]

    def batch() -> dict:
        after = {f"a/{name}": field(x) for name, x in one.items()}
        before = {f"a/{name}": field(x) for name, x in zero.items()}
        return {"y_processed": {"a": after}, "x_physical": {"a": before}}

    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {
            "save_loc_physics": credit_statics(s, folder),
            "lon_lat_level_name": ["lon2d", "lat2d", "coef_a", "coef_b"],
            "grid_type": "sigma",
            "midpoint": True,
        }
        mass = GlobalMassFixer("a/q", "a/sp", **options)
        water = GlobalWaterFixer("a/q", "a/sp", "a/tp", "a/e", hour, **options)
        energy = GlobalEnergyFixerUpDown(
            *(f"a/{n}" for n in ("t", "q", "u", "v", "sp")),
            "PHIS",
            *(f"a/{n}" for n in ("sun", "tsr_up", "olr")),
            *(f"a/{n}" for n in ("sd", "su", "ld", "lu", "sh", "lh")),
            hour,
            **options,
        )
    found = {}
    for name, block, key in (
        ("credit_mass", mass, "a/sp"),
        ("credit_water", water, "a/tp"),
        ("credit_energy", energy, "a/t"),
    ):
        out = block(batch())["y_processed"]["a"][key]
        found[name] = out[0, :, 0].numpy().squeeze()
    found["credit_water"] = found["credit_water"] / metres
    found["credit_area"] = mass.core.area.numpy().astype(np.float64)
    return found
