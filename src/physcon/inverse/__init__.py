"""Inverse problems: parameters from data, with their uncertainty, through any
differentiable model.

A user writes the model and the misfit in plain JAX; this package minimises, and
linearises.
"""

from physcon.inverse._evidence import Evidence as Evidence
from physcon.inverse._evidence import evidence as evidence
from physcon.inverse.estimate import Estimate as Estimate
from physcon.inverse.estimate import least_squares as least_squares
from physcon.inverse.estimate import maximum_a_posteriori as maximum_a_posteriori
from physcon.inverse.laplace import laplace_sample as laplace_sample
