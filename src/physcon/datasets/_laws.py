"""The kinds of laws about named variables, as plain dataclasses."""

from dataclasses import dataclass, field
from typing import Any, Literal

from physcon._require import require
from physcon.datasets._tidy import Names, Number, Terms, Tidy, Weights

Coordinates = Literal["centres", "nodes", "faces"]


@dataclass(frozen=True)
class Total(Tidy):
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
    over: Names = None
    weights: Weights = None
    std: Number | None = None


@dataclass(frozen=True)
class Mean(Total):
    """The weighted mean of a variable over some dimensions is known: see `Total`."""


@dataclass(frozen=True)
class DryAir(Tidy):
    """The mass of dry air is known: of all air below the surface pressure, less water.

    The mass is linear in the surface pressure, which is corrected; the water is given.

    Attributes:
        of: name of the surface pressure.
        water: names of the specific humidities and other water, in kg per kg of air, on
            hybrid sigma-pressure levels.
        equals: a mass in kg, the name of a variable, or ``"initial"``: the mass at the
            first time.
        weights: areas of the columns, see `Total`.
        std: standard deviation of the mass; None: it is exact.
    """

    of: str
    water: Names
    equals: Number | str = "initial"
    weights: Weights = None
    std: Number | None = None


@dataclass(frozen=True)
class BlockMean(Tidy):
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
class Sum(Tidy):
    """A sum of variables is known at every point.

    Attributes:
        of: the terms.
        equals: a number, or the name of a variable.
        std: standard deviation of the sum; None: it is exact.
    """

    of: Terms
    equals: Number | str
    std: Number | None = None


@dataclass(frozen=True)
class Budget(Tidy):
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
        over: dimensions to integrate over, such as the levels of a stored amount whose
            rates are fluxes through the surface; with ``per: total``, the horizontal
            dimensions as well. A rate without one of them is a rate per area.
    """

    storage: str
    inflow: Terms = ()
    outflow: Terms = ()
    time: str = "time"
    per: Literal["column", "total"] = "column"
    fluxes: Literal["end", "start"] = "end"
    step: Number | None = None
    weights: Weights = None
    std: Number | None = None
    over: Names = None


@dataclass(frozen=True)
class Between(Tidy):
    """Every value of a variable lies between two bounds.

    Attributes:
        of: name of the variable.
        lower: a number or the name of a variable; None: no lower bound.
        upper: a number or the name of a variable; None: no upper bound.
    """

    of: str
    lower: Number | str | None = None
    upper: Number | str | None = None

    def __post_init__(self) -> None:
        """Convert all entries, of which one or two are bounds."""
        super().__post_init__()
        none = self.lower is None and self.upper is None
        require(not none, "a lower or an upper bound", "none", "give a number")


@dataclass(frozen=True)
class Order(Tidy):
    """One variable is at most another, at every point."""

    lesser: str
    greater: str


@dataclass(frozen=True)
class Values(Tidy):
    """Values of a variable are known at some points.

    Attributes:
        of: name of the variable.
        where: name of a variable that is true (not zero) at these points.
        equals: a number or the name of a variable.
    """

    of: str
    where: str
    equals: Number | str


AnyLaw = Total | DryAir | BlockMean | Sum | Budget | Between | Order | Values
KINDS: dict[str, type] = {
    "total": Total,
    "mean": Mean,
    "dry_air": DryAir,
    "block_mean": BlockMean,
    "sum": Sum,
    "budget": Budget,
    "between": Between,
    "order": Order,
    "values": Values,
}


@dataclass(frozen=True)
class Laws(Tidy):
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
        gravity: acceleration of gravity in m s-2, for the mass of hybrid levels.
    """

    laws: tuple[AnyLaw, ...]
    spread: Any = field(default_factory=dict)
    coordinates: Coordinates | None = None
    radius: Number | None = None
    seed: int = 0
    gravity: Number | None = None


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
