"""Targets of the first time as variables, so that times can be treated apart."""

import dataclasses
from typing import Any

from physcon.datasets._axes import space_dims
from physcon.datasets._dry_air import first_mass
from physcon.datasets._laws import DryAir, Laws, Total
from physcon.datasets._times import time_of
from physcon.datasets._totals import first_total


def with_first_targets(data: Any, laws: Laws) -> tuple[Any, Laws]:
    """Replace ``equals: initial`` by variables that hold the values of the first time.

    Only the first time is read.
    """
    found = list(laws.laws)
    for number, law in enumerate(laws.laws):
        if isinstance(law, Total | DryAir) and law.equals == "initial":
            over = tuple(getattr(law, "over", None) or space_dims(data, law.of))
            time = time_of(data, law.of, over)
            if not data.sizes[time]:
                continue
            first = data.isel({time: [0]})
            name = f"_first_{number}"
            if isinstance(law, DryAir):
                known = first_mass(law, first, laws)
            else:
                known = first_total(law, first, laws)
            data = data.assign({name: known})
            found[number] = dataclasses.replace(law, equals=name)
    return data, dataclasses.replace(laws, laws=tuple(found))
