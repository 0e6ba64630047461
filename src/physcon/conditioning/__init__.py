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
from physcon.conditioning.observations import boundary_values as boundary_values
from physcon.conditioning.observations import sensors as sensors
from physcon.conditioning.probconserv import METHODS as METHODS
from physcon.conditioning.probconserv import hard_c as hard_c
from physcon.conditioning.probconserv import prob_conserv as prob_conserv
from physcon.conditioning.rows import from_fn as from_fn
from physcon.conditioning.rows import second_difference as second_difference
from physcon.conditioning.rows import stack as stack
from physcon.conditioning.smoothing import diffuse as diffuse
from physcon.conditioning.stationary import stationary as stationary
