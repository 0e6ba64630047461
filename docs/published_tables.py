"""The tables of docs/published_tables.md, from their results."""

import json
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
