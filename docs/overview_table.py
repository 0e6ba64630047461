"""The first table of docs/evidence.md: what a law is worth, study by study.

Every line compares two rows of a file of results. Which rows, and by which score, was
decided by what they are, not by their numbers: the recommended law against none. The
equations of the preset `best` all show both uses of the law in a front.
"""

import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import boundary_tables
from markdown_tables import markdown


class Line(NamedTuple):
    """Two rows of a file that differ by a law.

    Attributes:
        title: the question.
        page: the page that holds the whole table.
        file: name of the file of results.
        where: entries that both rows have.
        without: entries of the row without a law.
        with_law: entries of the row with it.
        law: what the page calls that law.
        score: name of the score, of which smaller is better.
        measure: what the page calls the score.
    """

    title: str
    page: str
    file: str
    where: dict[str, Any]
    without: dict[str, Any]
    with_law: dict[str, Any]
    law: str
    score: str
    measure: str


_NONE = {"method": "unconstrained"}
_DIFFUSION = {"method": "diffusion"}
_FRONT = {"method": "front"}
_TRAINED = {"method": "trained"}
_CONDITION = {"method": "condition"}


def _best(name: str, title: str, parameter: float, law: dict[str, Any]) -> Line:
    """A line about a preset `best`."""
    called = {"front": "law in the front", "trained": "trained through it"}
    where = {"parameter": parameter}
    page = "published_tables.md"
    given = (f"best_{name}", where, _NONE, law, called[law["method"]])
    return Line(title, page, *given, "mean_squared_error", "squared error")


LINES = (
    Line("neural process, Stefan, p* = 0.6", "studies.md", "stefan",
         {"parameter": 0.6}, _NONE, _DIFFUSION, "ProbConserv + diffusion",
         "crps", "CRPS"),
    _best("stefan", "fronts, Stefan, p* = 0.6", 0.6, _FRONT),
    _best("stefan", "fronts, Stefan, p* = 0.6", 0.6, _TRAINED),
    _best("pme", "fronts, porous medium, m = 3", 3.0, _FRONT),
    _best("pme", "fronts, porous medium, m = 3", 3.0, _TRAINED),
    _best("advection", "fronts, advection, a = 1", 1.0, _FRONT),
    _best("advection", "fronts, advection, a = 1", 1.0, _TRAINED),
    _best("burgers", "fronts, Burgers, a = 3", 3.0, _FRONT),
    _best("burgers", "fronts, Burgers, a = 3", 3.0, _TRAINED),
    _best("heat", "smooth profiles, heat, k = 1", 1.0, _FRONT),
    _best("heat", "smooth profiles, heat, k = 1", 1.0, _TRAINED),
    Line("published weights, m = 6", "published_tables.md", "pme_remedies",
         {"parameter": 6.0}, _NONE, {"method": "probconserv"}, "ProbConserv",
         "mean_squared_error", "squared error"),
    Line("published weights, m = 6", "published_tables.md", "pme_remedies",
         {"parameter": 6.0}, _NONE, {"method": "refined"}, "covariance, closer nodes",
         "mean_squared_error", "squared error"),
    Line("downscaling anomalies", "", "downscaling_sst",
         {"quantity": "anomaly"}, _NONE, _CONDITION, "block means", "rmse", "RMSE"),
    Line("downscaling a positive field", "", "downscaling_sst",
         {"quantity": "positive"}, _NONE, {"method": "bounded"},
         "block means, u >= 0", "crps", "CRPS"),
    Line("downscaling a positive field", "", "downscaling_sst",
         {"quantity": "positive"}, _NONE, _CONDITION, "block means alone", "rmse",
         "RMSE"),
    Line("roll-out, step 100", "", "rollout",
         {}, {"method": "none"}, {"method": "fluxes"}, "fluxes", "rmse_100", "RMSE"),
    Line("localised ensemble filter", "", "assimilation",
         {}, {"method": "localised"}, {"method": "localised, mass conserved"},
         "mass", "rmse", "RMSE"),
    Line("hierarchy of tourism", "", "tourism",
         {}, {"method": "no reconciliation"},
         {"method": "condition, errors of one step"}, "sums", "energy_score",
         "energy score"),
    Line("melting value p* from sensors", "inverse.md", "inverse_stefan",
         {"interval": "integrated"}, {"method": "sensors"},
         {"method": "sensors and mass"}, "mass", "width", "width of the interval"),
    Line("vortices in a cavity", "inverse.md", "inverse_cavity",
         {}, {"laws": "none"}, {"laws": "no slip"}, "no slip", "swirls_rmse",
         "RMSE"),
)  # fmt: skip


def tables(folder: Path) -> dict[str, str]:
    """The table by its name, as Markdown, of all files that exist."""
    heads = ["question", "score", "without a law", "with", "law", "change"]
    cells = [_cells(line, folder) for line in LINES]
    lines = [heads, *(found for found in cells if found is not None)]
    lines += _operators(folder / "boundary" / "quick")
    made = "From the files in `benchmarks/results/evidence`, see the pages."
    return {"overview": markdown(lines, made)} if len(lines) > 1 else {}


def _cells(line: Line, folder: Path) -> list[str] | None:
    """The cells of a line, if its file exists."""
    path = folder / f"{line.file}.json"
    if not path.exists():
        return None
    rows = json.loads(path.read_text())["results"]
    before = _score(rows, line.where | line.without, line.score)
    after = _score(rows, line.where | line.with_law, line.score)
    title = f"{line.title} ([]({line.page}))" if line.page else line.title
    numbers = [f"{before:.3g}", f"{after:.3g}"]
    return [title, line.measure, *numbers, line.law, _change(after / before)]


def _score(rows: list[dict[str, Any]], entries: dict[str, Any], name: str) -> float:
    """The score of the one row with these entries, or its mean over repeats."""
    fit = [r for r in rows if all(_same(r[k], v) for k, v in entries.items())]
    if len(fit) != 1:
        raise ValueError(f"expected one row with {entries}, got {len(fit)}: edit LINES")
    (row,) = fit
    value = row["mean"][name] if "mean" in row else row[name]
    return statistics.mean(value) if isinstance(value, list) else value


def _same(a: Any, b: Any) -> bool:
    """Equal, up to the rounding of a number of float32."""
    return abs(a - b) < 1e-6 if isinstance(b, float) else a == b


def _change(ratio: float) -> str:
    """A change in per cent; a large one as a factor."""
    if ratio < 0.5:
        return f"÷ {1 / ratio:.1f}"
    change = round(100 * (ratio - 1))
    return f"{change:+d} %" if change else "0 %"


def _operators(folder: Path) -> list[list[str]]:
    """The default form of neural operators against the same network without a law."""
    paths = sorted(folder.glob("*.json"))
    contents = [json.loads(path.read_text()) for path in paths]
    if not contents:
        return []
    chosen = [(c, boundary_tables.default_of(c)) for c in contents]
    ratios = [boundary_tables.ratio(c, form, "plain") for c, form in chosen if form]
    mean = boundary_tables.geometric_mean([r for r in ratios if r is not None])
    title = f"neural operators, {len(contents)} studies, short training"
    title += " ([](boundary_forms.md))"
    score = "relative error ÷ without a law"
    law = "default form at the boundary"
    return [[title, score, "1", f"{mean:.2f}", law, _change(mean)]]
