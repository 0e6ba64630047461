"""The variables and dimensions that laws mention, by name."""

from typing import Any

from physcon._require import require
from physcon.datasets._axes import is_member
from physcon.datasets._laws import Laws, names_of, title


def check_names(data: Any, laws: Laws) -> None:
    """Raise unless all variables of the laws are present and hold real numbers.

    Raises:
        ValueError: a variable is missing, or does not hold real numbers.
    """
    require(
        hasattr(data, "data_vars"),
        "data: an xarray.Dataset",
        f"a {type(data).__name__}",
        "pass array.to_dataset(name=...) for one array",
    )
    for law in laws.laws:
        for name in names_of(law):
            known = sorted(map(str, data.data_vars))
            grouped = [n for n in known if n.endswith(f"/{name}")]
            require(
                name in data.data_vars or name in data.coords,
                f"a variable {name!r} for {title(law)!r}",
                f"variables {known}",
                f"name it with its group ({grouped[0]})"
                if grouped
                else "name a variable of the dataset",
            )
            require(
                name not in data.indexes,
                f"a variable to correct for {title(law)!r}",
                f"the coordinate {name!r}",
                "name a variable that is not an index",
            )
            require(
                data[name].dtype.kind in "fiu",
                f"real numbers in {name!r}",
                str(data[name].dtype),
                "convert it to numbers",
            )


def changed_names(laws: Laws) -> list[str]:
    """Return the names of the variables that laws are about, without repetition."""
    return list(dict.fromkeys(n for law in laws.laws for n in names_of(law)))


def spread_names(data: Any, laws: Laws) -> list[str]:
    """Return the variables that hold the spread of one other, and follow its change."""
    return list(spread_pairs(data, laws).values())


def spread_pairs(data: Any, laws: Laws) -> dict[str, str]:
    """Return variables whose spread is a variable of their own, and its name."""
    given = laws.spread
    if isinstance(given, str):
        given = {n: given for n in changed_names(laws)}
    if not isinstance(given, dict):
        return {}
    named = {n: s for n, s in given.items() if isinstance(s, str) and s in data}
    once = list(named.values())
    return {
        n: s
        for n, s in named.items()
        if once.count(s) == 1 and n in data and data[s].dims == data[n].dims
    }


def ensemble_dims(data: Any, laws: Laws) -> set[str]:
    """Return the dimensions of members along which a spread is computed."""
    given = laws.spread
    entries = [given, *given.values()] if isinstance(given, dict) else [given]
    named = {
        str(e["ensemble"]) for e in entries if isinstance(e, dict) and "ensemble" in e
    }
    if "ensemble" in entries and "ensemble" not in data.variables:
        named |= {d for d in map(str, data.dims) if is_member(d)}
    return named
