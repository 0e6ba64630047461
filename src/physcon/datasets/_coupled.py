"""Laws whose weights depend on a surface pressure that another law would change."""

from collections.abc import Mapping
from typing import Any

from physcon._require import require
from physcon.datasets._axes import space_dims
from physcon.datasets._budgets import summed
from physcon.datasets._laws import Budget, DryAir, Laws, Total, names_of, title
from physcon.datasets._layers import pressure_of


def check_pressures(data: Any, laws: Laws, std: Mapping[str, Any]) -> None:
    """Refuse to change a surface pressure and what is integrated with it at once.

    The integral is linear only while the pressure is known.
    """
    for law in laws.laws:
        water = law.water if isinstance(law, DryAir) else ()
        wet = [n for n in water if n in std and bool((std[n] > 0).any())]
        require(
            not wet,
            f"known water {wet} for {title(law)!r}",
            "another law that changes it",
            "constrain one after the other",
        )
        for name in names_of(law):
            pressure = _pressure(data, law, name, laws)
            if pressure is None or pressure not in std:
                continue
            moved = bool((std[pressure] > 0).any())
            require(
                not moved,
                f"a known pressure {pressure!r} for {title(law)!r}",
                "another law that changes it",
                f"constrain {pressure!r} first, then {name!r} with the new pressure",
            )


def _pressure(data: Any, law: Any, name: str, laws: Laws) -> str | None:
    """Return the surface pressure that a variable's weights in a law depend on."""
    if isinstance(law, DryAir) or getattr(law, "weights", None) is not None:
        return None
    if isinstance(law, Total):
        return pressure_of(data, name, law.over or space_dims(data, name))
    if isinstance(law, Budget):
        own = [d for d in summed(law, data) if d in data[name].dims]
        return pressure_of(data, name, own)
    return None
