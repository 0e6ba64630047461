"""The tables of docs/inverse.md, for docs/evidence_tables.py."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from markdown_tables import made_by, markdown


def tables(folder: Path) -> dict[str, str]:
    """The tables by name, as Markdown, of all files that exist."""
    makers: dict[str, Callable[[dict[str, Any]], str]] = {
        "inverse_stefan": _stefan,
        "inverse_cavity": _cavity,
    }
    paths = {name: folder / f"{name}.json" for name in makers}
    return {
        name: make(json.loads(paths[name].read_text()))
        for name, make in makers.items()
        if paths[name].exists()
    }


def _stefan(content: dict[str, Any]) -> str:
    """Intervals of p* with and without the measured mass, by quantiles."""
    heads = ["known", "width of the 95 % interval of p*"]
    heads += ["intervals that contain the truth", "root mean square error"]
    lines = [heads]
    for row in content["results"]:
        if row["interval"] != "integrated":
            continue
        covered = f"{100 * row['coverage']:.1f} ± {100 * row['coverage_se']:.1f} %"
        lines.append(
            [row["method"], f"{row['width']:.3f}", covered, f"{row['rmse']:.3f}"]
        )
    settings = content["settings"]
    data_sets = content["results"][0]["data_sets"]
    spread = f"{data_sets} data sets of seed {settings['seed']}"
    return markdown(lines, made_by(content, spread))


def _cavity(content: dict[str, Any]) -> str:
    """Errors of the surrogate and of its input, by the laws of the conditioning."""
    heads = ["prediction conditioned on", "relative error at the true input"]
    heads += ["largest error in the seven laws", "error of the vortices"]
    heads += ["posterior standard deviation", "95 % intervals that contain the truth"]
    lines = [heads]
    for row in content["results"]:
        laws = "nothing" if row["laws"] == "none" else row["laws"]
        cells = [laws, f"{row['forward_l2']:.4f}", f"{row['law_error']:.2g}"]
        cells += [f"{row['swirls_rmse']:.3f}", f"{row['swirls_std']:.3f}"]
        lines.append([*cells, f"{100 * row['coverage']:.1f} %"])
    settings = content["settings"]
    spread = f"{settings['test']} flows, seed {settings['seed']}"
    return markdown(lines, made_by(content, spread))
