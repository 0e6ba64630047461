"""The choice of a solver by the structure of a prior and a constraint."""

from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.conjugate_gradient import ConjugateGradient
from physcon.conditioning.solvers.dense import DenseGram
from physcon.conditioning.solvers.factor import Factor
from physcon.conditioning.solvers.interface import Solver
from physcon.conditioning.solvers.tridiagonal import Tridiagonal

#: Tried in this order; the first one that suits is used.
CANDIDATES: list[type[Solver]] = [Tridiagonal, ConjugateGradient, DenseGram]


class Auto(Solver):
    """The first of `CANDIDATES` that suits the structure; the default of `condition`.

    A balance with given fluxes and independent errors: `Tridiagonal`. Other laws made
    of differences (`balance`, `divergence_free`): `ConjugateGradient`. Everything else:
    `DenseGram`.
    """

    def choose(self, prior: Gaussian, law: LinearConstraint) -> Solver:
        found = (solver.suits(prior, law) for solver in CANDIDATES)
        return next(solver for solver in found if solver is not None)

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> Factor:
        return self.choose(prior, law).factorise(prior, law)
