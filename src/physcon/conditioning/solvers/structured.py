"""The choice among the solvers for many rows."""

from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.block import BlockGram
from physcon.conditioning.solvers.bordered import Bordered, split_border
from physcon.conditioning.solvers.diagonal import DiagonalGram
from physcon.conditioning.solvers.interface import Solver
from physcon.conditioning.solvers.refined import (
    diagonal_and_vectors,
    independent_std,
)
from physcon.conditioning.solvers.sparse import SparseCholesky
from physcon.conditioning.solvers.woodbury import Woodbury
from physcon.linear_map import Diagonal, Disjoint, Pointwise, Rows, Sparse, Stack

#: Operators with a solver of their own.
STRUCTURED = (Disjoint, Pointwise, Sparse)


def structured_solver(prior: Gaussian, law: LinearConstraint) -> Solver | None:
    """The solver that fits a structured law and prior; None if there is no structure.

    `Bordered` around the solver of the structured law treats further rows, and
    `Woodbury` around both treats a low-rank part of the prior.
    """
    found = diagonal_and_vectors(prior.root)
    if found is not None:
        alone = Gaussian(prior.mean, Diagonal(found[0]))
        inner = structured_solver(alone, law)
        return None if inner is None else Woodbury(inner)
    if independent_std(prior.root) is None:
        return None
    operator = law.operator
    if isinstance(operator, Stack):
        last = operator.parts[-1]
        if len(operator.parts) != 2 or not isinstance(last, Rows):
            return None
        inner = structured_solver(prior, split_border(law)[0])
        return None if inner is None else Bordered(inner)
    candidates = (DiagonalGram, BlockGram, SparseCholesky)
    suiting = (solver.suits(prior, law) for solver in candidates)
    return next((solver for solver in suiting if solver is not None), None)
