"""ProbConserv: linear-Gaussian conditioning on the laws of physics."""

from physcon.conditioning.balance import balance as balance
from physcon.conditioning.balance import divergence_free as divergence_free
from physcon.conditioning.balance import join_fields as join_fields
from physcon.conditioning.bounded import Bounded as Bounded
from physcon.conditioning.bounded import bounded as bounded
from physcon.conditioning.bounded import reachable as reachable
from physcon.conditioning.condition import Conditioned as Conditioned
from physcon.conditioning.condition import condition as condition
from physcon.conditioning.constraint import LinearConstraint as LinearConstraint
from physcon.conditioning.constraint import integral as integral
from physcon.conditioning.downdate import Downdate as Downdate
from physcon.conditioning.gaussian import Gaussian as Gaussian
from physcon.conditioning.many_rows import ConjugateGradient as ConjugateGradient
from physcon.conditioning.many_rows import Tridiagonal as Tridiagonal
from physcon.conditioning.monotone import Monotone as Monotone
from physcon.conditioning.monotone import isotonic_blocks as isotonic_blocks
from physcon.conditioning.monotone import monotone as monotone
from physcon.conditioning.nonlinear import Nonlinear as Nonlinear
from physcon.conditioning.nonlinear import NonlinearConstraint as NonlinearConstraint
from physcon.conditioning.nonlinear import condition_nonlinear as condition_nonlinear
from physcon.conditioning.nonlinear import log_density as log_density
from physcon.conditioning.stationary import stationary as stationary
from physcon.conditioning.truncated import marginal_moments as marginal_moments
from physcon.conditioning.truncated import sample_bounded as sample_bounded
from physcon.conditioning.truncated import truncated_moments as truncated_moments
