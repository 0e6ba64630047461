"""ProbConserv: linear-Gaussian conditioning on the laws of physics."""

from physcon.conditioning.condition import Conditioned as Conditioned
from physcon.conditioning.condition import Downdate as Downdate
from physcon.conditioning.condition import condition as condition
from physcon.conditioning.constraint import LinearConstraint as LinearConstraint
from physcon.conditioning.constraint import integral as integral
from physcon.conditioning.gaussian import Gaussian as Gaussian
from physcon.conditioning.stationary import stationary as stationary
