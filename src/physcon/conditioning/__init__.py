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
from physcon.conditioning.derived import covariance_apply as covariance_apply
from physcon.conditioning.derived import covariance_block as covariance_block
from physcon.conditioning.derived import covariance_columns as covariance_columns
from physcon.conditioning.derived import linear_image as linear_image
from physcon.conditioning.derived import quantile as quantile
from physcon.conditioning.derived import total as total
from physcon.conditioning.derived import values_at as values_at
from physcon.conditioning.downdate import Downdate as Downdate
from physcon.conditioning.gaussian import Gaussian as Gaussian
from physcon.conditioning.many_rows import ConjugateGradient as ConjugateGradient
from physcon.conditioning.many_rows import Tridiagonal as Tridiagonal
from physcon.conditioning.stationary import stationary as stationary
