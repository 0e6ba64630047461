"""The table of the published weights in README.md, for docs/evidence_tables.py.

The file is kept by `python benchmarks/evidence.py pme_weights FOLDER COMMAND`.
"""

import json
from pathlib import Path
from typing import Any

from markdown_tables import made_by, markdown

_METHODS = {
    "unconstrained": "unconstrained",
    "hard": "HardC",
    "probconserv": "ProbConserv",
}
#: MSE · 10⁴ and log-likelihood of the original code (PyTorch) with the same weights, on
#: the same functions, without dropout: by m and method. It was run once, outside of
#: this repository.
ORIGINAL = {
    (1, "unconstrained"): (0.474, 3.793),
    (1, "hard"): (0.394, 3.559),
    (1, "probconserv"): (0.261, 3.822),
    (3, "unconstrained"): (1.783, 3.685),
    (3, "hard"): (1.498, 3.625),
    (3, "probconserv"): (3.618, 3.722),
    (6, "unconstrained"): (7.401, 3.804),
    (6, "hard"): (6.964, 3.625),
    (6, "probconserv"): (8.351, 3.850),
}


def tables(folder: Path) -> dict[str, str]:
    """The table by its name, as Markdown, if the file of results exists."""
    path = folder / "pme_weights.json"
    if not path.exists():
        return {}
    content = json.loads(path.read_text())
    heads = ["m", "method", "MSE · 10⁴, physcon", "original"]
    lines = [[*heads, "log-likelihood, physcon", "original"]]
    rows = {(round(row["parameter"]), row["method"]): row for row in content["results"]}
    for (m, method), (error, likelihood) in ORIGINAL.items():
        group = [rows[m, name]["mean"] for name in _METHODS]
        means = rows[m, method]["mean"]
        least = min(one["mean_squared_error"] for one in group)
        most = max(one["log_likelihood"] for one in group)
        cells = [str(m), _METHODS[method]]
        cells += [_shown(1e4 * means["mean_squared_error"], 1e4 * least)]
        cells += [f"{error:.3f}", _shown(means["log_likelihood"], most)]
        lines.append([*cells, f"{likelihood:.3f}"])
    return {"pme_weights": markdown(lines, _made(content))}


def _shown(value: float, best: float) -> str:
    return f"**{value:.3f}**" if value == best else f"{value:.3f}"


def _made(content: dict[str, Any]) -> str:
    settings = content["settings"]
    draws = settings["evaluation"]["latent_samples"]
    functions = settings["tasks"]["per_parameter"]
    what = f"{draws} draws of the latent variable, {functions} functions per m"
    return made_by(content, f"seed {settings['seed']}, {what}")
