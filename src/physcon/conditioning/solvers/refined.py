"""A solver whose mean is refined once, and the structures of priors that it meets."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from physcon._status import Outcome
from physcon._typing import Array, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.interface import Solver
from physcon.conditioning.solvers.step import Step
from physcon.linear_map import BlockDiagonal, Diagonal, LowRank, Root, Sum

#: Roundings of its terms that redundant rows may be missed by, so that all are met.
_SLACK = 8


class Refined(Solver):
    """A direct solver with one step of iterative refinement.

    The values of redundant rows are rounded sums of each other. The refinement spreads
    what these miss over the rows by the roundings of their terms, so that a row whose
    terms vanish is met exactly.

    Source: Higham, Accuracy and Stability of Numerical Algorithms (2002), ch. 12.
    """

    #: Whether callers in float32 need it, too: their factor may be ill-conditioned.
    always: ClassVar[bool] = True

    def advance(self, prior: Gaussian, law: LinearConstraint, single: bool) -> Step:
        operator, root = law.operator, prior.root
        factor = self.factorise(prior, law)
        missing = law.value - operator.mv(prior.mean)
        eps = float(jnp.finfo(jnp.float32 if single else missing.dtype).eps)

        def refine(k: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
            # The mean is corrected itself: its change may be a sum of large terms.
            mean, multiplier = found
            seen, size = operator.measured(mean)
            left = law.value - seen
            if law.noise_std is not None:
                left = left - law.noise_std * (law.noise_std * multiplier)
            slack = jnp.where(k > 0, _SLACK * eps * (size + jnp.abs(law.value)), 0)
            more = factor.nearest(left, slack)
            change = root.mv(root.rmv(operator.rmv(more)))
            return mean + change, multiplier + more

        once = single and not self.always
        times = jnp.where(factor.outcome == Outcome.redundant, 2, 1) if once else 2
        start = (prior.mean, jnp.zeros_like(missing))
        mean, multiplier = jax.lax.fori_loop(0, times, refine, start)
        distance = jnp.sum(missing * multiplier)
        steps = jnp.zeros((), jnp.int32)
        return Step(mean, multiplier, distance, factor, factor.outcome, steps)


def independent_std(root: Root) -> Float[Array, "*x"] | None:
    """The standard deviations of a prior with independent errors; None of any other."""
    if isinstance(root, Diagonal):
        return root.diagonal
    if isinstance(root, BlockDiagonal):
        stds = [independent_std(part) for part in root.parts]
        if all(std is not None for std in stds):
            return jnp.concatenate([std.reshape(-1) for std in stds])  # type: ignore
    return None


def diagonal_and_vectors(
    root: Root,
) -> tuple[Float[Array, "*x"], Float[Array, "r *x"]] | None:
    """(d, F) of a covariance diag(d²) + Fᵀ F with r vectors; None of any other."""
    if not isinstance(root, Sum):
        return None
    diagonals = [p.diagonal for p in root.parts if isinstance(p, Diagonal)]
    vectors = [p.vectors for p in root.parts if isinstance(p, LowRank)]
    if not diagonals or not vectors or len(diagonals + vectors) < len(root.parts):
        return None
    if len(diagonals) == 1:
        return diagonals[0], jnp.concatenate(vectors)
    size = jnp.sqrt(sum(d**2 for d in diagonals))
    return size, jnp.concatenate(vectors)
