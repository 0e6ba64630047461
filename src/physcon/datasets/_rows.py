"""The sparse rows of any law, and the dimensions along which it couples values."""

from collections.abc import Callable
from typing import Any

from physcon.datasets._assemble import LawRows
from physcon.datasets._axes import space_dims
from physcon.datasets._block_means import block_dims, block_mean_rows
from physcon.datasets._budgets import budget_rows, summed
from physcon.datasets._dry_air import dry_air_rows
from physcon.datasets._laws import (
    AnyLaw,
    BlockMean,
    Budget,
    DryAir,
    Laws,
    Mean,
    Order,
    Sum,
    Total,
)
from physcon.datasets._layout import Layout
from physcon.datasets._perturb import perturbed
from physcon.datasets._sums import order_rows, sum_rows
from physcon.datasets._totals import total_rows

_MAKERS: dict[type, Callable[[Any, Layout, Laws], LawRows]] = {
    Total: total_rows,
    Mean: total_rows,
    DryAir: dry_air_rows,
    Sum: sum_rows,
    Order: order_rows,
    BlockMean: block_mean_rows,
    Budget: budget_rows,
}


def law_rows(law: AnyLaw, values: Layout, laws: Laws) -> LawRows | None:
    """Return the rows of a law; None for bounds and known values, which have none."""
    make = _MAKERS.get(type(law))
    if make is None:
        return None
    made = make(law, values, laws)
    number = laws.laws.index(law)
    return perturbed(made, values, laws, number)


def summed_dims(law: AnyLaw, data: Any) -> set[str]:
    """Return the dimensions along which a law ties values together."""
    if isinstance(law, Total):
        return set(law.over or space_dims(data, law.of))
    if isinstance(law, DryAir):
        return set(space_dims(data, law.of))
    if isinstance(law, BlockMean):
        return set(block_dims(data, law))
    if isinstance(law, Budget):
        return {law.time, *summed(law, data)}
    return set()
