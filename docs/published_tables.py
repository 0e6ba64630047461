"""The tables of docs/published_tables.md, from their results."""

import json
import statistics
from pathlib import Path
from typing import Any

from markdown_tables import made_by, markdown

_METHODS = {
    "unconstrained": "no law",
    "hard": "HardC",
    "probconserv": "ProbConserv",
    "diffusion": "ProbConserv + diffusion",
    "diagonal": "one Gaussian, its variances alone",
    "covariance": "one Gaussian with covariance",
    "noise": "the same, noise of quadrature size",
    "refined": "covariance, nodes four times as close",
    "bounded": "covariance, then u >= 0",
    "monotone": "covariance, then u >= 0 and falling",
    "balance": "covariance and local balances",
    "front": "law in the front",
    "trained": "law in the front, trained through it",
}
_EQUATIONS = {
    "stefan": "Stefan",
    "pme": "porous medium",
    "advection": "advection",
    "burgers": "Burgers",
    "heat": "heat",
}
#: The methods of the table of calibration.
_CALIBRATED = ("unconstrained", "covariance", "front", "trained")
#: Name, head, factor and digits of a score.
Column = tuple[str, str, float, int]
_SCORES: tuple[Column, ...] = (
    ("conservation_error", "conservation error · 10³", 1e3, 2),
    ("mean_squared_error", "MSE · 10⁴", 1e4, 2),
    ("log_likelihood", "log-likelihood", 1.0, 2),
    ("crps", "CRPS · 10³", 1e3, 2),
    ("coverage", "95 % interval covers", 100.0, 1),
)
#: Scores near a front; see `physcon.studies.probconserv.front_scores`.
_FRONT_SCORES: tuple[Column, ...] = (
    ("cell_average_error", "MSE of cell averages · 10⁴", 1e4, 2),
    ("coverage_behind", "95 % interval covers, behind the front", 100.0, 1),
    ("front_of_mean", "front of the mean · 10³", 1e3, 1),
    ("shock_error", "front of samples · 10³", 1e3, 1),
)


def tables(results: Path) -> dict[str, str]:
    """All tables by name, as Markdown."""
    found = {}
    for path in sorted(results.glob("best_*.json")):
        content = json.loads(path.read_text())
        found[path.stem] = _scores(content)
        if "front_of_mean" in content["results"][0]["mean"]:
            found[f"{path.stem}_front"] = _scores(content, _FRONT_SCORES)
    path = results / "held_out.json"
    if path.exists():
        found["held_out"] = _held_out(json.loads(path.read_text()))
    path = results / "pme_remedies.json"
    if path.exists():
        found["pme_remedies"] = _scores(json.loads(path.read_text()))
    return found


def _scores(content: dict[str, Any], shown: tuple[Column, ...] = _SCORES) -> str:
    rows = content["results"]
    lines = [["", "", *(head for _, head, *_ in shown)]]
    last = None
    for row in rows:
        same = row["parameter"] == last
        last = row["parameter"]
        cells = ["" if same else f"{last:.3g}", _METHODS[row["method"]]]
        cells += [_score(row, *one) for one in shown]
        lines.append(cells)
    functions = f"{rows[0]['functions']} test functions"
    spread = f"mean ± standard error over {functions}"
    if rows[0]["networks"] > 1:
        spread = (
            f"mean ± standard deviation over {rows[0]['networks']} networks, each on "
            f"{functions}"
        )
    seed = content["settings"]["seed"]
    return markdown(lines, made_by(content, f"seed {seed}, {spread}"))


def _score(
    row: dict[str, Any], name: str, head: str, factor: float, digits: int
) -> str:
    error = row["spread"] if row["networks"] > 1 else row["standard_error"]
    value = factor * row["mean"][name]
    width = factor * error[name]
    if abs(value) < 1e-3 and width < 1e-3:
        return "0"
    rounded = round(value, digits) + 0.0  # no minus sign before a zero
    return f"{rounded:.{digits}f} ± {width:.{digits}f}"


def _held_out(content: dict[str, Any]) -> str:
    """Scores on held-out functions, and what a factor on the spread makes of them."""
    heads = ["", "", "CRPS · 10³", "covers behind the front", "factor"]
    heads += ["CRPS · 10³ behind the front", "test functions: covers behind the front"]
    lines = [heads]
    order = list(_EQUATIONS)
    rows = sorted(content["results"], key=lambda row: order.index(row["problem"]))
    for row in rows:
        if row["functions"] != "held out" or row["method"] not in _CALIBRATED:
            continue
        cells = [_EQUATIONS[row["problem"]], _METHODS[row["method"]]]
        cells.append(f"{1e3 * statistics.mean(row['before']['crps']):.2f}")
        cells.append(f"{100 * statistics.mean(row['before']['coverage_behind']):.1f}")
        cells += [f"{row['factor']:.2f}", _both(row, "crps_behind", 1e3, 2)]
        tests = [one for one in rows if _test_of(row, one)]
        coverages = [_both(one, "coverage_behind", 100, 1) for one in tests]
        named = zip(tests, coverages, strict=True)
        cells.append("; ".join(f"{one['functions']}: {both}" for one, both in named))
        lines.append(cells)
    spread = "means over 3 networks, each on 40 held-out functions"
    return markdown(lines, made_by(content, spread))


def _both(row: dict[str, Any], name: str, factor: float, digits: int) -> str:
    """A score before and after the factor on the spread."""
    each = [factor * statistics.mean(row[k][name]) for k in ("before", "after")]
    return " → ".join(f"{value:.{digits}f}" for value in each)


def _test_of(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the other row has test functions of the same equation and method."""
    same = all(row[key] == other[key] for key in ("problem", "method"))
    return same and other["functions"] != "held out"
