"""Inverse problems: parameters and their uncertainty from data.

The model may be any differentiable function. A user writes the model and the misfit in
plain JAX; this package minimises and linearises.
"""

from physcon._arguments import name_wrong_arguments
from physcon.inverse._evidence import Evidence, evidence
from physcon.inverse.estimate import Estimate, least_squares, maximum_a_posteriori
from physcon.inverse.laplace import laplace_sample

__all__ = [
    "Estimate",
    "Evidence",
    "evidence",
    "laplace_sample",
    "least_squares",
    "maximum_a_posteriori",
]

name_wrong_arguments(globals())
