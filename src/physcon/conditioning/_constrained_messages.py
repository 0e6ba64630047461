"""The sentences that `constrained` raises."""

import numpy as np

from physcon._checks import concrete
from physcon._typing import Array


def messages(
    multiplier: Array,
    gap: Array,
    equalities: int,
    rows: int,
    caller: str = "constrained",
) -> dict[str, str]:
    """The sentences to raise; a contradiction names the rows that prove it.

    Args:
        multiplier: of all rows, then of bounds that took part as rows.
        gap: by how much every field misses the combination of the rows.
        equalities, rows: how many rows are equalities, and the number of all rows.
        caller: the function that the sentences name.
    """
    known = concrete(multiplier)
    missed = concrete(gap)
    named = ""
    if known is not None and missed is not None:
        share = np.abs(known.ravel())
        worst = np.argsort(-share)[:5]
        worst = worst[share[worst] > 1e-3 * share.max(initial=0)]
        names = [_name(int(r), equalities, rows) for r in worst]
        if names:
            least = missed / share.max()
            named = (
                f" (the proof combines {', '.join(names)}: with weights of at most 1 "
                f"in size every field within the bounds misses it by {least:.3g})"
            )
    return {
        "contradiction": (
            f"{caller}: expected rows and bounds that some field can meet together, "
            f"got ones that contradict each other{named}; widen the bounds, correct "
            "these rows, or pass a noise_std to the constraint"
        ),
        **{name: f"{caller}: {text}" for name, text in _MESSAGES.items()},
    }


def _name(row: int, equalities: int, rows: int) -> str:
    if row < equalities:
        return f"row {row}"
    if row < rows:
        return f"inequality row {row - equalities}"
    return f"the bound of point {row - rows}"


_MESSAGES = {
    "not_finite": (
        "expected a finite mean, root and operator, and bounds that are "
        "numbers, got NaN or infinity; pass None, -inf (lower) or inf (upper) for an "
        "open bound"
    ),
    "disordered": (
        "expected lower <= upper and row_lower <= row_upper everywhere, "
        "got a lower one above its upper one; swap them"
    ),
    "not_solved": (
        "expected rows and bounds that can be met together, got no "
        "convergence; check that they don't contradict each other, or pass a noise_std "
        "to the constraint"
    ),
}
