"""Laws about named variables: from YAML, from a dictionary, or in Python."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from physcon._checks import require
from physcon._extras import needs

Coordinates = Literal["centres", "nodes", "faces"]
Number = float | int
Weights = str | tuple[str, ...] | None


@dataclass(frozen=True)
class Term:
    """A variable in a sum.

    Attributes:
        of: name of the variable.
        times: coefficient.
        given: whether the variable is certain, whatever its spread.
    """

    of: str
    times: Number = 1.0
    given: bool = False


@dataclass(frozen=True)
class Total:
    """The weighted sum of a variable over the cells of some dimensions is known.

    Attributes:
        of: name of the variable.
        equals: a number, the name of a variable (matched by its dimensions), or
            ``"initial"``: the total at the first time.
        over: dimensions to sum over; default: latitude and longitude, or all except
            time and members.
        weights: name of a variable of weights, or several to be multiplied, or
            ``"equal"``; default: areas and widths of the cells from the coordinates.
        std: standard deviation of the total; None: it is exact.
    """

    of: str
    equals: Number | str
    over: tuple[str, ...] | None = None
    weights: Weights = None
    std: Number | None = None


@dataclass(frozen=True)
class Mean(Total):
    """The weighted mean of a variable over some dimensions is known: see `Total`."""


@dataclass(frozen=True)
class BlockMean:
    """Means over blocks of cells equal the values of a coarser variable.

    Attributes:
        of: name of the fine variable.
        like: name of the coarse variable, on dimensions of the same names or with a
            common suffix such as ``lat_coarse``. Where it is missing nothing is known.
        weights: see `Total`.
        std: standard deviation of the means; None: they are exact.
    """

    of: str
    like: str
    weights: Weights = None
    std: Number | None = None


@dataclass(frozen=True)
class Sum:
    """A sum of variables is known at every point.

    Attributes:
        of: the terms.
        equals: a number, or the name of a variable.
        std: standard deviation of the sum; None: it is exact.
    """

    of: tuple[Term, ...]
    equals: Number | str
    std: Number | None = None


@dataclass(frozen=True)
class Budget:
    """Storage changes from one time to the next by inflow minus outflow.

    Attributes:
        storage: name of the stored amount.
        inflow: rates that add to it, per second (or per unit of `step`).
        outflow: rates that reduce it.
        time: name of the dimension of time.
        per: ``"column"``: the budget closes at every point; ``"total"``: in the sum
            over the cells of all dimensions except time and members.
        fluxes: ``"end"``: a rate with the label of time k is the mean over the interval
            that ends there; ``"start"``: over the one that starts there.
        step: length of a time step; default: from the coordinate of time, in seconds.
        weights: see `Total`, for ``per: total``.
        std: standard deviation of the budget of a step; None: it is exact.
    """

    storage: str
    inflow: tuple[Term, ...] = ()
    outflow: tuple[Term, ...] = ()
    time: str = "time"
    per: Literal["column", "total"] = "column"
    fluxes: Literal["end", "start"] = "end"
    step: Number | None = None
    weights: Weights = None
    std: Number | None = None


@dataclass(frozen=True)
class Between:
    """Every value of a variable lies between two bounds.

    Attributes:
        of: name of the variable.
        lower: a number or the name of a variable; None: no lower bound.
        upper: a number or the name of a variable; None: no upper bound.
    """

    of: str
    lower: Number | str | None = None
    upper: Number | str | None = None


@dataclass(frozen=True)
class Order:
    """One variable is at most another, at every point."""

    lesser: str
    greater: str


@dataclass(frozen=True)
class Values:
    """Values of a variable are known at some points.

    Attributes:
        of: name of the variable.
        where: name of a variable that is true (not zero) at these points.
        equals: a number or the name of a variable.
    """

    of: str
    where: str
    equals: Number | str


AnyLaw = Total | BlockMean | Sum | Budget | Between | Order | Values
KINDS: dict[str, type] = {
    "total": Total,
    "mean": Mean,
    "block_mean": BlockMean,
    "sum": Sum,
    "budget": Budget,
    "between": Between,
    "order": Order,
    "values": Values,
}


@dataclass(frozen=True)
class Laws:
    """Laws, and what they need to know about the variables.

    Attributes:
        laws: the laws.
        spread: how uncertain each variable is, by name; or one entry for all variables
            that the laws name first. See `physcon.datasets.constrain`.
        coordinates: what 1-D coordinates without bounds hold: ``"centres"`` of cells,
            ``"nodes"`` (positions of point values) or ``"faces"``.
        radius: radius of the sphere in metres, for latitudes and longitudes.
        seed: random seed of the perturbed right-hand sides of an ensemble's members,
            for laws with a std.
    """

    laws: tuple[AnyLaw, ...]
    spread: Any = field(default_factory=dict)
    coordinates: Coordinates | None = None
    radius: Number | None = None
    seed: int = 0


def laws(
    source: "str | Path | Mapping | Sequence | AnyLaw | Laws", **options: Any
) -> Laws:
    """Return laws from a YAML file, YAML text, a dictionary, or laws made in Python.

    Args:
        source: for example ``"laws.yaml"``, ``"mean: {of: tas, equals: 288.1}"``, or
            ``[Mean("tas", 288.1)]``.
        **options: `spread`, `coordinates`, `radius` or `seed`, which replace those of
            the source.

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
    kinds = (None, "centres", "nodes", "faces")
    require(
        settings["coordinates"] in kinds,
        "coordinates: centres, nodes or faces",
        repr(settings["coordinates"]),
        "say what the coordinates hold",
    )
    return Laws(found.laws, **settings)


def _yaml(source: str | Path) -> Any:
    with needs("cli"):
        import yaml
    text = str(source)
    if "\n" not in text and Path(text).suffix in (".yaml", ".yml", ".json"):
        require(
            Path(text).is_file(),
            "a file of laws",
            f"no file at {text}",
            "check the path",
        )
        text = Path(text).read_text()
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
    values = {k: _value(kind, k, v) for k, v in entries.items()}
    optional = {f.name for f in fields(KINDS[kind]) if f.default is not MISSING}
    missing = sorted(set(allowed) - optional - set(values))
    require(not missing, f"all entries of {kind!r}", f"none for {missing}", "add them")
    return KINDS[kind](**values)


def _order(entries: Any) -> Order:
    good = isinstance(entries, Sequence) and len(entries) == 3
    good = good and entries[1] in ("<=", ">=")
    require(good, 'order: [a, "<=", b]', repr(entries), "name two variables")
    first, sign, second = entries
    return Order(first, second) if sign == "<=" else Order(second, first)


def _value(kind: str, name: str, value: Any) -> Any:
    if name in ("inflow", "outflow") or (kind == "sum" and name == "of"):
        several = value if isinstance(value, Sequence) else [value]
        several = [value] if isinstance(value, str) else several
        return tuple(_term(v) for v in several)
    if name in ("over", "weights"):
        if value is None or (name == "weights" and isinstance(value, str)):
            return value
        return (value,) if isinstance(value, str) else tuple(value)
    if name in ("of", "like", "storage", "time", "where"):
        require(isinstance(value, str), f"a name for {name!r}", repr(value), "name it")
    if name in ("equals", "std", "lower", "upper", "step") and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _term(value: Any) -> Term:
    if isinstance(value, Term):
        return value
    if isinstance(value, str):
        return Term(value)
    known = {"of", "times", "given"}
    good = isinstance(value, Mapping) and "of" in value and set(value) <= known
    require(good, "a name or {of: name, times: 1.0}", repr(value), "correct the term")
    return Term(**value)


def names_of(law: AnyLaw) -> tuple[str, ...]:
    """Return the names of the variables that a law can change."""
    if isinstance(law, Sum):
        return tuple(t.of for t in law.of)
    if isinstance(law, Budget):
        return (law.storage, *(t.of for t in (*law.inflow, *law.outflow)))
    if isinstance(law, Order):
        return (law.lesser, law.greater)
    return (law.of,)


def title(law: AnyLaw) -> str:
    """Return a short name of a law for reports."""
    kind = next(k for k, c in KINDS.items() if type(law) is c)
    if isinstance(law, Order):
        return f"{law.lesser} <= {law.greater}"
    return f"{kind} of {', '.join(names_of(law))}"
