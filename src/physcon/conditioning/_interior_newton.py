"""The linear system of one step of the interior point: predictor and corrector."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._typing import Array, Scalar
from physcon.conditioning._interior_box import Pair, Point, Setting
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Factor
from physcon.conditioning.solvers.interface import Solver
from physcon.linear_map import Root

#: Complementarity products at the lower and at the upper bounds.
Gaps = tuple[list[Array], list[Array]]


class Newton(NamedTuple):
    """The optimality conditions, linearised at a point, and their factor."""

    setting: Setting
    point: Point
    slacks: list[Pair]
    root: Root  # of the covariance with the barriers of the bounds
    soft: Array  # variances that the barriers give to the row values
    factor: Factor
    slopes: Pair  # of the Lagrangian
    missing: Array  # what the rows miss

    def gaps(self) -> Gaps:
        """The complementarity products of the point."""
        _, p, q, _ = self.point
        sides = self.setting.sides
        lower = [
            jnp.where(side.has_lower, left * p_, 0)
            for side, (left, _), p_ in zip(sides, self.slacks, p, strict=True)
        ]
        upper = [
            jnp.where(side.has_upper, right * q_, 0)
            for side, (_, right), q_ in zip(sides, self.slacks, q, strict=True)
        ]
        return lower, upper

    def direction(self, gaps: Gaps) -> Point:
        """Newton's step that removes the given complementarity products."""
        operator = self.setting.problem.operator
        forces = [
            -slope - gp / left + gq / right
            for slope, gp, gq, (left, right) in zip(
                self.slopes, *gaps, self.slacks, strict=True
            )
        ]
        free = self._covariance(forces[0])
        right_side = self.missing - operator.mv(free) + self.soft * forces[1]
        d_multiplier = self.factor.solve(right_side)
        du = free + self._covariance(operator.rmv(d_multiplier))
        du = jnp.where(self.setting.moving, du, 0)
        ds = self.soft * (forces[1] - d_multiplier)
        dx = (du, ds)
        dp, dq = [], []
        for side, (left, right), p, q, gp, gq, d in zip(
            self.setting.sides,
            self.slacks,
            self.point.p,
            self.point.q,
            *gaps,
            dx,
            strict=True,
        ):
            dp.append(jnp.where(side.has_lower, -(gp + p * d) / left, 0))
            dq.append(jnp.where(side.has_upper, -(gq - q * d) / right, 0))
        return Point(dx, (dp[0], dp[1]), (dq[0], dq[1]), d_multiplier)

    def _covariance(self, f: Array) -> Array:
        return self.root.mv(self.root.rmv(f))

    def step_length(self, direction: Point) -> Scalar:
        """The largest step, at most 1, that stays strictly inside all bounds."""
        t = jnp.array(jnp.inf, self.setting.problem.mean.dtype)
        for side, (left, right), p, q, d, dp, dq in zip(
            self.setting.sides,
            self.slacks,
            self.point.p,
            self.point.q,
            *direction[:3],
            strict=True,
        ):
            for value, change, exists in (
                (left, d, side.has_lower),
                (right, -d, side.has_upper),
                (p, dp, side.has_lower),
                (q, dq, side.has_upper),
            ):
                falls = exists & (change < 0)
                until = -value / jnp.where(falls, change, -1)
                ends = jnp.where(falls, until, jnp.inf)
                t = jnp.minimum(t, jnp.min(ends, initial=jnp.inf))
        return jnp.minimum(1.0, 0.995 * t)

    def corrected(self, gaps: Gaps, gap: Scalar, predicted: Point) -> Gaps:
        """The products that the corrector removes, given the predictor's direction."""
        dx, dp, dq, _ = predicted
        t = self.step_length(predicted)
        after = self.setting.gap(*self.point.moved(t, predicted)[:3])
        centring = jnp.minimum((after / gap) ** 3, 1) * gap
        lower = [
            jnp.where(side.has_lower, gp + d * dp_ - centring, 0)
            for side, gp, d, dp_ in zip(
                self.setting.sides, gaps[0], dx, dp, strict=True
            )
        ]
        upper = [
            jnp.where(side.has_upper, gq - d * dq_ - centring, 0)
            for side, gq, d, dq_ in zip(
                self.setting.sides, gaps[1], dx, dq, strict=True
            )
        ]
        return lower, upper

    def predict_then_correct(self, gaps: Gaps, gap: Scalar) -> Point:
        """Mehrotra's direction.

        One loop body computes both directions, so that they share one program; the
        second pass uses the corrected products.
        """

        def body(_: Array, carry: tuple[Gaps, Point]) -> tuple[Gaps, Point]:
            found = self.direction(carry[0])
            return self.corrected(gaps, gap, found), found

        u, s = self.point.x
        empty = Point(
            (jnp.zeros_like(u), jnp.zeros_like(s)),
            (jnp.zeros_like(u), jnp.zeros_like(s)),
            (jnp.zeros_like(u), jnp.zeros_like(s)),
            jnp.zeros_like(self.point.multiplier),
        )
        return jax.lax.fori_loop(0, 2, body, (gaps, empty))[1]


def newton_at(setting: Setting, solver: Solver, point: Point) -> Newton:
    """The linearised conditions at a point, factored by a solver of `condition`."""
    problem, moving, row_moving = setting.problem, setting.moving, setting.row_moving
    operator = problem.operator
    (u, s), p, q, multiplier = point
    slacks = setting.slacks(point.x)
    stiff = [
        p_ / left + q_ / right
        for (left, right), p_, q_ in zip(slacks, p, q, strict=True)
    ]
    root = problem.metric.softened(stiff[0], ~moving)
    soft = jnp.where(row_moving, 1 / jnp.where(row_moving, stiff[1], 1), 0)
    zeros = jnp.zeros_like(problem.row_lower)
    law = LinearConstraint(operator, zeros, jnp.sqrt(problem.noise + soft))
    factor = solver.factorise(Gaussian(jnp.zeros_like(problem.mean), root), law)
    pull = operator.rmv(multiplier)
    slope = problem.metric.precision(u - problem.mean) - pull - p[0] + q[0]
    slopes = (
        jnp.where(moving, slope, 0),
        jnp.where(row_moving, multiplier - p[1] + q[1], 0),
    )
    missing = s - operator.mv(u) - problem.noise * multiplier
    return Newton(setting, point, slacks, root, soft, factor, slopes, missing)
