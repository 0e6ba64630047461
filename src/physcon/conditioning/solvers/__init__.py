"""Solvers for the Gram matrix of a constraint; see `interface` for how to add one."""

from physcon.conditioning.solvers.auto import Auto as Auto
from physcon.conditioning.solvers.block import BlockGram as BlockGram
from physcon.conditioning.solvers.bordered import Bordered as Bordered
from physcon.conditioning.solvers.column import ColumnGram as ColumnGram
from physcon.conditioning.solvers.conjugate_gradient import (
    ConjugateGradient as ConjugateGradient,
)
from physcon.conditioning.solvers.dense import DenseGram as DenseGram
from physcon.conditioning.solvers.diagonal import DiagonalGram as DiagonalGram
from physcon.conditioning.solvers.factor import Factor as Factor
from physcon.conditioning.solvers.interface import Solver as Solver
from physcon.conditioning.solvers.multigrid import Multigrid as Multigrid
from physcon.conditioning.solvers.preconditioners import BlockJacobi as BlockJacobi
from physcon.conditioning.solvers.preconditioners import Jacobi as Jacobi
from physcon.conditioning.solvers.preconditioners import (
    Preconditioner as Preconditioner,
)
from physcon.conditioning.solvers.sparse import SparseCholesky as SparseCholesky
from physcon.conditioning.solvers.tridiagonal import Tridiagonal as Tridiagonal
from physcon.conditioning.solvers.woodbury import Woodbury as Woodbury

__all__ = [
    "Auto",
    "BlockGram",
    "BlockJacobi",
    "Bordered",
    "ColumnGram",
    "ConjugateGradient",
    "DenseGram",
    "DiagonalGram",
    "Factor",
    "Jacobi",
    "Multigrid",
    "Preconditioner",
    "Solver",
    "SparseCholesky",
    "Tridiagonal",
    "Woodbury",
]
