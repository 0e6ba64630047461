"""The sentences that `constrained` raises."""

import numpy as np

from physcon._checks import concrete
from physcon._typing import Array


def messages(multiplier: Array, gap: Array, equalities: int) -> dict[str, str]:
    """The sentences to raise; a contradiction names the rows that prove it.

    Args:
        gap: by how much every field misses the combination of the rows.
    """
    known = concrete(multiplier)
    missed = concrete(gap)
    named = ""
    if known is not None and missed is not None:
        share = np.abs(known.ravel())
        worst = np.argsort(-share)[:5]
        worst = worst[share[worst] > 1e-3 * share.max(initial=0)]
        names = [
            f"row {r}" if r < equalities else f"inequality row {r - equalities}"
            for r in worst
        ]
        if names:
            least = missed / share.max()
            named = (
                f" (the proof combines {', '.join(names)}: with weights of at most 1 "
                f"in size every field within the bounds misses it by {least:.3g})"
            )
    return {
        "contradiction": (
            "constrained: expected rows and bounds that some field can meet together, "
            f"got ones that contradict each other{named}; widen the bounds, correct "
            "these rows, or pass a noise_std to the constraint"
        ),
        **_MESSAGES,
    }


_MESSAGES = {
    "not_finite": (
        "constrained: expected a finite mean, root and operator, and bounds that are "
        "numbers, got NaN or infinity; pass None, -inf (lower) or inf (upper) for an "
        "open bound"
    ),
    "disordered": (
        "constrained: expected lower <= upper and row_lower <= row_upper everywhere, "
        "got a lower one above its upper one; swap them"
    ),
    "not_solved": (
        "constrained: expected rows and bounds that can be met together, got no "
        "convergence; check that they don't contradict each other, or pass a noise_std "
        "to the constraint"
    ),
}
