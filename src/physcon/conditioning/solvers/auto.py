"""The choice of a solver by the structure of a prior and a constraint."""

from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.column import ColumnGram
from physcon.conditioning.solvers.conjugate_gradient import ConjugateGradient
from physcon.conditioning.solvers.dense import DenseGram, dense_bytes
from physcon.conditioning.solvers.factor import Factor
from physcon.conditioning.solvers.interface import Solver
from physcon.conditioning.solvers.structured import structured_solver
from physcon.conditioning.solvers.tridiagonal import Tridiagonal
from physcon.linear_map import Rows

#: Tried in this order; the first one that suits is used.
CANDIDATES: list[type[Solver]] = [
    Tridiagonal,
    ConjugateGradient,
    ColumnGram,
    DenseGram,
]
#: Bytes of dense rows from which an iteration without a matrix replaces them.
LARGE = 2**30


class Auto(Solver):
    """The solver that suits the structure; the default of `condition`.

    Block means and totals of regions under independent errors: `DiagonalGram`. A small
    matrix at every point: `BlockGram`. Sparse rows: `SparseCholesky`. One of these
    stacked with a few dense rows: `Bordered` around it; an ensemble with independent
    errors on top: `Woodbury` around that. Else the first of `CANDIDATES` that suits. A
    balance with given fluxes and independent errors: `Tridiagonal`. Other laws made
    of differences (`balance`, `divergence_free`): `ConjugateGradient`. Up to 8192
    structured rows under any other prior: `ColumnGram`, if dense rows would take more
    than 8 MiB. Everything else: `DenseGram`, or `ConjugateGradient` where dense rows
    that are not an array yet would take more than a GiB.
    """

    def choose(self, prior: Gaussian, law: LinearConstraint) -> Solver:
        many = structured_solver(prior, law)
        if many is not None:
            return many
        found = (solver.suits(prior, law) for solver in CANDIDATES)
        chosen = next(solver for solver in found if solver is not None)
        written = isinstance(law.operator, Rows)  # as a dense array, by its caller
        large = dense_bytes(law.operator) > LARGE and not written
        if isinstance(chosen, DenseGram) and large:
            return ConjugateGradient.precise(prior)
        return chosen

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> Factor:
        return self.choose(prior, law).factorise(prior, law)
