"""A Gram matrix that is not formed: every right-hand side is solved by iteration."""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics.krylov import Apply, conjugate_gradients
from physcon._numerics.safe import power_of_two
from physcon._status import Outcome, choose
from physcon._typing import Array, Bool, Float, Int, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gram import REDUNDANT, factor_gram
from physcon.conditioning.solvers.factor import Factor, gram_apply, over
from physcon.conditioning.solvers.units import law_in_units, row_sizes, sized
from physcon.linear_map import Root

if TYPE_CHECKING:
    from physcon.conditioning.solvers.conjugate_gradient import ConjugateGradient

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

    def units(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        size = row_sizes(self.root, self.law)
        one = jnp.ones_like(r)
        return one if size is None else over(one, size)

    def null(
        self, v: Float[Array, "*y"], met: Bool[Array, "*y"], apply: Apply
    ) -> Float[Array, "*y"]:
        # What least squares miss, since another iteration would be compiled.
        return v - self._solve_dense(apply(v))[0] if self._is_small(v) else v

    @property
    def null_error(self) -> float:
        return 1e-3

    def _is_small(self, b: Float[Array, "*y"]) -> bool:
        solver = self.solver
        return b.size <= DENSE and solver.fallback and not solver.mesh_axes

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
        apply = solver.product(self.root, self.law)
        small = self._is_small(b)
        precondition = solver.prepared(self.root, self.law, self.size)
        max_steps = solver.limit(b.size)
        (size,) = solver.dots(b, b)
        rtol = max(solver.rtol, 4 * float(jnp.finfo(b.dtype).eps))
        zero = jnp.zeros((), jnp.int32)

        def solve_again(s: _State) -> _State:
            (own,) = solver.dots(s.r, s.r)
            found = conjugate_gradients(
                apply,
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
            left = target - apply(x)
            (miss,) = solver.dots(left, left)
            solved = miss <= 100 * rtol**2 * size
            after = jnp.where(solved | (s.phase >= 3), DONE, s.phase + 1)
            after = jnp.where(probed, jnp.where(null, 3, DONE), after)
            after = jnp.where(small & (after == 2), DONE, after)
            r = jnp.where(after == 2, apply(b), left)
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
