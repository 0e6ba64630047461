"""The law for predictions in a file: one integral, and bounds."""

from dataclasses import dataclass

import numpy as np

from physcon._require import require
from physcon._rule import Rule


@dataclass(frozen=True)
class Law:
    """The law that the predictions have to obey.

    Attributes:
        integral: the conserved total: a number, or the name of an array in the file
            with one value per time (or per other batch entry).
        rule: quadrature for nodal values: trapezoid (default), simpson or spline.
        noise_std: standard deviation of the total, such as the size of the quadrature
            error; None: the total is exact.
        lower: lower bound on every point; None: no lower bound.
        upper: upper bound on every point; None: no upper bound.
        seed: random seed of the perturbed totals of an ensemble, which are used only
            if there is a noise_std.
    """

    integral: str
    rule: Rule | None = None
    noise_std: float | None = None
    lower: float | None = None
    upper: float | None = None
    seed: int = 0

    @property
    def bounds(self) -> tuple[float, float]:
        """The lower and the upper bound; infinite where there is none."""
        lower = -np.inf if self.lower is None else self.lower
        upper = np.inf if self.upper is None else self.upper
        return lower, upper


def check(law: Law) -> None:
    """Refuse bounds and standard deviations that make no sense."""
    low, high = law.bounds
    require(low < high, "lower < upper", f"[{low}, {high}]", "swap the bounds")
    noise = law.noise_std
    require(
        noise is None or (np.isfinite(noise) and noise >= 0),
        "noise_std >= 0",
        noise,
        "pass a standard deviation, or leave it out for an exact law",
    )


def check_reach(law: Law, weights: np.ndarray, totals: np.ndarray) -> None:
    """Refuse totals that no field within the bounds can have."""
    lower, upper = law.bounds
    if law.noise_std is not None or not (np.isfinite(lower) or np.isfinite(upper)):
        return
    ends = [np.where(weights != 0, weights * end, 0) for end in (lower, upper)]
    low = np.minimum(*ends).sum()
    high = np.maximum(*ends).sum()
    require(
        bool(np.all((totals >= low) & (totals <= high))),
        f"integrals within the bounds' reach [{low:.6g}, {high:.6g}]",
        f"[{totals.min():.6g}, {totals.max():.6g}]",
        "widen the bounds or correct the integral",
    )
