"""Tables of README and documentation that hold results of benchmarks.

They belong to docs/evidence_tables.py; the results lie in benchmarks/results.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from markdown_tables import markdown

_FIXERS = {
    "fme_dry_air": "fme: dry air",
    "fme_moisture": "fme: moisture",
    "fme_advection": "fme: advection",
    "fme_energy": "fme: energy",
    "fme_ocean_heat": "fme: ocean heat",
    "credit_mass": "miles-credit: mass",
    "credit_water": "miles-credit: water",
    "credit_energy": "miles-credit: energy",
}
_MESH_SCHEMES = {
    "first_order": "first order, hllc",
    "multidimensional": "limited at the nodes, hllc",
    "venkatakrishnan": "limited by Venkatakrishnan, hllc",
    "barth_jespersen": "limited by Barth and Jespersen, hllc",
    "faces": "first order, rusanov, forward Euler",
}
#: Commands of benchmarks that need arguments.
_COMMANDS = {
    "compiled-cuda": "compiled.py --target cuda",
    "compiled-tpu": "compiled.py --target tpu",
    "bench_operator_data": "bench_operator_data.py --data DATA --torch-python PYTHON",
}


def tables(results: Path) -> dict[str, str]:
    """The tables by name, as Markdown, of all files that exist."""
    makers: dict[str, Callable[[dict[str, Any]], list[list[str]]]] = {
        "bench_condition": _condition,
        "bench_sphere": _sphere,
        "bench_mesh": _mesh,
        "bench_fixers": _fixers,
        "compiled-cuda": _compiled,
        "compiled-tpu": _compiled,
        "bench_operator_data": _operator_data,
    }
    found = {}
    for name, make in makers.items():
        path = results / f"{name}.json"
        if path.exists():
            content = json.loads(path.read_text())
            found[name] = markdown(make(content), _made(content, name))
    return found


def _condition(content: dict[str, Any]) -> list[list[str]]:
    """Times of one update in units of a copy; the smallest and the largest sizes."""
    heads = ["functions × times × points", "forward", "forward ÷ copy"]
    heads += ["forward + backward ÷ copy", "dense formula in JAX ÷ copy"]
    heads += ["peak memory ÷ inputs"]
    lines = [heads]
    for row in content["results"]:
        sizes = " × ".join(f"{n:,}" for n in row["functions, times, points"])
        ratios = row["ratio to copy"]
        dense = ratios.get("dense JAX")
        cells = [sizes, f"{1e3 * row['seconds']['forward']:.3g} ms"]
        cells += [f"{ratios['forward']:.2f}", f"{ratios['gradient']:.2f}"]
        cells.append("does not fit" if dense is None else f"{dense:.0f}")
        cells.append(f"{row['peak memory / inputs']['forward']:.1f}")
        lines.append(cells)
    return lines


def _sphere(content: dict[str, Any]) -> list[list[str]]:
    """Changes and errors after 15 days, for every mesh."""
    lines = [["cells", "mass", "energy", "potential enstrophy"]]
    lines[0] += ["height, l₂", "height, l∞"]
    for row in content["results"]["rows"]:
        cells = [f"{6 * row['n'] ** 2:,}", f"{row['mass']:.0g}"]
        cells += [f"{100 * row['energy']:.2f} %", f"{100 * row['enstrophy']:.1f} %"]
        cells += [f"{row['l2']:.4f}", f"{row['l_inf']:.3f}"]
        lines.append(cells)
    return lines


def _mesh(content: dict[str, Any]) -> list[list[str]]:
    """Speed of every scheme, and beside the structured solver or the loop in C."""
    rows = content["results"]["rows"]
    lines = [["scheme", "million cell steps per second", "÷ grid", "÷ loop in C"]]
    for name, row in rows.items():
        ratios = [row.get("of_grid"), row.get("of_c")]
        if ratios == [None, None]:
            continue
        cells = [_MESH_SCHEMES[name], f"{row['mesh_cell_steps_per_s'] / 1e6:.1f}"]
        lines.append([*cells, *("" if x is None else f"{x:.2f}" for x in ratios)])
    return lines


def _fixers(content: dict[str, Any]) -> list[list[str]]:
    """Differences from the packages, and what a spread gains over a named metric."""
    heads = ["fixer", "`spread`", "difference", "correction", "CRPS"]
    ways = ("metric", "climatology", "ensemble")
    lines = [[*heads, *ways]]
    for name, title in _FIXERS.items():
        row = content["results"][name]
        cells = [title, f"`{row['spread']}`", f"{row['difference_over_eps']:.1f} eps"]
        if "crps_before" in row:
            before = row["crps_before"]
            size = row["correction_ensemble"] / row["correction_metric"]
            cells += [f"× {size:.2f}", f"{before:.3g}"]
            ratios = [row[f"crps_{way}"] / before for way in ways]
            cells += [f"{100 * (ratio - 1):.0f} %" for ratio in ratios]
        else:
            cells += [""] * (2 + len(ways))
        lines.append(cells)
    return lines


def _compiled(content: dict[str, Any]) -> list[list[str]]:
    """Kernels and bytes of every program whose least number of bytes is known."""
    target = content["results"]["target"]
    lines = [[f"{target}, float32", "kernels", "bytes moved / least", "bound"]]
    for row in content["results"]["programs"]:
        if row["least GB"] is None:
            continue
        moved = row["GB moved"] / row["least GB"]
        cells = [row["program"], str(row["kernels"]), f"{moved:.2g}"]
        lines.append([*cells, f"{row['ceiling']:.2f}"])
    return lines


def _operator_data(content: dict[str, Any]) -> list[list[str]]:
    """Errors of both libraries on the test grids, and when each network was trained."""
    heads = []
    cells: dict[str, list[str]] = {"physcon": [], "neuraloperator": []}
    for one in sorted(content["results"], key=lambda one: one["problem"]):
        for run in one["runs"]:
            every = run["relative_l2"].items()
            public = {name: error for name, error in every if name.endswith("public")}
            nodes = [name.split()[0].rpartition("x")[2] for name in public]
            day = run.get("measured", content["environment"])["date"][:10]
            errors = " / ".join(f"{error:#.3g}" for error in public.values())
            cells[run["library"]] += [errors, day]
        heads += [f"{one['problem'].title()}, {' / '.join(nodes)} nodes", "trained on"]
    return [["", *heads], *([name, *row] for name, row in cells.items())]


def _made(content: dict[str, Any], name: str) -> str:
    about = content["environment"]
    cores = "one core" if about["cores"] == 1 else f"{about['cores']} cores"
    versions = about["versions"]
    command = _COMMANDS.get(name, f"{name}.py")
    return (
        f"`python benchmarks/{command}`; {about['date'][:10]}, {cores} of "
        f"{about['processor']}, jax {versions['jax']}, numpy {versions['numpy']}."
    )
