"""The linear algebra of conditioning: the Gram system of the rows, and its derivative.

With prior mean μ and covariance Σ = R Rᵀ, rows G u = b with noise covariance N =
diag(σ²):

    W = G R                  whitened rows
    S = W Wᵀ + N = L Lᵀ      Gram matrix: the covariance of the predicted row values
    λ = S⁻¹ (b - G μ)        multipliers
    μ' = μ + R Wᵀ λ          posterior mean

Source: Rasmussen and Williams (2006), eq. A.6.

Values are computed in float64 and rounded once. Rows are scaled by powers of two, d, to
a unit diagonal of S, so that no choice of units over- or underflows; the whitener B,
with B d S d Bᵀ = 1 on the independent rows (`physcon._numerics.whitening`), leaves as a pair of
float32 arrays (`split`), because a posterior variance is a small difference. Then S⁻¹ =
d Bᵀ B d.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import inexact_leaves
from physcon._numerics.blocked import combine_blocked, inner_blocked, weigh_blocked
from physcon._numerics.float64 import Pair, cast, in_float64, join, split
from physcon._numerics.products import along_rows, combine, gram, weigh
from physcon._numerics.whitening import whitening
from physcon._typing import Array, Float, Scalar
from physcon.linear_map import LinearMap, LowRank

#: Of a row's variance, once earlier rows are known: what is less is rounding, the row
#: is redundant.
REDUNDANT = 1e-14
#: Points from which float64 copies of arrays are avoided.
LONG = 2**16
#: |B|² (a bound on the condition of S) up to which W may carry float32's rounding.
WELL_CONDITIONED = 1e6


class Gain(NamedTuple):
    """Solution of the Gram system of the scaled rows."""

    mean: Float[Array, "*x"]
    multiplier: Float[Array, " m"]
    scale: Float[Array, " m"]  # d; zero for rows that see no variance
    whitener: Pair  # B, (m, m), rows in pivot order; zero rows for redundant ones
    order: Float[Array, "m m"]  # permutation to pivot order
    log_det: Scalar  # of S over the independent rows
    unmet: Float[
        Array, " m"
    ]  # b - G μ' - N λ, zero up to rounding unless rows contradict
    rounding: Float[Array, " m"]  # |G| |μ| + |b|
    whitened: Pair | None  # W, where the latent space is small: (m, r) for `LowRank`


def whiten(operator: LinearMap, root: LinearMap) -> Float[Array, "m *z"]:
    """W = G R as rows over the latent space."""
    return jax.vmap(root.rmv)(operator.rows())


@partial(jax.jit, static_argnames="single")
def _solve(
    mean: Array,
    root: LinearMap,
    operator: LinearMap,
    value: Array,
    noise_std: Array,
    single: bool,
) -> Gain:
    """In float64; `single`: of arrays that have been converted from float32."""
    args = (mean, root, operator, value, noise_std)
    if single and isinstance(root, LowRank) and mean.size >= LONG:
        return jax.lax.platform_dependent(
            *args, cpu=_solve_blocked, default=_solve_whole
        )
    return _solve_whole(*args, single)


def _solve_whole(
    mean: Array,
    root: LinearMap,
    operator: LinearMap,
    value: Array,
    noise_std: Array,
    single: bool = False,
) -> Gain:
    w, rows = whiten(operator, root), operator.rows()
    sums = (rows, mean, w)
    if single and rows.shape[0] <= 3 and mean.size >= LONG:
        # Anew from the float32 arrays: XLA's CPU backend else writes W to memory, in
        # float64, since both the sums and the posterior need it (half as slow again,
        # measured).
        again = cast((mean, root, operator), jnp.float32)
        again = cast(jax.lax.optimization_barrier(again), jnp.float64)
        sums = (again[2].rows(), again[0], whiten(again[2], again[1]))
    prediction, magnitude, s = operator.total(weigh(*sums))
    # What a posterior has already been told is seen by the size of its prior's rows.
    known = root.undiminished()
    before = None
    if known is not root:
        before = operator.total(_row_variance(whiten(operator, known)))
    gain = _solve_small(prediction, magnitude, s, before, value, noise_std)
    return gain._replace(
        mean=mean + root.mv(combine(gain.multiplier, w)),
        whitened=split(w) if isinstance(root, LowRank) else None,
    )


def _solve_blocked(
    mean: Array, root: LowRank, operator: LinearMap, value: Array, noise_std: Array
) -> Gain:
    """W with float32's rounding, everything else in float64; judged by the true
    residual, and by the condition of S. Where that doesn't do: `_solve_whole`.
    """
    rows, vectors = (
        a.reshape(a.shape[0], -1).astype(jnp.float32)
        for a in (operator.rows(), root.vectors)
    )
    prediction, magnitude, w = weigh_blocked(rows, mean.reshape(-1), vectors)
    gain = _solve_small(prediction, magnitude, gram(w), None, value, noise_std)
    found = mean.reshape(-1) + combine_blocked(gain.multiplier @ w, vectors)
    unmet = value - inner_blocked(rows, found) - noise_std**2 * gain.multiplier
    exact = jnp.all(jnp.abs(unmet) <= jnp.finfo(jnp.float32).eps * gain.rounding)
    regular = jnp.max(jnp.abs(join(gain.whitener))) ** 2 < WELL_CONDITIONED
    independent = jnp.all(jnp.any(gain.whitener.high != 0, axis=1))
    # As float32, so that no converted copies are made for the branch that isn't taken.
    args = cast((mean, root, operator, value, noise_std), jnp.float32)
    return jax.lax.cond(
        exact & regular & independent,
        lambda: gain._replace(mean=found.reshape(mean.shape), whitened=split(w)),
        lambda: _solve_whole(*cast(args, jnp.float64)),
    )


def _solve_small(
    prediction: Float[Array, " m"],
    magnitude: Float[Array, " m"],
    s: Float[Array, "m m"],
    before: Float[Array, " m"] | None,
    value: Float[Array, " m"],
    noise_std: Float[Array, " m"],
) -> Gain:
    """All of `Gain` but the mean, from G μ, |G| |μ|, W Wᵀ and the rows' variances to
    begin with.
    """
    noise = noise_std**2
    eye = jnp.eye(noise.size, dtype=s.dtype)
    s = s + eye * noise[:, None]
    variance = jnp.sum(eye * s, axis=1)
    seen = variance > REDUNDANT * (variance if before is None else before + noise)
    exponent = jnp.round(-0.5 * jnp.log2(jnp.where(seen, variance, 1)))
    scale = jnp.where(seen, jnp.exp2(exponent), 0)
    found = whitening(scale[:, None] * s * scale[None, :], REDUNDANT)
    missing = value - prediction
    multiplier = scale * (found.whitener.T @ (found.whitener @ (scale * missing)))
    # NaN never means "missing": it goes everywhere.
    multiplier = jnp.where(
        jnp.all(jnp.isfinite(missing) & jnp.isfinite(variance)), multiplier, jnp.nan
    )
    kept = jnp.any(found.whitener != 0, axis=1)
    return Gain(
        mean=prediction,
        multiplier=multiplier,
        scale=scale,
        whitener=split(found.whitener),
        order=found.order,
        log_det=2
        * jnp.sum(
            jnp.log(found.diagonal) - jnp.log(jnp.where(kept, found.order @ scale, 1))
        ),
        unmet=missing - s @ multiplier,
        rounding=magnitude + jnp.abs(value),
        whitened=None,
    )


def _row_variance(rows: Float[Array, "m *z"]) -> Float[Array, " m"]:
    return jnp.sum(rows * rows, axis=tuple(range(1, rows.ndim)))


@jax.custom_jvp
def solve(
    mean: Array, root: LinearMap, operator: LinearMap, value: Array, noise_std: Array
) -> Gain:
    """`Gain` of conditioning N(mean, root rootᵀ) on ``operator u = value + noise``.

    The tangent of a conditioning is a conditioning. At fixed multipliers the mean moves
    by a; what the rows then miss is distributed by the same gain:

        a = d(μ + Σ Gᵀ λ)|λ     c = db - d(G μ' + N λ)|μ',λ
        dλ = S⁻¹ (c - G a)      dμ' = a + Σ Gᵀ dλ

    (differentiate  μ' = μ + Σ Gᵀ λ,  G μ' + N λ = b).  And dB = -Φ(B dS Bᵀ) B, Φ the
    lower triangle with halved diagonal (Smith, J. Comput. Graph. Stat. 4 (1995) 134).
    Redundant rows: the same, right for every change that leaves them redundant and
    consistent.
    """
    args = (mean, root, operator, value, noise_std)
    single = jnp.result_type(*inexact_leaves(args)) != jnp.float64
    return in_float64(partial(_solve, single=single))(*args)


@solve.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Gain, Gain]:
    mean, root, operator, _, noise_std = primals
    d_mean, d_root, d_operator, d_value, d_noise = tangents
    gain = solve(*primals)
    scale, whitener = gain.scale, join(gain.whitener)
    ones, eye = jnp.ones_like(whitener), jnp.eye(scale.size, dtype=scale.dtype)

    def moved(mean: Array, root: LinearMap, operator: LinearMap) -> Array:
        return mean + root.mv(root.rmv(operator.rmv(gain.multiplier)))

    def predicted(operator: LinearMap, noise_std: Array) -> Array:
        return operator.mv(gain.mean) + noise_std**2 * gain.multiplier

    def scaled_gram(root: LinearMap, operator: LinearMap, noise_std: Array) -> Array:
        return (
            operator.total(gram(along_rows(scale, whiten(operator, root))))
            + eye * ((scale * noise_std) ** 2)[:, None]
        )

    with jax.default_matmul_precision("highest"):
        _, a = jax.jvp(moved, (mean, root, operator), (d_mean, d_root, d_operator))
        _, dp = jax.jvp(predicted, (operator, noise_std), (d_operator, d_noise))
        missing = scale * (d_value - dp - operator.mv(a))
        d_multiplier = scale * (whitener.T @ (whitener @ missing))
        _, ds = jax.jvp(
            scaled_gram, (root, operator, noise_std), (d_root, d_operator, d_noise)
        )
        ds = whitener @ ds @ whitener.T
        d_whitened = None
        if gain.whitened is not None:
            _, dw = jax.jvp(whiten, (operator, root), (d_operator, d_root))
            d_whitened = Pair(dw, jnp.zeros_like(dw))
        d_whitener = -(ds * (jnp.tril(ones) - 0.5 * eye)) @ whitener
        tangent = Gain(
            mean=a + root.mv(root.rmv(operator.rmv(d_multiplier))),
            multiplier=d_multiplier,
            scale=jnp.zeros_like(scale),
            whitener=Pair(d_whitener, jnp.zeros_like(d_whitener)),
            order=jnp.zeros_like(gain.order),
            log_det=jnp.sum(eye * ds),
            unmet=jnp.zeros_like(scale),
            rounding=jnp.zeros_like(scale),
            whitened=d_whitened,
        )
    return gain, tangent
