"""Laws read from YAML files, YAML text, dictionaries or Python objects."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._laws import KINDS, AnyLaw, Laws, Order


def laws(
    source: "str | Path | Mapping | Sequence | AnyLaw | Laws", **options: Any
) -> Laws:
    """Return laws from a YAML file, YAML text, a dictionary, or laws made in Python.

    Args:
        source: for example ``"laws.yaml"``, ``"mean: {of: tas, equals: 288.1}"``, or
            ``[Mean("tas", 288.1)]``.
        **options: `spread`, `coordinates`, `radius`, `gravity` or `seed`, which replace
            the ones in the source.

    Raises:
        ValueError: a law or one of its entries is unknown, missing or of a wrong type.

    >>> found = laws("mean: {of: tas, equals: 288.1, over: [lat, lon]}")
    >>> found.laws[0].over
    ('lat', 'lon')
    """
    if isinstance(source, Laws):
        found = source
    elif isinstance(source, tuple(KINDS.values())):
        found = Laws((source,))  # type: ignore[arg-type]
    else:
        if isinstance(source, str | Path):
            source = _yaml(source)
        found = _from_plain(source)
    known = {f.name for f in fields(Laws)} - {"laws"}
    for name in options:
        require(name in known, f"one of {sorted(known)}", name, "correct the option")
    given = {name: value for name, value in options.items() if value is not None}
    settings = {name: getattr(found, name) for name in known} | given
    spread = settings["spread"]
    for entry in spread.values() if isinstance(spread, Mapping) else [spread]:
        require(
            isinstance(entry, str | int | float | np.number | Mapping),
            "a spread: a number, a percentage, a name or {ensemble: NAME}",
            type(entry).__name__,
            "add an array to the dataset, and name it",
        )
    return Laws(found.laws, **settings)


def _yaml(source: str | Path) -> Any:
    """Return the plain objects in a YAML file or in YAML text."""
    with needs("cli"):
        import yaml

        from physcon import _yaml as yaml_text
    text = str(source)
    if "\n" not in text and Path(text).suffix in (".yaml", ".yml", ".json"):
        require(
            Path(text).is_file(),
            "a file of laws",
            f"no file at {text}",
            "check the path",
        )
        text = yaml_text.read(Path(text))
    yaml_text.check(text, "the laws")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"expected YAML of laws, got {reason}; correct it") from error


def _from_plain(source: Any) -> Laws:
    """Return laws from a list, or from a dictionary with `laws` or with one law."""
    settings: dict[str, Any] = {}
    if isinstance(source, Mapping) and "laws" in source:
        settings = {str(k): v for k, v in source.items() if k != "laws"}
        source = source["laws"]
    elif isinstance(source, Mapping):
        known = {f.name for f in fields(Laws)} - {"laws"}
        settings = {str(k): v for k, v in source.items() if k in known}
        source = [{k: v} for k, v in source.items() if k not in known]
    remedy = "see the documentation, Files and datasets"
    known = {f.name for f in fields(Laws)}
    for name in settings:
        require(name in known, f"entries among {sorted(known)}", name, remedy)
    require(
        isinstance(source, Sequence) and not isinstance(source, str),
        "a list of laws",
        type(source).__name__,
        remedy,
    )
    found = tuple(_law(item) for item in source)
    require(len(found) > 0, "one or more laws", "none", remedy)
    return Laws(found, **settings)


def _law(item: Any) -> AnyLaw:
    """Return a law from a dictionary with one entry, such as ``{mean: {...}}``."""
    if isinstance(item, tuple(KINDS.values())):
        return item
    one = isinstance(item, Mapping) and len(item) == 1
    require(one, "a law such as {mean: {...}}", repr(item), "write one law per item")
    (kind, entries), *_ = item.items()
    require(
        kind in KINDS, f"a law among {sorted(KINDS)}", repr(kind), "correct the name"
    )
    if kind == "order":
        return _order(entries)
    require(
        isinstance(entries, Mapping), f"entries of {kind!r}", repr(entries), "use {...}"
    )
    allowed = {f.name: f for f in fields(KINDS[kind])}
    for name in entries:
        require(
            name in allowed,
            f"entries of {kind!r} among {sorted(allowed)}",
            repr(name),
            "correct the name",
        )
    values = {str(k): v for k, v in entries.items()}
    optional = {f.name for f in fields(KINDS[kind]) if f.default is not MISSING}
    missing = sorted(set(allowed) - optional - set(values))
    require(not missing, f"all entries of {kind!r}", f"none for {missing}", "add them")
    return KINDS[kind](**values)


def _order(entries: Any) -> Order:
    """Return the order of two variables from ``[a, "<=", b]``."""
    good = isinstance(entries, Sequence) and len(entries) == 3
    good = good and entries[1] in ("<=", ">=")
    require(good, 'order: [a, "<=", b]', repr(entries), "name two variables")
    first, sign, second = entries
    return Order(first, second) if sign == "<=" else Order(second, first)
