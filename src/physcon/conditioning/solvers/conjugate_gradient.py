"""Preconditioned conjugate gradients, for laws whose matrix is not formed."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics.krylov import Apply
from physcon._typing import Array, Float, Scalar
from physcon.conditioning import laplacian
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import gram_apply
from physcon.conditioning.solvers.interface import Solver
from physcon.conditioning.solvers.iterated import IteratedFactor
from physcon.conditioning.solvers.preconditioners import (
    Jacobi,
    Preconditioner,
    of_divided_rows,
)
from physcon.conditioning.solvers.refined import independent_std
from physcon.linear_map import Difference, LinearMap, Root, Sum
from physcon.linear_map.divided import DividedDifference


class ConjugateGradient(Solver):
    """Preconditioned conjugate gradients, to |r| <= rtol |r_0|.

    For laws made of `Difference` parts the preconditioner is a fast Laplacian solve
    (`physcon.conditioning.laplacian`): the number of steps is independent of n, and
    depends on how far the variances are from a product of profiles, and on their
    correlation. On 2¹⁸ cells or more in a plane with sides, levels of coarser columns
    replace this solve where the variances are far from a product. The default for other
    laws is `Jacobi`.

    Attributes:
        rtol: tolerance; at least a few roundings of the arithmetic that runs.
        max_steps: largest number of steps; `Conditioned.outcome` is `not_solved` where
            they are not enough. None: twice the number of rows, at least 500.
        fallback: whether a dense factor takes over for up to 128 rows.
        mesh_axes: along which cells are divided among devices, inside `jax.shard_map`.
            Each device then preconditions its own block, without messages: the number
            of steps grows with the number of neighbouring blocks (Smith, Bjørstad and
            Gropp, Domain Decomposition, 1996, sec. 2.6).
        preconditioner: `Jacobi()`, `BlockJacobi(size)`, `Multigrid.of(prior, law)`, or
            a `Preconditioner` of your own; None chooses as described above.
    """

    keep: ClassVar[bool] = False

    rtol: float = eqx.field(static=True, default=1e-8)
    max_steps: int | None = eqx.field(static=True, default=None)
    mesh_axes: tuple[str, ...] = eqx.field(static=True, default=())
    fallback: bool = eqx.field(static=True, default=False)
    preconditioner: Preconditioner | None = None

    @classmethod
    def suits(
        cls, prior: Gaussian, law: LinearConstraint
    ) -> "ConjugateGradient | None":
        if _differences(law.operator) is None:
            return None
        return cls(rtol=cls.precise(prior).rtol, max_steps=2000, fallback=True)

    @classmethod
    def precise(cls, prior: Gaussian) -> "ConjugateGradient":
        """With a tolerance of the rounding errors of the prior's dtype."""
        eps = float(jnp.finfo(prior.mean.dtype).eps)
        return cls(rtol=max(eps / 10, 1e-15))

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> IteratedFactor:
        return IteratedFactor(prior.root, law, self, jnp.ones((), law.value.dtype))

    def limit(self, rows: int) -> int:
        """The largest number of steps for a system of `rows` rows."""
        return max(500, 2 * rows) if self.max_steps is None else self.max_steps

    def prepared(self, root: Root, law: LinearConstraint, size: Array) -> Apply | None:
        """The preconditioner of one system.

        Args:
            size: by which the law was divided, one number per row or in all.
        """
        if self.preconditioner is not None:
            return of_divided_rows(self.preconditioner, root, law, size)
        parts = _differences(law.operator)
        if parts is not None:
            return laplacian.of_balance(parts, root, law, whole=not self.mesh_axes)
        return None if self.mesh_axes else Jacobi().prepare(root, law)

    def product(self, root: Root, law: LinearConstraint) -> Apply:
        """The product with S."""
        parts = None if self.mesh_axes else _differences(law.operator)
        if parts is None or independent_std(root) is None:
            return lambda y: gram_apply(root, law, y)
        return laplacian.product(parts, root, law)

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


def _differences(operator: LinearMap) -> tuple[Difference, ...] | None:
    """The operator's parts if all are differences, else None."""
    parts = operator.parts if isinstance(operator, Sum) else (operator,)
    # Of a divided law each device sees its own block.
    parts = [
        Difference(p.area, p.axis) if isinstance(p, DividedDifference) else p
        for p in parts
    ]
    return tuple(parts) if all(isinstance(p, Difference) for p in parts) else None  # type: ignore
