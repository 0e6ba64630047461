"""ProbConserv: linear-Gaussian conditioning on the laws of physics."""

from physcon.conditioning.bounded import Bounded as Bounded
from physcon.conditioning.bounded import bounded as bounded
from physcon.conditioning.bounded import reachable as reachable
from physcon.conditioning.condition import Conditioned as Conditioned
from physcon.conditioning.condition import Downdate as Downdate
from physcon.conditioning.condition import condition as condition
from physcon.conditioning.constraint import LinearConstraint as LinearConstraint
from physcon.conditioning.constraint import integral as integral
from physcon.conditioning.gaussian import Gaussian as Gaussian
from physcon.conditioning.monotone import Monotone as Monotone
from physcon.conditioning.monotone import isotonic_blocks as isotonic_blocks
from physcon.conditioning.monotone import monotone as monotone
from physcon.conditioning.nonlinear import Nonlinear as Nonlinear
from physcon.conditioning.nonlinear import NonlinearConstraint as NonlinearConstraint
from physcon.conditioning.nonlinear import condition_nonlinear as condition_nonlinear
from physcon.conditioning.nonlinear import log_density as log_density
from physcon.conditioning.truncated import marginal_moments as marginal_moments
from physcon.conditioning.truncated import sample_bounded as sample_bounded
from physcon.conditioning.truncated import truncated_moments as truncated_moments
