"""Dimensions along which a dataset can be constrained in independent blocks."""

from collections.abc import Sequence
from typing import Any

from physcon.datasets._laws import DryAir, Laws, Total
from physcon.datasets._names import ensemble_dims
from physcon.datasets._rows import summed_dims


def batch_dim(data: Any, laws: Laws, names: Sequence[str]) -> str | None:
    """Return a dimension of all variables along which no law ties values together."""
    free = free_dims(data, laws, names)
    return free[0] if free else None


def free_dims(data: Any, laws: Laws, names: Sequence[str]) -> list[str]:
    """Return all dimensions of all variables along which no law ties values."""
    tied = ensemble_dims(data, laws)
    for law in laws.laws:
        tied |= summed_dims(law, data)
        if isinstance(law, Total | DryAir) and law.equals == "initial":
            tied |= {str(d) for d in data[law.of].dims}
    common = [d for d in map(str, data[names[0]].dims)]
    for name in names[1:]:
        common = [d for d in common if d in data[name].dims]
    return [d for d in common if d not in tied]
