"""ProbConserv: linear-Gaussian conditioning on the laws of physics."""

from physcon._arguments import name_wrong_arguments
from physcon.conditioning._balance import balance, divergence_free, join_fields
from physcon.conditioning._bounded import Bounded, bounded, reachable
from physcon.conditioning._condition import Conditioned, condition
from physcon.conditioning._constrained import (
    Constrained,
    constrained,
)
from physcon.conditioning._diagnose import (
    Diagnosis,
    diagnose,
)
from physcon.conditioning._monotone import Monotone, isotonic_blocks, monotone
from physcon.conditioning._ordered import (
    ordered,
    simplex,
)
from physcon.conditioning._relative import (
    Relative,
    condition_relative,
)
from physcon.conditioning._stationary import stationary
from physcon.conditioning.builders import (
    block_means,
    from_matrix,
    incidence,
    pointwise,
    totals,
)
from physcon.conditioning.constraint import LinearConstraint, integral
from physcon.conditioning.derived import (
    covariance_apply,
    covariance_block,
    covariance_columns,
    linear_image,
    quantile,
    shock_position_quantile,
    shock_positions,
    total,
    values_at,
)
from physcon.conditioning.downdate import Downdate, DowndatedRoot
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.matheron import MatheronRoot
from physcon.conditioning.nonlinear import (
    Nonlinear,
    NonlinearConstraint,
    condition_nonlinear,
    log_density,
)
from physcon.conditioning.observations import boundary_values, sensors
from physcon.conditioning.probconserv import METHODS, hard_c, prob_conserv
from physcon.conditioning.rows import from_fn, second_difference, stack
from physcon.conditioning.smoothing import diffuse
from physcon.conditioning.solvers import (
    Auto,
    BlockGram,
    BlockJacobi,
    Bordered,
    ColumnGram,
    ConjugateGradient,
    DenseGram,
    DiagonalGram,
    Factor,
    Jacobi,
    Multigrid,
    Preconditioner,
    Solver,
    SparseCholesky,
    Tridiagonal,
    Woodbury,
)
from physcon.conditioning.truncated import (
    BoundedSamples,
    marginal_moments,
    sample_bounded,
    truncated_moments,
)

__all__ = [
    "METHODS",
    "Auto",
    "BlockGram",
    "BlockJacobi",
    "Bordered",
    "Bounded",
    "BoundedSamples",
    "ColumnGram",
    "Conditioned",
    "ConjugateGradient",
    "Constrained",
    "DenseGram",
    "Diagnosis",
    "DiagonalGram",
    "Downdate",
    "DowndatedRoot",
    "Factor",
    "Gaussian",
    "Jacobi",
    "LinearConstraint",
    "MatheronRoot",
    "Monotone",
    "Multigrid",
    "Nonlinear",
    "NonlinearConstraint",
    "Preconditioner",
    "Relative",
    "Solver",
    "SparseCholesky",
    "Tridiagonal",
    "Woodbury",
    "balance",
    "block_means",
    "boundary_values",
    "bounded",
    "condition",
    "condition_nonlinear",
    "condition_relative",
    "constrained",
    "covariance_apply",
    "covariance_block",
    "covariance_columns",
    "diagnose",
    "diffuse",
    "divergence_free",
    "from_fn",
    "from_matrix",
    "hard_c",
    "incidence",
    "integral",
    "isotonic_blocks",
    "join_fields",
    "linear_image",
    "log_density",
    "marginal_moments",
    "monotone",
    "ordered",
    "pointwise",
    "prob_conserv",
    "quantile",
    "reachable",
    "sample_bounded",
    "second_difference",
    "sensors",
    "shock_position_quantile",
    "shock_positions",
    "simplex",
    "stack",
    "stationary",
    "total",
    "totals",
    "truncated_moments",
    "values_at",
]

name_wrong_arguments(globals())
