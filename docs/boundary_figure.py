"""The figure of the forms of a boundary-corrected operator, from their results.

    python docs/boundary_figure.py

draws docs/figures/boundary_forms.png from the files of the table in
docs/boundary_forms.md. The errors that it shows are stored in the image as well, where
a test compares them with the files.
"""

import json
from pathlib import Path

import boundary_tables
from matplotlib.figure import Figure
from PIL import Image

ROOT = Path(__file__).parents[1]
FIGURE = ROOT / "docs" / "figures" / "boundary_forms.png"
RESULTS = ROOT / "benchmarks" / "results" / "evidence" / "boundary" / "quick"
#: Colour and marker of each network.
_STYLES = {
    "plain": ("#999999", "x"),
    "overwrite": ("#0072B2", "o"),
    "default": ("#D55E00", "D"),
}


def errors(results: Path = RESULTS) -> dict[str, dict[str, float]]:
    """Errors by study: plain, overwritten, and of the form that physcon chooses."""
    found = {}
    for name in boundary_tables.CONDITIONS:
        path = results / f"{name}.json"
        if not path.exists():
            continue
        content = json.loads(path.read_text())
        rows = {row["method"]: row["relative_l2"] for row in content["results"]}
        methods = {"default": boundary_tables.default_of(content)}
        methods |= {"plain": "plain", "overwrite": "overwrite"}
        found[name] = {k: float(f"{rows[methods[k]]:.4g}") for k in _STYLES}
    return found


def stored(path: Path = FIGURE) -> dict[str, dict[str, float]]:
    """The errors that a figure shows."""
    with Image.open(path) as image:
        return json.loads(image.text["errors"])


def draw(path: Path = FIGURE) -> None:
    """Draw the errors of all studies, those with the largest gain on top."""
    found = errors()
    names = sorted(found, key=lambda name: -_gain(found[name]))
    figure = Figure(figsize=(7.5, 0.3 * len(names) + 1.3), layout="constrained")
    axis = figure.subplots()
    for y, name in enumerate(names):
        row = found[name]
        axis.plot(
            [row["default"], row["overwrite"]], [y, y], color="#D55E00", lw=1, zorder=1
        )
        text = f"÷ {1 / _gain(row):.1f}"
        axis.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), va="center")
    for method, (colour, marker) in _STYLES.items():
        values = [found[name][method] for name in names]
        label = {"default": "default form", "overwrite": "boundary overwritten"}
        axis.scatter(
            values,
            range(len(names)),
            color=colour,
            marker=marker,
            label=label.get(method, method),
            zorder=2,
        )
    kinds = boundary_tables.CONDITIONS
    labels = [f"{name.replace('_', ' ')} ({kinds[name]})" for name in names]
    axis.set_yticks(range(len(names)), labels, fontsize=9)
    axis.set(xscale="log", xlabel="relative error of the whole field")
    axis.grid(axis="x", color="#dddddd", lw=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9, loc="lower left")
    figure.savefig(path, dpi=150, metadata={"errors": json.dumps(found)})


def _gain(row: dict[str, float]) -> float:
    return row["default"] / row["overwrite"]


if __name__ == "__main__":
    draw()
