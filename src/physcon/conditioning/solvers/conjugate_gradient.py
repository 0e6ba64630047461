"""Preconditioned conjugate gradients, for laws of any size whose matrix is not formed."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics.krylov import Apply, conjugate_gradients
from physcon._status import Outcome
from physcon._typing import Array, Float, Int, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.laplacian import preconditioner
from physcon.conditioning.solvers.factor import Factor, gram_apply
from physcon.conditioning.solvers.interface import Solver
from physcon.linear_map import Difference, LinearMap, Root, Sum, split_fields
from physcon.linear_map.divided import DividedDifference


class IteratedFactor(Factor):
    """S as a product of maps, solved anew for every right-hand side."""

    root: Root
    law: LinearConstraint
    solver: "ConjugateGradient"

    def solve(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        return self.attempt(r)[0]

    def attempt(
        self, r: Float[Array, "*y"]
    ) -> tuple[Float[Array, "*y"], Outcome, Int[Array, ""]]:
        solver = self.solver
        eps = float(jnp.finfo(r.dtype).eps)
        found = conjugate_gradients(
            lambda y: gram_apply(self.root, self.law, y),
            r,
            rtol=max(solver.rtol, 20 * eps),
            max_steps=solver.max_steps,
            precondition=_preconditioner(self.root, self.law),
            dots=solver.dots,
        )
        return found.x, Outcome.good, found.steps


class ConjugateGradient(Solver):
    """Preconditioned conjugate gradients, to |r| <= rtol |r_0|.

    For laws made of `Difference` parts the preconditioner is a fast Laplacian solve
    (`physcon.conditioning.laplacian`): the number of steps is independent of n, and
    depends on how far the variances are from a product of profiles, and on their
    correlation. Other laws are not preconditioned.

    Attributes:
        rtol: tolerance; at least a few roundings of the arithmetic that runs.
        max_steps: largest number of steps; `Conditioned.outcome` says `not_solved`
            where they are not enough.
        mesh_axes: along which cells are divided among devices, inside `jax.shard_map`.
            Each device then preconditions its own block, without messages: the number
            of steps grows with the number of neighbouring blocks (Smith, Bjørstad and
            Gropp, Domain Decomposition, 1996, sec. 2.6).
    """

    keep: ClassVar[bool] = False

    rtol: float = eqx.field(static=True, default=1e-8)
    max_steps: int = eqx.field(static=True, default=500)
    mesh_axes: tuple[str, ...] = eqx.field(static=True, default=())

    @classmethod
    def suits(
        cls, prior: Gaussian, law: LinearConstraint
    ) -> "ConjugateGradient | None":
        if _differences(law.operator) is None:
            return None
        eps = float(jnp.finfo(prior.mean.dtype).eps)
        return cls(rtol=max(eps / 10, 1e-13))

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> IteratedFactor:
        return IteratedFactor(prior.root, law, self)

    def tolerance(self, prior: Gaussian, law: LinearConstraint) -> Scalar:
        missing = law.residual(jax.lax.stop_gradient(prior.mean))
        return 10 * self.rtol * self.largest(missing)

    def largest(self, y: Float[Array, "*y"]) -> Scalar:
        own = super().largest(y)
        return jax.lax.pmax(own, self.mesh_axes) if self.mesh_axes else own

    def dots(self, x: Array, *others: Array) -> tuple[Array, ...]:
        """x · y for each of the others; one message among devices for all of them."""
        own = tuple(jnp.sum(x * y) for y in others)
        return jax.lax.psum(own, self.mesh_axes) if self.mesh_axes else own


def _preconditioner(root: Root, law: LinearConstraint) -> Apply | None:
    parts = _differences(law.operator)
    if parts is None:
        return None
    variance = root.gram_diagonal()
    variances = [variance]
    if isinstance(law.operator, Sum):
        variances = split_fields(variance, tuple(p.in_shape for p in parts))
    return preconditioner(parts, variances, law.noise() ** 2)


def _differences(operator: LinearMap) -> tuple[Difference, ...] | None:
    """The operator's parts if all are differences, else None."""
    parts = operator.parts if isinstance(operator, Sum) else (operator,)
    # Of a divided law each device sees its own block.
    parts = [
        Difference(p.area, p.axis) if isinstance(p, DividedDifference) else p
        for p in parts
    ]
    return tuple(parts) if all(isinstance(p, Difference) for p in parts) else None  # type: ignore
