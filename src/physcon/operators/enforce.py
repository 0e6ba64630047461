"""Make a field meet its boundary conditions: by overwriting boundary nodes, or by a
smooth lift.

Both are conditioning: u + φ (α - l(u)) with the gain φ = P lᵀ (l P lᵀ)⁻¹ of a prior
covariance P. Overwriting is the gain of a prior that varies at the boundary nodes
alone. The lift is that of a smooth prior of correlation length `reach`: φ has no kink
at the wall and does not depend on the resolution. Axes are treated in turn; the
corrections of two axes commute where the data agree in the corners, which
`check_corners` makes sure of.
"""

from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import error_if, require
from physcon._numerics.float64 import float64_primal
from physcon._numerics.small import cholesky, lower_inverse
from physcon._typing import Array, Float, Scalar
from physcon.boundary import Boundary
from physcon.grid import Grid
from physcon.operators.trace import Order, Trace, traces

#: Lift functions of one axis, one per row.
Gain: TypeAlias = Float[Array, "_ _"]


#: Correlation length of the lift, as a fraction of the axis: see docs of `lift`.
REACH = 0.1


class Residual(NamedTuple):
    """l(u) - α on one face."""

    axis: int
    upper: bool
    value: Float[Array, "c *f"]


def overwrite(
    u: Float[Array, "c *x"],
    boundary: Boundary,
    grid: Grid,
    order: Order = 2,
    throw: bool = True,
) -> Float[Array, "c *x"]:
    """`u` with its boundary nodes solved from the conditions; no other node changes.

    l(overwrite(u)) == α to rounding: u(x_0) = (α - Σ_{s>0} c_s u(x_s)) / c_0. Periodic:
    both ends become their mean.

    Shapes: u ``(c, *x)`` on the grid's nodes; boundary values broadcast to ``(c,
        *face)``.

    Raises:
        ValueError: shapes, see `traces`. At run time under `throw`: corner data that contradict
            each other, a Robin condition that leaves the boundary node undetermined.
    """
    check_shape(u, grid)
    rows = traces(boundary, grid, order)
    return overwrite_rows(check_corners(u, rows, throw), rows, throw)


def lift(
    u: Float[Array, "c *x"],
    boundary: Boundary,
    grid: Grid,
    order: Order = 2,
    reach: float = REACH,
    throw: bool = True,
) -> Float[Array, "c *x"]:
    """`u` plus smooth functions times its boundary residual: u + Σ_r φ_r(x) (α_r -
    l_r(u)).

    l_r(φ_s) = δ_rs, so the conditions hold; ‖φ‖ depends on the conditions and the
    stretching of the grid only. A last `overwrite` removes what rounding left, but for
    spectral derivatives, where overwriting a node would spoil the slope at the other
    end.

    Shapes, Raises: as `overwrite`.

    Args:
        reach: correlation length as a fraction of the axis. A long one spreads a misfit of slopes
            over the whole field; a short one leaves a boundary value isolated from its neighbours.

    Source: Derivation in the module's docstring; in 2-D and 3-D the axes combine as the
    Boolean sum of Gordon and Hall, Numer. Math. 21 (1973) 109, eq. 2.5.
    """
    check_shape(u, grid)
    rows = traces(boundary, grid, order)
    u = check_corners(u, rows, throw)
    u = smooth_lift(u, rows, lift_gains(rows, grid, reach))
    return overwrite_rows(
        u, tuple(tuple(t for t in r if t.is_local) for r in rows), throw
    )


def residuals(
    u: Float[Array, "c *x"], boundary: Boundary, grid: Grid, order: Order = 2
) -> tuple[Residual, ...]:
    """l(u) - α for every side with a condition, axis by axis."""
    return tuple(
        Residual(t.axis, t.upper, t(u) - t.target(u))
        for axis_rows in traces(boundary, grid, order)
        for t in axis_rows
    )


def lift_gains(
    rows: tuple[tuple[Trace, ...], ...], grid: Grid, reach: float = REACH
) -> tuple[Gain | None, ...]:
    """Per axis φ_r(x), one for each row, with l_r(φ_s) == δ_rs; None for a free axis.

    The gain P lᵀ (l P lᵀ)⁻¹ of a Matérn-5/2 prior whose correlation length is the
    fraction `reach` of the axis: φ falls to zero within a few lengths of its side.
    """
    gains = []
    for t, x in zip(rows, grid.coordinates, strict=False):
        if not t:
            gains.append(None)
            continue
        n, k = x.shape[0], max(r.row.shape[0] for r in t)
        near = np.unique(np.r_[0:k, n - k : n])  # where any row is not zero
        some = jnp.stack([r.dense(n)[near] for r in t])
        gains.append(_gain(some, x[near], x, jnp.asarray(reach, x.dtype)))
    return tuple(gains)


def smooth_lift(
    u: Float[Array, "c *x"],
    rows: tuple[tuple[Trace, ...], ...],
    gains: tuple[Gain | None, ...],
) -> Float[Array, "c *x"]:
    """u + Σ_r φ_r (α_r - l_r(u)), axis by axis: the lift alone, unchecked, right to
    rounding.
    """
    for axis, (axis_rows, gain) in enumerate(zip(rows, gains, strict=True)):
        if gain is not None:
            misfit = jnp.stack([t.target(u) - t(u) for t in axis_rows], -1)
            added = jax.lax.platform_dependent(
                misfit,
                gain.astype(u.dtype),
                cpu=partial(_by_product, axis=axis + 1),
                default=partial(_by_sum, axis=axis + 1),
            )
            u = u + added
    return u


def _by_product(
    misfit: Float[Array, "*f p"], gain: Gain, axis: int
) -> Float[Array, "*x"]:
    """Whose cotangent is a product too: on a CPU cheaper than sums of broadcasts."""
    return jnp.moveaxis(jnp.matmul(misfit, gain, precision="highest"), -1, axis)


def _by_sum(misfit: Float[Array, "*f p"], gain: Gain, axis: int) -> Float[Array, "*x"]:
    """Elementwise: on an accelerator nothing is stored before it is added to the field."""
    along = (1,) * axis + (-1,) + (1,) * (misfit.ndim - 1 - axis)
    pairs = zip(jnp.moveaxis(misfit, -1, 0), gain, strict=True)
    terms = (jnp.expand_dims(m, axis) * row.reshape(along) for m, row in pairs)
    return sum(terms)  # type: ignore[return-value]


@float64_primal
def _gain(
    rows: Float[Array, "p k"],
    near: Float[Array, " k"],
    x: Float[Array, " n"],
    reach: Scalar,
) -> Float[Array, "p n"]:
    """In float64: l P lᵀ holds differences of a smooth function over one spacing,
    twice.
    """

    def covariance(a: Float[Array, " _"]) -> Float[Array, "k _"]:
        r = (
            jnp.sqrt(5.0)
            * jnp.abs(near[:, None] - a[None, :])
            / (reach * (x[-1] - x[0]))
        )
        return (1 + r + r**2 / 3) * jnp.exp(-r)

    seen = jnp.matmul(rows, covariance(x), precision="highest")
    gram = jnp.matmul(jnp.matmul(rows, covariance(near), precision="highest"), rows.T,
                      precision="highest")  # fmt: skip
    # Unrolled for one or two sides: LAPACK's threads take a hundred times as long to
    # meet.
    inverse = lower_inverse(cholesky(gram))
    return inverse.T @ (inverse @ seen)


def check_corners(
    u: Float[Array, "c *x"], rows: tuple[tuple[Trace, ...], ...], throw: bool
) -> Float[Array, "c *x"]:
    """`u`, and an error that names the corner where two sides ask for different things.

    A field with l_a(u) = α and l_b(u) = β on two axes has l_b(α) = l_a(β) in their
    corner. Where both are values, this must hold to rounding; where a difference
    stencil is involved, to 1e-3 of its sum, since exact data differ there by the
    stencil's own error. Unchecked (``throw=False``) the later axis wins.
    """
    if not throw:
        return u
    for i, first in enumerate(rows):
        for second in rows[i + 1 :]:
            for a in first:
                for b in second:
                    u = _check_corner(u, a, b)
    return u


def _check_corner(u: Float[Array, "c *x"], a: Trace, b: Trace) -> Float[Array, "c *x"]:
    if a.periodic and b.periodic:
        return u
    both = a.row.shape[0] == b.row.shape[0] == 1 and not (a.periodic or b.periodic)
    tolerance = 64 * float(jnp.finfo(u.dtype).eps) if both else 1e-3
    # Each face has lost one axis: restore it, so that the other row finds its own axis.
    on_a = jnp.expand_dims(a.target(u), a.axis + 1)
    on_b = jnp.expand_dims(b.target(u), b.axis + 1)
    seen_b, size_b = jnp.squeeze(b(on_a), a.axis + 1), _size(b, on_a, a.axis)
    seen_a, size_a = jnp.squeeze(a(on_b), b.axis), _size(a, on_b, b.axis)
    wrong = jnp.abs(seen_b - seen_a) > tolerance * (size_a + size_b)
    return error_if(
        u,
        jnp.any(wrong),
        f"expected boundary data that agree in the corner of {a.name} and {b.name}, got values "
        "that contradict each other; make them meet there, or pass throw=False to let the later "
        "axis win",
        throw=True,
    )


def _size(t: Trace, face: Float[Array, "..."], lost: int) -> Float[Array, "..."]:
    """Σ |c_s| max |α|: the scale of a corner's stencil sum."""
    return jnp.sum(jnp.abs(t.row)).astype(face.dtype) * jnp.max(jnp.abs(face))


def overwrite_rows(
    u: Float[Array, "c *x"], rows: tuple[tuple[Trace, ...], ...], throw: bool = False
) -> Float[Array, "c *x"]:
    """`overwrite` for rows that are at hand, corners unchecked."""
    for t in (t for axis_rows in rows for t in axis_rows):
        require(t.is_local, f"a one-sided difference on {t.name}", "order='spectral'",
                "its row does not hold the boundary node: use form='lift'")  # fmt: skip
        # Masks instead of scatters: they fuse with the elementwise work around them.
        axis, n = t.axis + 1, u.shape[t.axis + 1]
        where = jnp.arange(n).reshape((1,) * axis + (-1,) + (1,) * (u.ndim - axis - 1))
        if t.periodic:
            node = jnp.mean(jnp.take(u, jnp.array([0, -1]), axis=axis), axis=axis)
            at = (where == 0) | (where == n - 1)
        else:
            at = where == (n - 1 if t.upper else 0)
            rest = t(jnp.where(at, jnp.zeros((), u.dtype), u))
            node = (t.target(u) - rest) / _pivot(t, throw).astype(u.dtype)
        u = jnp.where(at, jnp.expand_dims(node, axis), u)
    return u


def check_shape(u: Float[Array, "c *x"], grid: Grid) -> None:
    """Raise unless the space axes of `u` are those of the grid."""
    require(
        u.shape[1:] == grid.shape,
        f"a field (channels, {', '.join(map(str, grid.shape))}) on the grid's nodes",
        u.shape,
        "functions act on one sample: batch with jax.vmap",
    )


def _pivot(t: Trace, throw: bool) -> Float[Array, ""]:
    """c_0, which must not vanish beside the rest of the row (it can under Robin
    conditions).
    """
    if t.row.shape[0] == 1:
        return t.row[0]
    wrong = jnp.abs(t.row[0]) < 1e-6 * jnp.sum(jnp.abs(t.row))
    message = (
        f"expected a row that determines the boundary node on {t.name}, got a + b c_0 = 0; change "
        "the Robin coefficients, the order or the grid"
    )
    return error_if(t.row[0], wrong, message, throw)
