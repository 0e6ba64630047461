"""Units of the variables in a law: they must agree, and are never converted."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from physcon._require import require
from physcon.datasets._laws import AnyLaw, title


def total_units(unit: str, weights: Any) -> str:
    """Return the units of a sum over cells, in words.

    Args:
        unit: of the variable.
        weights: the weights that a law names; None: sizes of cells.

    >>> total_units("J m-2", None)
    'J m-2 times cell size'
    >>> total_units("kg", "equal")
    'kg'
    """
    if weights == "equal":
        return unit
    by = "cell size" if weights is None else "weight"
    return f"{'' if unit == '1' else unit} times {by}".strip()


def check_same_units(data: Any, names: Sequence[str], law: AnyLaw) -> None:
    """Raise unless variables with units have the same ones."""
    units = {
        n: str(data[n].attrs.get("units", "")) for n in names if n in data.variables
    }
    units = {n: u for n, u in units.items() if u}
    for n, u in units.items():
        first = next(iter(units))
        if u != units[first]:
            _compare_units(first, units[first], n, u, title(law))


def _compare_units(first: str, unit: str, second: str, other: str, law: str) -> None:
    """Raise unless two units are the same, such as "m/s" and "m s-1"."""
    got = f"{first!r} in {unit!r} and {second!r} in {other!r}"
    factor = conversion(unit, other)
    if factor is None:
        same = unit.split() == other.split()
    else:
        same = bool(np.isclose(factor, 1.0))
        if not same and factor > 0:
            got += f", a factor of {factor:.6g}"
    require(same, f"the same units in {law!r}", got, "convert one of them")


def conversion(unit: str, other: str) -> float | None:
    """Return one `other` in `unit`; None if unknown.

    It is 0 for another kind of quantity, and for scales with different zeros, such as
    degC and K.
    """
    try:
        import cf_xarray.units  # noqa: F401
        import pint
    except ImportError:
        return None
    registry = pint.get_application_registry()
    try:
        scales = [registry.Unit(u) for u in (unit, other)]
        a, b = (registry.Quantity(1.0, s).to_base_units() for s in scales)
        zeros = [registry.Quantity(0.0, s).to_base_units().magnitude for s in scales]
    except Exception:  # units that pint does not know are compared as text
        return None
    comparable = a.units == b.units and zeros[0] == zeros[1]
    return float(b.magnitude / a.magnitude) if comparable else 0.0
