"""The figure of the floors, drawn from the contract that import-linter checks."""

import tomllib
from pathlib import Path

from matplotlib.figure import Figure

#: What the parts of a floor are for, by the first part.
PURPOSE = {
    "cli": "commands",
    "datasets": "what users run",
    "constrain": "what users run",
    "training": "around a model",
    "models": "predictions as Gaussians",
    "problems": "equations with exact solutions",
    "conditioning": "the three components",
    "boundary_rows": "a condition as a row",
    "boundary": "what a condition is",
    "linear_map": "rows and covariance roots",
    "mesh": "unstructured control volumes",
    "grid": "where fields live",
    "quadrature": "rules of integration",
    "_numerics": "float64, factors, transforms",
}
COLOURS = ("#dbe9f6", "#e3f1dd", "#fdebd0", "#f3e1ef")


def floors(pyproject: Path) -> list[list[str]]:
    """The parts of every floor, the highest first; small private floors joined."""
    contracts = tomllib.loads(pyproject.read_text())["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]
    found = [[part.strip(" ()") for part in layer.split("|")] for layer in layers]
    found = [parts for parts in found if parts != ["__main__"]]
    ground = [parts for parts in found if all(p.startswith("_") for p in parts)]
    above = [parts for parts in found if parts not in ground]
    return [*above, [part for parts in ground for part in parts]]


def write_figure(path: Path, pyproject: Path) -> None:
    """Floors as bands; a module imports only from the bands below its own."""
    stack = floors(pyproject)
    rows = [(parts, _lines(parts)) for parts in stack]
    height = sum(0.34 + 0.3 * len(lines) for _, lines in rows)
    figure = Figure(figsize=(9, 0.75 * height))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, 9), ylim=(0, height))
    axis.axis("off")
    top = height
    for index, (parts, lines) in enumerate(rows):
        tall = 0.34 + 0.3 * len(lines)
        colour = COLOURS[index % len(COLOURS)]
        box = (0.1, top - tall + 0.06)
        axis.add_patch(_rectangle(box, 6.5, tall - 0.12, colour))
        middle = top - tall / 2
        text = "\n".join(lines)
        axis.text(0.3, middle, text, va="center", family="monospace", size=9.5)
        purpose = next((PURPOSE[p] for p in parts if p in PURPOSE), "")
        axis.text(6.8, middle, purpose, va="center", size=9.5, style="italic")
        top -= tall
    figure.savefig(path)


def _lines(parts: list[str], width: int = 62) -> list[str]:
    """The names of a floor, wrapped."""
    lines = [""]
    for part in parts:
        longer = f"{lines[-1]}   {part}".strip()
        if len(longer) > width:
            lines.append(part)
        else:
            lines[-1] = longer
    return lines


def _rectangle(corner: tuple[float, float], width: float, height: float, colour: str):
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.08"
    return FancyBboxPatch(
        corner, width, height, boxstyle=style, facecolor=colour, edgecolor="#888888"
    )
