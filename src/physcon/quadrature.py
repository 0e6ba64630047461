"""One-dimensional quadrature rules on given points, as weights of nodal values.

All rules are linear in the values and depend only on the gaps, so each is one row of a
conservation law. For smooth integrands the error has order 2 for the trapezoid rule, 4
for Simpson's rule on equal gaps (3 on unequal ones), and 4 for the spline.
"""

from collections.abc import Callable
from functools import wraps

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics.float64 import float64_primal
from physcon._numerics.safe import power_of_two
from physcon._rule import Rule as Rule
from physcon._typing import Array, Float


def _in_units_of_the_largest_gap(
    rule: Callable[[Array], Array],
) -> Callable[[Array], Array]:
    """Give the weights the unit of a length, so that no power over- or underflows."""

    @wraps(rule)
    def scaled(gaps: Float[Array, " g"]) -> Float[Array, " g+1"]:
        unit = power_of_two(jnp.max(gaps, initial=0))
        return unit * rule(gaps / unit)

    return scaled


def midpoint(gaps: Float[Array, " n"]) -> Float[Array, " n"]:
    """Weights of cell averages: the cell widths, exact by definition of the average."""
    return gaps


def trapezoid(gaps: Float[Array, " g"]) -> Float[Array, " g+1"]:
    """Weights of nodal values: half of the sum of the adjacent gaps."""
    return 0.5 * (jnp.pad(gaps, (1, 0)) + jnp.pad(gaps, (0, 1)))


@_in_units_of_the_largest_gap
def simpson(gaps: Float[Array, " g"]) -> Float[Array, " g+1"]:
    """Composite Simpson rule for unequal gaps.

    If the number of intervals is odd, the last interval uses the integral of the
    parabola through the last three points.

    Source:
        The parabola through three points with gaps h0 and h1, integrated over both
        gaps, and over the second one only (Cartwright, J. Math. Sci. Math. Educ. 12
        (2017), eqs. 3 and 8).
    """
    intervals = gaps.shape[0]
    require(
        intervals >= 2,
        "3 or more nodes for Simpson's rule",
        intervals + 1,
        "use the rule 'trapezoid'",
    )
    pairs = intervals // 2
    h0 = gaps[0 : 2 * pairs : 2]
    h1 = gaps[1 : 2 * pairs : 2]
    h = h0 + h1
    weights = jnp.zeros(intervals + 1, gaps.dtype)
    weights = weights.at[0 : 2 * pairs : 2].add(h / 6 * (2 - h1 / h0))
    weights = weights.at[1 : 2 * pairs : 2].add(h**3 / (6 * h0 * h1))
    weights = weights.at[2 : 2 * pairs + 1 : 2].add(h / 6 * (2 - h0 / h1))
    if intervals % 2:
        a = gaps[-2]
        b = gaps[-1]
        last = jnp.stack(
            [
                -(b**3) / (6 * a * (a + b)),
                b * (b + 3 * a) / (6 * a),
                b * (2 * b + 3 * a) / 6 / (a + b),
            ]
        )
        weights = weights.at[-3:].add(last)
    return weights


@_in_units_of_the_largest_gap
def spline(gaps: Float[Array, " g"]) -> Float[Array, " g+1"]:
    """Integral of the not-a-knot cubic spline through the nodal values.

    Let M be the second derivatives at the nodes. The integral is the trapezoid sum
    minus sum h^3 (M_i + M_{i+1}) / 24, where M solves a tridiagonal system T M = D u
    whose two end unknowns are eliminated by the not-a-knot condition. Hence the weights
    are trapezoid - Dᵀ T⁻ᵀ c (de Boor, A Practical Guide to Splines, ch. IV).
    """
    require(
        gaps.shape[0] >= 3,
        "4 or more nodes for a spline",
        gaps.shape[0] + 1,
        "use the rule 'simpson'",
    )
    # left and right gap of each inner node
    h0 = gaps[:-1]
    h1 = gaps[1:]
    first = gaps[0] / gaps[1]
    last = gaps[-1] / gaps[-2]
    # M_0 = (1 + first) M_1 - first M_2, and its mirror image, inserted into the end
    # rows.
    diagonal = (
        (2 * (h0 + h1)).at[0].add(h0[0] * (1 + first)).at[-1].add(h1[-1] * (1 + last))
    )
    lower = h0.at[0].set(0).at[-1].add(-h1[-1] * last)
    upper = h1.at[-1].set(0).at[0].add(-h0[0] * first)
    # c is the derivative of sum h^3 (M_i + M_{i+1}) / 24 with respect to the inner M.
    share = trapezoid(gaps**3) / 12
    c = share[1:-1].at[0].add(share[0] * (1 + first)).at[1].add(-share[0] * first)
    c = c.at[-1].add(share[-1] * (1 + last)).at[-2].add(-share[-1] * last)
    transposed = (
        jnp.roll(upper, 1).at[0].set(0),
        diagonal,
        jnp.roll(lower, -1).at[-1].set(0),
    )
    z = jax.lax.linalg.tridiagonal_solve(*transposed, c[:, None])[:, 0]
    # The transpose of (D u)_i = 6 ((u_{i+1} - u_i) / h1 - (u_i - u_{i-1}) / h0).
    left = 6 * z / h0
    right = 6 * z / h1
    moment = (
        jnp.pad(left, (0, 2)) - jnp.pad(left + right, (1, 1)) + jnp.pad(right, (2, 0))
    )
    return trapezoid(gaps) - moment


RULES: dict[str, Callable[[Array], Array]] = {
    "midpoint": midpoint,
    "trapezoid": trapezoid,
    "simpson": simpson,
    "spline": spline,
}

#: The rules that an array of each kind allows; the first one is the default.
ALLOWED: dict[str, tuple[Rule, ...]] = {
    "cells": ("midpoint",),
    "nodes": ("trapezoid", "simpson", "spline"),
}


def checked_rule(rule: Rule | None, location: str) -> Rule:
    """The rule for cell averages or nodal values; None means the default."""
    allowed = ALLOWED[location]
    if rule is None:
        return allowed[0]
    require(
        rule in allowed,
        f"a rule for {location}: one of {allowed}",
        repr(rule),
        "an array of cell averages has one exact rule, its volumes",
    )
    return rule


def axis_weights(
    spacing: Float[Array, "..."], intervals: int, rule: Rule
) -> Float[Array, " n"]:
    """Weights along one axis, from a spacing for each interval or one for all."""
    return RULES[rule](jnp.broadcast_to(spacing, (intervals,)))


@float64_primal
def weighted_sum(u: Float[Array, "*c_x"], w: Float[Array, "*x"]) -> Float[Array, "*c"]:
    """Sum of weights times values over the trailing axes, in float64."""
    channels = u.ndim - w.ndim
    return jnp.sum(
        u * w.reshape((1,) * channels + w.shape), axis=tuple(range(channels, u.ndim))
    )
