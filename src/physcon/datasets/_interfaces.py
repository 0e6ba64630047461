"""The coefficients of hybrid levels at both sides of every layer."""

from typing import Any

import numpy as np

from physcon._require import require
from physcon.datasets._units import conversion


def layer_edges(
    data: Any, level: Any, terms: dict[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return a (in Pa) and b at both sides of each layer, ``(n, 2)``.

    The interfaces are bounds of the terms, terms of the bounds of the coordinate, or
    variables with one more value than there are levels, in either order.

    Raises:
        ValueError: the dataset has no interfaces.
    """
    if "sigma" in terms:
        sigma = _edges(data, level, "sigma", terms)
        top = _scalar(data, terms["ptop"]) if "ptop" in terms else 0.0
        return top * (1 - sigma), sigma
    b = _edges(data, level, "b", terms)
    if "ap" in terms:
        return _edges(data, level, "ap", terms) * pascals(data, terms["ap"]), b
    if "a" not in terms:
        return np.zeros_like(b), b
    require(
        "p0" in terms,
        f"p0 in formula_terms of {str(level.name)!r}, next to a",
        repr(terms),
        "add it, or name the coefficient ap if it is a pressure",
    )
    return _edges(data, level, "a", terms) * _scalar(data, terms["p0"]), b


def _edges(data: Any, level: Any, key: str, terms: dict[str, str]) -> np.ndarray:
    """Return one term at both sides of each layer, matched with its mid-levels."""
    name = terms[key]
    count = level.size
    middle = np.asarray(data[name].values, np.float64)
    if middle.shape == (count + 1,):
        return np.stack([middle[:-1], middle[1:]], -1)
    found = _pairs(data, level, key, name, count)
    if found is None:
        found = _faces(data, key, name, count, middle)
    require(
        found is not None,
        f"the interfaces of {name!r}, for the layers of {str(level.name)!r}",
        "mid-levels only",
        f"add {name}_bnds, or a variable of {count + 1} interfaces with formula_terms",
    )
    assert found is not None
    low = found.min(1)
    high = found.max(1)
    margin = 1e-6 * np.abs(found).max()
    outside = int(np.sum((middle < low - margin) | (middle > high + margin)))
    require(
        outside == 0,
        f"mid-levels of {name!r} between their interfaces",
        f"{outside} outside",
        "sort levels and interfaces in the same order",
    )
    return found


def _pairs(data: Any, level: Any, key: str, name: str, count: int) -> np.ndarray | None:
    """Return the bounds of a term, ``(n, 2)``, if the dataset has them."""
    own = data[name].attrs.get("bounds", data[name].encoding.get("bounds"))
    trials = [own, f"{name}_bnds", f"{name}_bounds"]
    bounds = level.attrs.get("bounds", level.encoding.get("bounds"))
    if bounds in data.variables:
        both = {**data[bounds].encoding, **data[bounds].attrs}
        words = str(both.get("formula_terms", "")).replace(":", " ").split()
        trials.insert(0, dict(zip(words[::2], words[1::2], strict=False)).get(key))
    for each in trials:
        if each in data.variables and data[each].shape == (count, 2):
            return np.asarray(data[each].values, np.float64)
    return None


def _faces(
    data: Any, key: str, name: str, count: int, middle: np.ndarray
) -> np.ndarray | None:
    """Return the bounds from a variable of interfaces, one longer than the levels."""
    trials = [name[:-1] + "i"] if name.endswith("m") else []
    for other in map(str, data.variables):
        both = {**data[other].encoding, **data[other].attrs}
        if "formula_terms" in both and data[other].shape == (count + 1,):
            words = str(both["formula_terms"]).replace(":", " ").split()
            named = dict(zip(words[::2], words[1::2], strict=False))
            trials += [named[key]] if key in named else []
    for each in trials:
        if each in data.variables and data[each].shape == (count + 1,):
            faces = np.asarray(data[each].values, np.float64)
            pairs = np.stack([faces[:-1], faces[1:]], -1)
            turned = pairs[::-1, ::-1]
            return min(pairs, turned, key=lambda p: np.abs(p.mean(1) - middle).max())
    return None


def _scalar(data: Any, name: str) -> float:
    """Return a pressure that is one number, in Pa."""
    value = np.asarray(data[name].values, np.float64)
    require(value.size == 1, f"one value of {name!r}", value.shape, "reduce it")
    return float(value.ravel()[0]) * pascals(data, name)


def pascals(data: Any, name: str) -> float:
    """Return the number of Pa in the unit of a variable; 1 where it has no unit."""
    unit = str(data[name].attrs.get("units", ""))
    if unit in ("", "1"):
        return 1.0
    factor = conversion("Pa", unit)
    require(
        factor is None or factor > 0,
        f"a pressure {name!r}",
        f"units {unit!r}",
        "correct its units",
    )
    return 1.0 if factor is None else factor
