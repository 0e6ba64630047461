"""Preconditioned conjugate gradients, for laws whose matrix is not formed."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics.krylov import Apply, conjugate_gradients
from physcon._numerics.safe import power_of_two
from physcon._status import Outcome, choose
from physcon._typing import Array, Bool, Float, Int, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.gram import REDUNDANT, factor_gram
from physcon.conditioning.laplacian import of_balance
from physcon.conditioning.solvers.factor import Factor, gram_apply, over
from physcon.conditioning.solvers.interface import Solver
from physcon.conditioning.solvers.preconditioners import (
    Jacobi,
    Preconditioner,
    of_divided_rows,
)
from physcon.conditioning.solvers.units import law_in_units, sized
from physcon.linear_map import Difference, LinearMap, Root, Sum
from physcon.linear_map.divided import DividedDifference

#: Rows up to which a dense factor replaces an iteration that fails.
DENSE = 128
#: Share of |b|² from which the difference of two solutions of S y = S b is a null
#: vector.
NULL = 1e-8
#: Phase of an iteration that has ended.
DONE = 4


class _State(NamedTuple):
    x: Array
    r: Array  # right-hand side of the next solve
    target: Array  # b, or the part of it that can be met
    steps: Array
    phase: Array  # 0, 1: solve; 2: look for a null vector; 3: solve the rest


class IteratedFactor(Factor):
    """S as a product of maps; every right-hand side is solved by iteration."""

    root: Root
    law: LinearConstraint
    solver: "ConjugateGradient"
    size: Array  # by which the law was divided, one number per row or in all

    def solve(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        return self.attempt(r)[0]

    def attempt(
        self, r: Float[Array, "*y"]
    ) -> tuple[Float[Array, "*y"], Outcome, Int[Array, ""]]:
        """Conjugate gradients, a second time from the true residual where needed.

        Where that fails on a small system, a dense factor takes over. On a large one a
        null vector of S is looked for: v = b - y with S y = S b. If there is one, the
        part of b along it cannot be met: the rest is solved, and the outcome is
        `redundant`.
        """
        # Scaled to unit size, since the squares of tiny cotangents underflow, and those
        # of the weights and standard deviations over- or underflow.
        unit = power_of_two(self.solver.largest(jnp.asarray(self.root.unit(), r.dtype)))
        root = self.root.scaled(1 / unit)
        law = law_in_units(self.law, unit, None)
        size = jnp.ones((), r.dtype)
        if not self.solver.mesh_axes:
            law, size = sized(root, law)
        r = over(r, size)
        scale = power_of_two(self.solver.largest(r))
        within = IteratedFactor(root, law, self.solver, size)
        x, outcome, steps = within._solve_unit(over(r, scale))
        return over(over(scale, unit) * over(x, size), unit), outcome, steps

    def _solve_unit(
        self, b: Float[Array, "*y"]
    ) -> tuple[Float[Array, "*y"], Outcome, Int[Array, ""]]:
        solver = self.solver
        small = b.size <= DENSE and solver.fallback and not solver.mesh_axes
        precondition = solver.prepared(self.root, self.law, self.size)
        max_steps = solver.limit(b.size)
        (size,) = solver.dots(b, b)
        rtol = max(solver.rtol, 4 * float(jnp.finfo(b.dtype).eps))
        zero = jnp.zeros((), jnp.int32)

        def solve_again(s: _State) -> _State:
            (own,) = solver.dots(s.r, s.r)
            found = conjugate_gradients(
                self._apply,
                s.r,
                rtol=rtol,
                max_steps=max_steps,
                size=jnp.where(s.phase == 2, own, size),
                patience=max(max_steps // 4, 20),
                precondition=precondition,
                dots=solver.dots,
            )
            probed = s.phase == 2
            is_null, rest = self._without_null_vector(b, found.x, size)
            null = probed & found.reached & is_null
            target = jnp.where(null, rest, s.target)
            moved = jnp.where(probed, s.x, s.x + found.x)
            x = jnp.where(null, 0, moved)
            left = target - self._apply(x)
            (miss,) = solver.dots(left, left)
            solved = miss <= 100 * rtol**2 * size
            after = jnp.where(solved | (s.phase >= 3), DONE, s.phase + 1)
            after = jnp.where(probed, jnp.where(null, 3, DONE), after)
            after = jnp.where(small & (after == 2), DONE, after)
            r = jnp.where(after == 2, self._apply(b), left)
            return _State(x, r, target, s.steps + found.steps, after)

        def unfinished(s: _State) -> Array:
            return s.phase < DONE

        start = _State(jnp.zeros_like(b), b, b, zero, jnp.where(size > 0, zero, DONE))
        end = jax.lax.while_loop(unfinished, solve_again, start)
        different = jnp.any(end.target != b)
        if solver.mesh_axes:
            different = solver.largest(different.astype(b.dtype)) > 0
        outcome = choose((different, Outcome.redundant))
        if not small:
            return end.x, outcome, end.steps
        (miss,) = solver.dots(end.r, end.r)
        x, outcome = jax.lax.cond(
            miss <= 100 * rtol**2 * size,
            lambda: (end.x, outcome),
            lambda: self._solve_dense(b),
        )
        return x, outcome, end.steps

    def _without_null_vector(
        self, b: Float[Array, "*y"], x: Float[Array, "*y"], size: Scalar
    ) -> tuple[Bool[Array, ""], Float[Array, "*y"]]:
        """Whether v = b - x, with S x = S b, is a null vector; b without it."""
        v = b - x
        length, along = self.solver.dots(v, v, b)
        rest = b - along / jnp.where(length > 0, length, 1) * v
        return length > NULL * size, rest

    def _apply(self, y: Float[Array, "*y"]) -> Float[Array, "*y"]:
        return gram_apply(self.root, self.law, y)

    def _solve_dense(self, r: Float[Array, "*y"]) -> tuple[Array, Outcome]:
        eye = jnp.eye(r.size, dtype=r.dtype).reshape(r.size, *r.shape)
        s = jax.vmap(self._apply)(eye).reshape(r.size, r.size)
        none = jnp.zeros(r.size, r.dtype)  # S includes the noise already
        tolerance = max(REDUNDANT, 16 * float(jnp.finfo(r.dtype).eps))
        factor, s = factor_gram(0.5 * (s + s.T), None, none, tolerance)
        x = factor.solve(r)
        x = x + factor.solve(r - (s @ x.reshape(-1)).reshape(r.shape))
        return x, factor.outcome


class ConjugateGradient(Solver):
    """Preconditioned conjugate gradients, to |r| <= rtol |r_0|.

    For laws made of `Difference` parts the preconditioner is a fast Laplacian solve
    (`physcon.conditioning.laplacian`): the number of steps is independent of n, and
    depends on how far the variances are from a product of profiles, and on their
    correlation. The default for other laws is `Jacobi`.

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
            return of_balance(parts, root, law)
        return None if self.mesh_axes else Jacobi().prepare(root, law)

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
