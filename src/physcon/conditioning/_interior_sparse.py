"""Sparse rows in the interior point of `constrained`.

Which exact rows are implied by others does not depend on the variances. They are found
once, at the first factorisation, and left out of all steps, so that each step takes
one elimination instead of four.
"""

import jax.numpy as jnp

from physcon.conditioning._interior_box import Boxed
from physcon.conditioning._masked import masked
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers import SparseCholesky
from physcon.conditioning.solvers.interface import Solver


def independent_rows(problem: Boxed, solver: Solver) -> tuple[Boxed, Solver]:
    """The problem without exact rows that others imply, and its solver.

    Nothing is left out if such rows contradict the others: they are needed to prove it.
    """
    if not isinstance(solver, SparseCholesky):
        return problem, solver
    zero = jnp.zeros_like(problem.mean)
    moving = (problem.metric.std > 0) & (problem.lower < problem.upper)
    prior = Gaussian(zero, problem.metric.softened(zero, ~moving))
    # An inequality row has a value of its own, so that no other row implies it.
    row_moving = problem.row_lower < problem.row_upper
    own = jnp.where(row_moving, problem.operator.magnitude(problem.metric.std), 0)
    noise = jnp.sqrt(problem.noise) + own
    law = LinearConstraint(problem.operator, jnp.zeros_like(noise), noise)
    factor = solver.factorise(prior, law)
    kept = factor.factored.kept

    rest = jnp.clip(problem.mean, problem.lower, problem.upper)
    missing = problem.row_lower - problem.operator.mv(rest)
    missing = jnp.where(row_moving, 0, missing)
    change = prior.root.mv(prior.root.rmv(problem.operator.rmv(factor.solve(missing))))
    left = missing - problem.operator.mv(change)
    sizes = jnp.abs(rest) + jnp.abs(change) + problem.metric.std
    terms = problem.operator.magnitude(sizes)
    terms = terms + jnp.abs(problem.row_lower)
    met = row_moving | (problem.noise > 0) | (jnp.abs(left) <= _MET * terms)
    consistent = jnp.all(met | kept)
    kept = kept | ~consistent
    independent = problem._replace(
        operator=masked(problem.operator, kept),
        row_lower=jnp.where(kept, problem.row_lower, 0),
        row_upper=jnp.where(kept, problem.row_upper, 0),
    )
    return independent, SparseCholesky(trusted=consistent)


#: Rows that others imply are met with them to this share of their terms.
_MET = 1e-9
