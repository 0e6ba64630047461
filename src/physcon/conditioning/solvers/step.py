"""What a solver computes in float64 for one conditioning."""

from typing import NamedTuple

from physcon._status import Outcome
from physcon._typing import Array, Float, Int, Scalar
from physcon.conditioning.solvers.factor import Factor


class Step(NamedTuple):
    """Result of `Solver.advance`."""

    mean: Float[Array, "*x"]  # μ' = μ + Σ Gᵀ λ
    multiplier: Float[Array, "*y"]  # λ = S⁻¹ (b - G μ)
    distance: Scalar  # (b - G μ)ᵀ λ
    factor: Factor
    outcome: Outcome  # of the factor, and of an iteration
    steps: Int[Array, ""]
    #: |b - G μ' - N λ| of the rounded mean, in roundings; None: to be measured.
    roundings: Float[Array, "*y"] | None = None
    unit: Scalar | None = None  # rough size of a standard deviation; None: not known
