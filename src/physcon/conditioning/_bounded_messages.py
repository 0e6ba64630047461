"""The sentences that `bounded` and `sample_bounded` raise."""

import numpy as np

from physcon._checks import concrete
from physcon._typing import Array

#: Those of `bounded` and `sample_bounded`.
MESSAGES = {
    "few_moves": (
        "sample_bounded: expected every free point to move several times, got too few "
        "moves for the draws to be trusted; raise sweeps, or drop rows"
    ),
    "not_finite": (
        "bounded: expected a finite mean, standard deviation, operator and value, and "
        "bounds that are numbers, got NaN or infinity; pass None, -inf (lower) or inf "
        "(upper) for an open bound"
    ),
    "disordered": (
        "bounded: expected lower <= upper everywhere, got a point with lower > upper; "
        "swap the bounds"
    ),
    "unreachable": (
        "bounded: expected a value that some field within the bounds has, got one out "
        "of reach; call `reachable` for the interval of each row"
    ),
    "contradiction": (
        "bounded: expected rows that can be met together within the bounds, got rows "
        "that contradict each other there; drop one of them, widen the bounds, or give "
        "the constraint a noise_std"
    ),
    "not_solved": (
        "bounded: expected rows that can be met together within the bounds, got no "
        "convergence; drop contradicting rows, or give the constraint a noise_std"
    ),
}


def unreachable_rows(
    unreachable: Array | np.ndarray,
    lowest: Array | np.ndarray,
    highest: Array | np.ndarray,
    value: Array | np.ndarray,
) -> str:
    """The refusal of rows out of reach; it names them where values are known.

    Args:
        lowest, highest: ends of what each row can reach.
        value: of each row.
    """
    known = concrete(unreachable)
    ends = concrete(lowest), concrete(highest), concrete(value)
    if known is None or any(end is None for end in ends):
        return MESSAGES["unreachable"]
    least, most, wanted = (np.ravel(end) for end in ends)  # type: ignore
    rows = np.flatnonzero(known)
    missed = np.maximum(least - wanted, wanted - most)
    named = [
        f"row {r} got {wanted[r]:.6g}, out of reach [{least[r]:.6g}, {most[r]:.6g}] by "
        f"{missed[r]:.3g}"
        for r in rows[:5]
    ]
    more = f", and {rows.size - 5} more" if rows.size > 5 else ""
    return (
        "bounded: expected values that some field within the bounds has; "
        f"{', '.join(named)}{more}; widen the bounds, or give the constraint a "
        "noise_std"
    )


#: Those of `marginal_moments`.
MARGINAL = {
    name: MESSAGES[name].replace("bounded:", "marginal_moments:")
    for name in ("not_finite", "disordered")
}
