"""The tables of README.md and of the documentation, from their results.

    python docs/evidence_tables.py

writes the tables between the lines `<!-- table NAME -->` and `<!-- end of table -->`
anew, from the files in benchmarks/results. A test checks that this changes nothing.
"""

import json
import re
import statistics
from pathlib import Path
from typing import Any

import benchmark_tables
import boundary_tables
import inverse_tables
import overview_table
import published_tables
import real_tables
import scaling_tables
import speed_tables
import weights_table
from markdown_tables import made_by, markdown

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "evidence"
_START = "<!-- table "
PAGES = [
    path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if _START in path.read_text()
]

#: The modules of the tables of evidence that are not made here.
_MODULES = (
    inverse_tables,
    overview_table,
    published_tables,
    real_tables,
    weights_table,
)
_METHODS = {
    "soft": "SoftC",
    "hard": "HardC",
    "probconserv": "ProbConserv",
    "diffusion": "ProbConserv + diffusion",
}
#: Scores of the Stefan table: name, head, factor, digits, and whether larger is better.
_SCORES = (
    ("conservation_error", "conservation error · 10³", 1e3, 1, None),
    ("mean_squared_error", "MSE · 10⁴", 1e4, 1, False),
    ("log_likelihood", "log-likelihood", 1.0, 2, True),
    ("crps", "CRPS · 10³", 1e3, 1, False),
)
_PATTERN = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end of table -->)", re.S)


def tables(results: Path = RESULTS) -> dict[str, str]:
    """All tables by name, as Markdown."""
    found = benchmark_tables.tables(results.parent)
    found |= scaling_tables.tables(results.parent)
    found |= speed_tables.tables(results.parent)
    found |= boundary_tables.tables(results / "boundary")
    for module in _MODULES:
        found |= module.tables(results)
    if (results / "stefan.json").exists():
        content = json.loads((results / "stefan.json").read_text())
        found["stefan"] = _stefan(content)
        found["stefan_0.5"] = _stefan(content, 0.5)
    if (results / "downscaling_sst.json").exists():
        content = json.loads((results / "downscaling_sst.json").read_text())
        for kind in content["settings"]["quantities"]:
            found[f"downscaling_{kind}"] = _downscaling(content, kind)
    makers = {"rollout": _rollout, "assimilation": _assimilation}
    makers |= {"tourism": _hierarchy, "leak_net3": _leak}
    for name, make in makers.items():
        if (results / f"{name}.json").exists():
            found[name] = make(json.loads((results / f"{name}.json").read_text()))
    return found


def shown(page: str, found: dict[str, str]) -> str:
    """The page with its tables as they should be."""
    return _PATTERN.sub(lambda m: f"{m[1]}\n{found[m[2]]}\n{m[3]}", page)


def _stefan(content: dict[str, Any], only: float | None = None) -> str:
    rows = content["results"]
    heads = [head for _, head, *_ in _SCORES]
    lines = [["p*", "", *heads, "better CRPS, MSE"]]
    for p in dict.fromkeys(row["parameter"] for row in rows):
        if only is not None and abs(p - only) > 1e-6:
            continue
        group = [row for row in rows if row["parameter"] == p]
        for k, row in enumerate(group):
            cells = [f"{p:.3g}" if k == 0 else ""]
            cells.append(_METHODS.get(row["method"], row["method"]))
            cells += [_score(row, group, *one) for one in _SCORES]
            better = row["better"]
            wins = [str(better[n]) for n in ("crps", "mean_squared_error") if better]
            cells.append(f"{', '.join(wins)} of {row['networks']}" if wins else "")
            lines.append(cells)
    return markdown(lines, _made(content))


def _score(
    row: dict[str, Any],
    group: list[dict[str, Any]],
    name: str,
    head: str,
    factor: float,
    digits: int,
    larger: bool | None,
) -> str:
    value = factor * row["mean"][name]
    spread = factor * row["spread"][name]
    text = f"{value:.{digits}f} ± {spread:.{digits}f}"
    if abs(value) < 1e-3 and spread < 1e-3:
        return "0.000"
    if larger is None:
        return text
    best = (max if larger else min)(one["mean"][name] for one in group)
    bold = f"**{value:.{digits}f}** ± {spread:.{digits}f}"
    return bold if row["mean"][name] == best else text


def _downscaling(content: dict[str, Any], kind: str) -> str:
    heads = ["layer", "RMSE", "CRPS", "90 % interval covers", "worst block mean"]
    if kind == "positive":
        heads.append("below zero")
    lines = [heads]
    for row in content["results"]:
        if row["quantity"] != kind:
            continue
        cells = [row["method"]]
        cells += [_mean(row["rmse"], 3), _mean(row["crps"], 3)]
        cells.append(_mean([100 * v for v in row["coverage_90"]], 1, " %"))
        cells.append(f"{max(row['violation']):.2g}")
        if kind == "positive":
            cells.append(f"{100 * statistics.mean(row['negative']):.0f} %")
        lines.append(cells)
    return markdown(lines, _made(content))


def _rollout(content: dict[str, Any]) -> str:
    rows = content["results"]
    errors = [name for name in rows[0] if name.startswith("rmse_")]
    drifts = [name for name in rows[0] if name.startswith("mass_error_")]
    steps = [name.rpartition("_")[2] for name in errors]
    later = [name.rpartition("_")[2] for name in drifts]
    heads = [f"RMSE, step {n}" for n in steps] + [f"mass, step {n}" for n in later]
    heads.append(f"networks with skill at step {steps[-1]}")
    lines = [["method", *heads]]
    no_skill = rows[0][errors[-1]][0]
    for row in rows:
        cells = [_significant(row[name]) for name in errors + drifts]
        last = row[errors[-1]]
        skilful = sum(value < no_skill for value in last)
        cells.append(f"{skilful} of {len(last)}" if len(last) > 1 else "")
        lines.append([row["method"], *cells])
    return markdown(lines, _made(content))


def _assimilation(content: dict[str, Any]) -> str:
    truths = content["settings"]["experiments"]
    heads = ["update", "largest mass error of a member", "RMSE", "spread"]
    heads.append("smaller error than *localised*")
    lines = [heads]
    for row in content["results"]:
        better = f"{row['better_than_localised']} of {truths}"
        cells = [row["method"], f"{row['largest_mass_error']:.0e}"]
        cells.append(f"{row['rmse']:.3f} ± {row['rmse_se']:.3f}")
        cells.append(f"{row['spread']:.3f}")
        cells.append("" if row["method"] == "localised" else better)
        lines.append(cells)
    made = _made(content, f"mean ± standard error over {truths} truths")
    return markdown(lines, made)


def _hierarchy(content: dict[str, Any]) -> str:
    rows = content["results"]
    levels = [name for name in rows[0] if name.startswith("crps_")]
    heads = ["samples of", "energy score", "less than MinT's by", "at origins"]
    heads += [f"CRPS, {name.removeprefix('crps_')}" for name in levels]
    heads += ["90 % interval covers", "below zero"]
    lines = [heads]
    (mint,) = (row["energy_score"] for row in rows if row["method"] == "MinT")
    for row in rows:
        score = row["energy_score"]
        gain = [100 * (1 - a / b) for a, b in zip(score, mint, strict=True)]
        wins = f"{sum(g > 0 for g in gain)} of {len(gain)}"
        error = statistics.stdev(gain) / len(gain) ** 0.5
        cells = [row["method"], f"{statistics.mean(score):.3f}"]
        one = f"{statistics.mean(gain):.1f} ± {error:.1f} %"
        cells += ["", ""] if row["method"] == "MinT" else [one, wins]
        cells += [f"{statistics.mean(row[name]):.3f}" for name in levels]
        cells.append(f"{100 * statistics.mean(row['coverage_90']):.0f} %")
        cells.append(f"{100 * statistics.mean(row['negative']):.1f} %")
        lines.append(cells)
    origins = len(mint)
    made = _made(content, f"means over {origins} origins, ± standard error of the mean")
    return markdown(lines, made)


def _leak(content: dict[str, Any]) -> str:
    heads = ["pipes with a meter", "leak", "alarm", "largest imbalance"]
    heads += ["largest score", "it or a neighbour", "among three suspects"]
    names = ("alarm", "largest_imbalance", "largest_score")
    names += ("largest_score_or_neighbour", "among_suspects")
    lines = [heads]
    for row in content["results"]:
        leak = float(row["leak"])
        cells = [f"{100 * float(row['metered']):.0f} %"]
        cells.append(f"{100 * leak:.0f} %" if leak else "none")
        for name in names:
            share = _mean([100 * v for v in row[name]], 0, " %")
            cells.append(share if leak or name == "alarm" else "")
        lines.append(cells)
    settings = content["settings"]
    spread = (
        f"mean ± standard deviation over {settings['repeats']} repeats of "
        f"{settings['trials']} trials"
    )
    return markdown(lines, _made(content, spread))


def _made(content: dict[str, Any], spread: str | None = None) -> str:
    settings = content["settings"]
    networks = settings.get("repeats", settings.get("networks"))
    spread = spread or f"mean ± standard deviation over {networks} networks"
    return made_by(content, f"seed {settings['seed']}, {spread}")


def _mean(values: list[float], digits: int, unit: str = "") -> str:
    if not values:
        return ""
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) > 1:
        mean += f" ± {statistics.stdev(values):.{digits}f}"
    return mean + unit


def _significant(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.2g}"
    return f"{mean} ± {statistics.stdev(values):.1g}" if len(values) > 1 else mean


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(shown(path.read_text(), tables()))
