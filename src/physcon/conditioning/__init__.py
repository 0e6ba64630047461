"""ProbConserv: linear-Gaussian conditioning on the laws of physics."""

from physcon.conditioning._balance import balance as balance
from physcon.conditioning._balance import divergence_free as divergence_free
from physcon.conditioning._balance import join_fields as join_fields
from physcon.conditioning._bounded import Bounded as Bounded
from physcon.conditioning._bounded import bounded as bounded
from physcon.conditioning._bounded import reachable as reachable
from physcon.conditioning._condition import Conditioned as Conditioned
from physcon.conditioning._condition import condition as condition
from physcon.conditioning._monotone import Monotone as Monotone
from physcon.conditioning._monotone import isotonic_blocks as isotonic_blocks
from physcon.conditioning._monotone import monotone as monotone
from physcon.conditioning._stationary import stationary as stationary
from physcon.conditioning.constraint import LinearConstraint as LinearConstraint
from physcon.conditioning.constraint import integral as integral
from physcon.conditioning.derived import covariance_apply as covariance_apply
from physcon.conditioning.derived import covariance_block as covariance_block
from physcon.conditioning.derived import covariance_columns as covariance_columns
from physcon.conditioning.derived import linear_image as linear_image
from physcon.conditioning.derived import quantile as quantile
from physcon.conditioning.derived import (
    shock_position_quantile as shock_position_quantile,
)
from physcon.conditioning.derived import shock_positions as shock_positions
from physcon.conditioning.derived import total as total
from physcon.conditioning.derived import values_at as values_at
from physcon.conditioning.downdate import Downdate as Downdate
from physcon.conditioning.gaussian import Gaussian as Gaussian
from physcon.conditioning.nonlinear import Nonlinear as Nonlinear
from physcon.conditioning.nonlinear import NonlinearConstraint as NonlinearConstraint
from physcon.conditioning.nonlinear import condition_nonlinear as condition_nonlinear
from physcon.conditioning.nonlinear import log_density as log_density
from physcon.conditioning.observations import boundary_values as boundary_values
from physcon.conditioning.observations import sensors as sensors
from physcon.conditioning.probconserv import METHODS as METHODS
from physcon.conditioning.probconserv import hard_c as hard_c
from physcon.conditioning.probconserv import prob_conserv as prob_conserv
from physcon.conditioning.rows import from_fn as from_fn
from physcon.conditioning.rows import second_difference as second_difference
from physcon.conditioning.rows import stack as stack
from physcon.conditioning.smoothing import diffuse as diffuse
from physcon.conditioning.solvers import ConjugateGradient as ConjugateGradient
from physcon.conditioning.solvers import Tridiagonal as Tridiagonal
from physcon.conditioning.truncated import marginal_moments as marginal_moments
from physcon.conditioning.truncated import sample_bounded as sample_bounded
from physcon.conditioning.truncated import truncated_moments as truncated_moments
