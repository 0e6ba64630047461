"""The tables of docs/boundary_forms.md, for docs/evidence_tables.py.

The files are written by `python benchmarks/boundary_forms.py`.
"""

import json
import math
import statistics
from pathlib import Path
from typing import Any

from markdown_tables import made_by, markdown

_FORMS = ("plain", "overwrite", "lift", "eliminate", "basis", "lift-output")
CONDITIONS = {
    "stokes": "values",
    "stokes_xt": "values",
    "burgers_riemann": "values",
    "burgers_riemann_xt": "values",
    "cavity": "values",
    "heat": "slopes",
    "heat_xt": "slopes",
    "wave": "slopes",
    "wave_xt": "slopes",
    "wave_2d": "slopes",
    "burgers_periodic": "closed axis",
    "burgers_periodic_xt": "closed axis",
}
#: Errors of the article's corrected operator, as its abstract and tables give them, and
#: the question to which they belong.
PUBLISHED = {
    "stokes": (0.0123, "Stokes' second problem"),
    "heat": (0.0215, "heated rod, over time"),
    "burgers_periodic": (8.9e-4, "periodic Burgers, over time"),
    "burgers_centred": (8.9e-4, "periodic Burgers, over time"),
    "burgers_riemann": (8.4e-5, "the lowest of all its Burgers problems"),
}


def tables(folder: Path) -> dict[str, str]:
    """The tables by name, as Markdown, from the results of all presets."""
    found = {}
    quick = _results(folder / "quick")
    if quick:
        found["boundary_forms"] = _forms(quick)
    if (folder / "reach.json").exists():
        content = json.loads((folder / "reach.json").read_text())
        found["boundary_reach"] = _reach(content)
    paths = sorted((folder / "paper").glob("*.json"))
    paper = [json.loads(path.read_text()) for path in paths]
    if paper:
        found["boundary_published"] = _published(paper)
    return found


def ratio(
    content: dict[str, Any], method: str, reference: str = "overwrite"
) -> float | None:
    """The error of a method over the error of the reference, or None."""
    rows = _rows(content)
    if method not in rows or reference not in rows:
        return None
    return rows[method]["relative_l2"] / rows[reference]["relative_l2"]


def default_of(content: dict[str, Any]) -> str | None:
    """The form that physcon chose for the conditions, if it was trained."""
    chosen = [row["method"] for row in content["results"] if row["is_default"]]
    return chosen[0] if chosen else None


def geometric_mean(ratios: list[float]) -> float:
    """exp of the mean logarithm."""
    return math.exp(statistics.mean(map(math.log, ratios)))


def _results(folder: Path) -> dict[str, dict[str, Any]]:
    """The contents of a preset's files by study, in the order of the table."""
    paths = {name: folder / f"{name}.json" for name in CONDITIONS}
    return {
        name: json.loads(path.read_text())
        for name, path in paths.items()
        if path.exists()
    }


def _forms(contents: dict[str, dict[str, Any]]) -> str:
    """All errors of the quick preset; the default in bold."""
    forms = _FORMS[:5]
    heads = ["`boon_NAME`", "condition", *forms, "default ÷ overwrite", "seeds"]
    lines = [heads]
    for name, content in contents.items():
        default = default_of(content)
        cells = [f"`{name}`", CONDITIONS[name]]
        cells += [_error(content, form, form == default) for form in forms]
        against = None if default is None else ratio(content, default)
        cells.append("" if against is None else f"{against:.2f}")
        cells.append(str(content["results"][0]["seeds"]))
        lines.append(cells)
    lines.append(_means(contents, forms))
    missing = ", ".join(f"`{name}`" for name in CONDITIONS if name not in contents)
    rest = f" Not run yet with these defaults: {missing}." if missing else ""
    return markdown(lines, _made(contents) + rest)


def _means(contents: dict[str, dict[str, Any]], forms: tuple[str, ...]) -> list[str]:
    """The geometric mean of every form's ratio to overwriting, where it exists."""
    cells = ["geometric mean ÷ overwrite", f"{len(contents)} studies"]
    for form in forms:
        ratios = [ratio(content, form) for content in contents.values()]
        known = [r for r in ratios if r is not None]
        part = f" ({len(known)})" if len(known) < len(contents) else ""
        cells.append(f"{geometric_mean(known):.2f}{part}" if known else "")
    chosen = [(c, default_of(c)) for c in contents.values()]
    ratios = [ratio(c, default) for c, default in chosen if default is not None]
    known = [r for r in ratios if r is not None]
    return [*cells, f"**{geometric_mean(known):.2f}**", ""]


def _published(contents: list[dict[str, Any]]) -> str:
    """Errors at the published sizes with the article's error, by number of steps."""
    run = {row["method"] for content in contents for row in content["results"]}
    forms = [form for form in _FORMS if form in run]
    heads = ["`boon_NAME`", "published", "for", "steps", *forms]
    lines = [[*heads, "default ÷ overwrite"]]
    order = [*CONDITIONS, "burgers_centred"]

    def place(content: dict[str, Any]) -> tuple[int, int, bool]:
        settings = content["settings"]
        seen = settings.get("positions", True)
        return order.index(_study(content)), settings["steps"], seen

    for content in sorted(contents, key=place):
        name = _study(content)
        seen = content["settings"].get("positions", True)
        more = ", with positions" if seen and name == "burgers_centred" else ""
        steps = content["settings"]["steps"]
        default = default_of(content)
        published, question = PUBLISHED[name]
        cells = [f"`{name}`{more}", f"{published:.3g}", question, f"{steps:,}"]
        cells += [_error(content, form, form == default) for form in forms]
        against = None if default is None else ratio(content, default)
        cells.append("" if against is None else f"{against:.2f}")
        lines.append(cells)
    studies = {str(k): content for k, content in enumerate(contents)}
    command = "python benchmarks/boundary_forms.py STUDY --preset paper --steps STEPS"
    return markdown(lines, _made(studies, command))


def _study(content: dict[str, Any]) -> str:
    """The study's name in the command `physcon run boon_NAME`."""
    return content["command"].split()[2].removeprefix("boon_")


def _reach(content: dict[str, Any]) -> str:
    """The error of every reach over the error of overwriting."""
    rows = content["results"]
    reaches = sorted({row["reach"] for row in rows if row["reach"] is not None})
    heads = ["`boon_NAME`", "condition", "form", "overwrite"]
    heads += [f"reach {reach:g}" for reach in reaches]
    lines = [[*heads, "seeds"]]
    means = {
        (row["study"], row["method"], row["reach"]): statistics.mean(row["relative_l2"])
        for row in rows
    }
    for study in dict.fromkeys(row["study"] for row in rows):
        for form in ("lift", "basis"):
            base = means[study, "overwrite", None]
            cells = [f"`{study}`", CONDITIONS[study], form, f"{base:.2g}"]
            found = [means.get((study, form, reach)) for reach in reaches]
            cells += ["" if e is None else f"× {e / base:.2f}" for e in found]
            seeds = content["provenance"]["seeds"][study]
            lines.append([*cells, str(len(seeds))])
    return markdown(lines, made_by(content, "mean over the seeds"))


def _error(content: dict[str, Any], form: str, bold: bool) -> str:
    """Mean over seeds, with the standard deviation where there are several."""
    rows = _rows(content)
    if form not in rows:
        return ""
    row = rows[form]
    digits = 1 - math.floor(math.log10(row["relative_l2"]))
    text = f"{row['relative_l2']:.{digits}f}"
    text = f"**{text}**" if bold else text
    spread = f" ± {row['relative_l2_std']:.{digits}f}"
    return f"{text}{spread}" if row["seeds"] > 1 else text


def _rows(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["method"]: row for row in content["results"]}


def _made(contents: dict[str, dict[str, Any]], command: str | None = None) -> str:
    """The command, dates, machine and versions of all files."""
    first = next(iter(contents.values()))
    options = first["command"].split()[3:]
    command = command or " ".join(["python benchmarks/boundary_forms.py", *options])
    days = sorted(c["provenance"]["started"][:10] for c in contents.values())
    when = " to ".join(dict.fromkeys((days[0], days[-1])))
    machines = dict.fromkeys(
        f"{c['provenance']['cores']} cores of {c['processor']}"
        for c in contents.values()
    )
    versions = first["provenance"]["versions"]
    return (
        f"`{command}`; {when}, {' and '.join(machines)}, jax {versions['jax']}, numpy "
        f"{versions['numpy']}, functions of seed {first['settings']['data_seed']}, "
        "mean ± standard deviation over the seeds of the weights; the default form in "
        "bold."
    )
