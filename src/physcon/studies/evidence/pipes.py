"""A network of pipes from an EPANET input file, and the flows in it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from physcon._checks import require
from physcon._typing import Float, Int

_REMEDY = (
    "pass an EPANET input file (.inp); for Net3 in the package wntr, run pip install "
    "--no-deps --target real wntr and pass --data real/wntr/library/networks/Net3.inp"
)


class Pipes(NamedTuple):
    """A network of pipes.

    Attributes:
        ends: junctions at the ends of each pipe, pump or valve, ``(e, 2)``; -1: a tank
            or a reservoir.
        demand: what leaves at each junction, ``(j)``.
        resistance: of each pipe, up to a factor, ``(e)``: the head lost is resistance
            times flow to the power 1.852. That of pumps and valves is small.
    """

    ends: Int[np.ndarray, "e 2"]
    demand: Float[np.ndarray, " j"]
    resistance: Float[np.ndarray, " e"]


def read_pipes(data: Path | None) -> Pipes:
    """Read junctions, pipes, pumps and valves; patterns and controls are ignored.

    Raises:
        ValueError: if there is no file, or no junctions in it.
    """
    require(data is not None, "--data FILE with a network", "no file", _REMEDY)
    path = Path(str(data))
    require(path.is_file(), f"a file {path}", "none", _REMEDY)
    section = ""
    lines: dict[str, list[list[str]]] = {}
    for line in path.read_text(errors="replace").splitlines():
        words = line.split(";")[0].split()
        if words and words[0].startswith("["):
            section = words[0].upper()
        elif words:
            lines.setdefault(section, []).append(words)
    require("[JUNCTIONS]" in lines, f"[JUNCTIONS] in {path}", list(lines), _REMEDY)
    number = {words[0]: i for i, words in enumerate(lines["[JUNCTIONS]"])}
    parts = ("[PIPES]", "[PUMPS]", "[VALVES]")
    links = [words for part in parts for words in lines.get(part, [])]
    ends = np.array([[number.get(node, -1) for node in words[1:3]] for words in links])
    demand = [float(words[2]) for words in lines["[JUNCTIONS]"]]
    known = [_resistance(words) for words in lines.get("[PIPES]", [])]
    rest = [min(known, default=1.0)] * (len(links) - len(known))
    # A link between two tanks has no junction that it could balance.
    inner = ends[:, 0] != ends[:, 1]
    return Pipes(ends[inner], np.array(demand), np.array(known + rest)[inner])


def _resistance(words: list[str]) -> float:
    """Of a pipe (name, ends, length, diameter, roughness), by Hazen and Williams."""
    length, diameter, roughness = map(float, words[3:6])
    return length / (roughness**1.852 * diameter**4.871)


def hydraulic_flows(
    pipes: Pipes,
    demand: Float[np.ndarray, " j"],
    start: Float[np.ndarray, " e"] | None = None,
    steps: int = 100,
) -> Float[np.ndarray, " e"]:
    """The flows of Hazen and Williams if all tanks and reservoirs have one head.

    They balance at every junction and minimise the sum of resistance times |flow| to
    the power 2.852, by Newton's method.

    Args:
        start: flows to start from; None for ones.

    Raises:
        ValueError: if the flows don't settle.

    Source: Todini and Pilati, in Computer Applications in Water Supply 1 (1988) 1.
    """
    inner = np.zeros((len(pipes.demand), len(pipes.ends)))
    for edge, (first, last) in enumerate(pipes.ends):
        if first >= 0:
            inner[first, edge] -= 1
        if last >= 0:
            inner[last, edge] += 1
    flow = np.ones(len(pipes.ends)) if start is None else start
    small = 1e-6 * np.abs(demand).sum()
    change = np.inf
    for _ in range(steps):
        along = 1 / (pipes.resistance * np.maximum(np.abs(flow), small) ** 0.852)
        head = np.linalg.solve((inner * along) @ inner.T, demand)
        new = along * (inner.T @ head)
        change = np.abs(new - flow).max() / np.abs(new).max()
        if change < 1e-9:
            return new
        flow = flow + (new - flow) / 1.852
    require(
        False,
        "flows that settle",
        f"a relative change by {change:.2g} in the last step",
        "look at the resistances of the file",
    )
    return flow
