"""Solvers for the Gram matrix of a constraint; see `interface` for how to add one."""

from physcon.conditioning.solvers.auto import Auto as Auto
from physcon.conditioning.solvers.conjugate_gradient import (
    ConjugateGradient as ConjugateGradient,
)
from physcon.conditioning.solvers.dense import DenseGram as DenseGram
from physcon.conditioning.solvers.factor import Factor as Factor
from physcon.conditioning.solvers.interface import Solver as Solver
from physcon.conditioning.solvers.tridiagonal import Tridiagonal as Tridiagonal

__all__ = [
    "Auto",
    "ConjugateGradient",
    "DenseGram",
    "Factor",
    "Solver",
    "Tridiagonal",
]
