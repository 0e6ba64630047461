"""Lift functions of boundary rows: the gain of a smooth prior, conditioned on the rows.

The correction u + Σ_r φ_r (value_r - l_r(u)) with φ = P lᵀ (l P lᵀ)⁻¹ conditions a
Gaussian of covariance P on the boundary rows l. P is a Matérn-5/2 covariance along the
axis, so that φ has no kink at the wall and does not depend on the resolution.
"""

from functools import partial, reduce
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import at_trace_time
from physcon._derivative_rules import WithDerivative
from physcon._numerics.float64 import float64_primal
from physcon._numerics.safe import power_of_two
from physcon._numerics.small import cholesky, lower_inverse
from physcon._typing import Array, Float, Scalar
from physcon.boundary_rows import Rows, SideRow
from physcon.grid import Grid

#: Lift functions of one axis, one per row.
Gain: TypeAlias = Float[Array, "_ _"]
#: Per axis its lift functions, or None for an axis without rows.
Gains: TypeAlias = tuple[Gain | None, ...]

#: Correlation length of the lift, as a fraction of an axis that has values only.
REACH = 0.3
#: The same for an axis with a slope on one of its sides. The lift function of a slope
#: is as high as it is long, so that a wrong slope moves the interior in proportion.
SLOPE_REACH = 0.03
#: The same for features in a basis, whose slopes at the wall are zero already.
BASIS_SLOPE_REACH = 0.1


def lift_gains(
    rows: Rows, grid: Grid, reach: float | None = None, slopes: float = SLOPE_REACH
) -> Gains:
    """Per axis φ_r(x), one for each row, with l_r(φ_s) == δ_rs; None for a free axis.

    The correlation length of the prior is the fraction `reach` of the axis: φ falls to
    zero within a few lengths of its side. With None it is `REACH` on an axis with
    values only, and the fraction `slopes` on an axis with a slope.
    """
    gains = []
    for axis, axis_rows in enumerate(rows):
        if not axis_rows:
            gains.append(None)
            continue
        n = grid.shape[axis]
        k = max(row.weights.shape[0] for row in axis_rows)
        near = np.unique(np.r_[0:k, n - k : n])  # where any row is not zero
        weights = [row.weights for row in axis_rows]
        with at_trace_time(weights, grid.spacings[axis]):
            some = jnp.stack([row.dense(n)[near] for row in axis_rows])
            gaps = jnp.broadcast_to(grid.spacings[axis], (n - 1,))
            default = slopes if any(map(_is_slope, axis_rows)) else REACH
            length = jnp.asarray(default if reach is None else reach, gaps.dtype)
            gains.append(_gain(some, gaps, length, near=tuple(near.tolist())))
    return tuple(gains)


def _is_slope(row: SideRow) -> bool:
    """Whether a row sees more than the node on its side; two ends that agree do not."""
    return row.weights.shape[0] > 1 and not row.periodic


@partial(jax.jit, static_argnames="near")  # one program where it is evaluated eagerly
def _gain(
    rows: Float[Array, "p k"],
    gaps: Float[Array, " q"],
    reach: Scalar,
    near: tuple[int, ...],
) -> Float[Array, "p n"]:
    """The rows are scaled to unit size, so that the unit of length does not matter."""
    size = power_of_two(jnp.max(jnp.abs(rows), axis=1))
    unit = _unit_gain(rows / size[:, None], gaps / jnp.max(gaps), reach, near)
    return unit / size[:, None]


def _unit_gain(
    rows: Float[Array, "p k"],
    gaps: Float[Array, " q"],
    reach: Scalar,
    near: tuple[int, ...],
) -> Float[Array, "p n"]:
    """In float64: l P lᵀ holds second differences of a smooth function over one gap."""
    seen_at = np.array(near, np.int32)

    @float64_primal
    def solve(rows: Array, gaps: Array, reach: Scalar) -> Array:
        x = jnp.concatenate([jnp.zeros(1, gaps.dtype), jnp.cumsum(gaps)])

        def covariance(a: Float[Array, " _"]) -> Float[Array, "k _"]:
            distance = jnp.abs(x[seen_at][:, None] - a[None, :]) / x[-1]
            r = np.sqrt(5.0).astype(x.dtype) * distance / reach
            return (1 + r + r**2 / 3) * jnp.exp(-r)

        product = partial(jnp.matmul, precision="highest")
        seen = product(rows, covariance(x))
        gram = product(product(rows, covariance(x[seen_at])), rows.T)
        # Unrolled for one or two sides: LAPACK's threads take a hundred times as long.
        inverse = lower_inverse(cholesky(gram))
        return product(inverse.T, product(inverse, seen))

    return solve(rows, gaps, reach)


def smooth_lift(
    u: Float[Array, "c *x"], rows: Rows, gains: Gains
) -> Float[Array, "c *x"]:
    """u + Σ_r φ_r (value_r - l_r(u)), axis by axis; the rows then hold to rounding.

    Corner data are not checked.
    """
    for axis, (axis_rows, gain) in enumerate(zip(rows, gains, strict=True)):
        if gain is None or not axis_rows:
            continue
        misfit = jnp.stack([row.target(u) - row(u) for row in axis_rows])
        u = u + _moved(misfit, gain.astype(u.dtype), axis + 1)
    return u


@partial(jax.jit, static_argnums=2)  # one program for all calls outside of jit
def _moved(misfit: Float[Array, "p *f"], gain: Gain, axis: int) -> Float[Array, "*x"]:
    """The gains times what the rows miss, in the way that suits the platform."""
    return jax.lax.platform_dependent(
        misfit,
        gain,
        cpu=partial(_by_sum_once, axis),
        default=partial(_by_sum, axis),
    )


def _by_sum(axis: int, misfit: Float[Array, "p *f"], gain: Gain) -> Float[Array, "*x"]:
    """Elementwise, so that it is fused with the addition."""
    along = (1,) * axis + (-1,) + (1,) * (misfit.ndim - 1 - axis)
    terms = [
        jnp.expand_dims(m, axis) * row.reshape(along)
        for m, row in zip(misfit, gain, strict=True)
    ]
    return reduce(jnp.add, terms)


@partial(WithDerivative, static=(0,))
def _by_sum_once(
    axis: int, misfit: Float[Array, "p *f"], gain: Gain
) -> Float[Array, "*x"]:
    """`_by_sum` on a CPU, where a product with 1 keeps the misfit in memory.

    Otherwise the compiler evaluates the misfit anew at every point of the axis. The
    derivative is that of a product of matrices, whose cotangent costs less than sums.
    """
    one = jnp.asarray(np.eye(misfit.shape[0]), misfit.dtype)
    flat = misfit.reshape(misfit.shape[0], -1)
    kept = jnp.matmul(one, flat, precision="highest")
    return _by_sum(axis, kept.reshape(misfit.shape), gain)


@_by_sum_once.defjvp
def _(axis: int, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    _, moved = jax.jvp(partial(_by_product, axis), primals, tangents)
    return _by_sum_once(axis, *primals), moved


def _by_product(
    axis: int, misfit: Float[Array, "p *f"], gain: Gain
) -> Float[Array, "*x"]:
    lines = jnp.moveaxis(misfit, 0, -1)
    return jnp.moveaxis(jnp.matmul(lines, gain, precision="highest"), -1, axis)
