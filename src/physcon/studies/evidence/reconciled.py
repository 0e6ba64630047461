"""Ways to make the forecasts of a hierarchy coherent, as samples."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float, Int, PRNGKeyArray
from physcon.conditioning import Gaussian, LinearConstraint, bounded, condition
from physcon.inverse import maximum_a_posteriori
from physcon.metrics import gaussian_crps
from physcon.studies.evidence.smoothing import Forecast

#: The ways to use `condition`: the errors of the forecasts, see `prior`.
_ERRORS = {
    "condition, independent errors": "independent",
    "condition, errors of one step": "one_step",
    "condition, errors of h steps, bias removed": "ahead",
    "condition, fitted through the law": "one_step",
}
_FITTED = "condition, fitted through the law"
#: The one whose samples are also made without negative values.
_BOUNDED = "condition, errors of one step"
#: The methods in the order of the table.
METHODS = (
    "no reconciliation",
    "no reconciliation, bias removed",
    "bottom-up",
    "MinT",
    "MinT, zero where negative",
    *_ERRORS,
    f"{_BOUNDED}, u >= 0",
)


class Base(NamedTuple):
    """A forecast of all series for one time, as the methods use it.

    Attributes:
        mean: expected values, ``(n)``.
        std: standard deviations, ``(n)``.
        one_step: an ensemble around the mean, of past errors of one step, in units of
            `std`, shrunk, ``(w, n)``; `one_step_std` are independent errors on top.
        one_step_std: see `one_step`.
        ahead: the same of past errors over as many steps as the forecast, around the
            mean plus the mean of these errors (the bias).
        ahead_std: see `ahead`.
        weights: the covariance of one step, which MinT minimises the trace for,
            ``(n, n)``.
    """

    mean: Float[np.ndarray, "*t n"]
    std: Float[np.ndarray, "*t n"]
    one_step: Float[np.ndarray, "*t w n"]
    one_step_std: Float[np.ndarray, "*t n"]
    ahead: Float[np.ndarray, "*t w n"]
    ahead_std: Float[np.ndarray, "*t n"]
    weights: Float[np.ndarray, "*t n n"]


def bases(found: Forecast) -> Base:
    """The forecasts of one origin; the horizon is the first axis."""
    horizon = len(found.mean)
    share = shrinkage(found.one_step)
    centred = found.one_step - found.one_step.mean(axis=0)
    sigma = centred.std(axis=0, ddof=1)
    ratio = found.std / sigma
    weights = (1 - share) * np.cov(centred.T) + share * np.diag(sigma**2)
    scaled = ratio[:, None] * centred[None]
    shares = np.array([shrinkage(errors) for errors in found.ahead])[:, None]
    bias = found.ahead.mean(axis=1)
    later = found.ahead - bias[:, None]
    later_std = later.std(axis=1, ddof=1)
    return Base(
        found.mean,
        found.std,
        found.mean[:, None] + np.sqrt(1 - share) * scaled,
        np.sqrt(share) * found.std,
        (found.mean + bias)[:, None] + np.sqrt(1 - shares[:, None]) * later,
        np.sqrt(shares) * later_std,
        np.broadcast_to(weights, (horizon, *weights.shape)),
    )


def shrinkage(errors: Float[np.ndarray, "w n"]) -> float:
    """The share of the diagonal in the covariance, for correlations.

    Source: Schäfer and Strimmer, Stat. Appl. Genet. Mol. Biol. 4 (2005) 32, eq. 8 and
    table 1 (target D).
    """
    z = errors - errors.mean(axis=0)
    z = z / z.std(axis=0, ddof=1)
    count = len(z)
    mean = z.T @ z / count
    square = (z**2).T @ z**2 / count
    variance = count**2 / (count - 1) ** 3 * (square - mean**2)
    correlation = count / (count - 1) * mean
    off = ~np.eye(z.shape[1], dtype=bool)
    share = variance[off].sum() / (correlation[off] ** 2).sum()
    return float(np.clip(share, 0, 1))


def prior(
    base: Base, errors: str, factor: Float[Array, " n"] | None = None
) -> Gaussian:
    """The forecast as a Gaussian, before it is coherent.

    Args:
        errors: ``"independent"``, ``"one_step"`` or ``"ahead"``.
        factor: on the errors of each series; None for one.
    """
    if errors == "independent":
        return Gaussian.diagonal(base.mean, base.std)
    members = getattr(base, errors)
    std = getattr(base, f"{errors}_std")
    if factor is not None:
        centre = base.mean[None]
        members = centre + factor[None] * (members - centre)
        std = factor * std
    return Gaussian.from_samples(members, std)


def fitted_factors(
    past: Base,
    truth: Float[Array, "t n"],
    unit: Float[Array, " n"],
    level: Int[np.ndarray, " n"],
    law: LinearConstraint,
) -> Float[Array, " n"]:
    """Factors on the errors, one for each level, from forecasts with a known outcome.

    They have the smallest CRPS after conditioning, with a prior around one: each
    forecast counts like one observation with an error of the mean score.
    """
    levels = int(level.max()) + 1

    def score(base: Base, truth: Array, factor: Array) -> Array:
        posterior = condition(
            prior(base, "one_step", factor), law, throw=False
        ).posterior
        scaled = (posterior.mean / unit, posterior.std() / unit, truth / unit)
        return gaussian_crps(*scaled)

    def mean_score(theta: Array) -> Array:
        factor = jnp.exp(theta)[level]
        scores = jax.vmap(lambda one, true: score(one, true, factor))(past, truth)
        return jnp.mean(scores)

    start = jax.jit(mean_score)(jnp.zeros(levels))

    def loss(theta: Array) -> Array:
        return len(truth) * mean_score(theta) / start

    around = Gaussian.diagonal(jnp.zeros(levels), jnp.ones(levels))
    found = maximum_a_posteriori(loss, around, covariance=False)
    return jnp.exp(found.parameters)[level]


def minimum_trace(
    base: Base, summing: Float[Array, "n m"], draws: Float[Array, "s n"]
) -> Float[Array, "s n"]:
    """MinT by its formula, applied to samples: S (Sᵀ W⁻¹ S)⁻¹ Sᵀ W⁻¹.

    Source: Wickramasuriya, Athanasopoulos and Hyndman, J. Am. Stat. Assoc. 114 (2019)
    804, eq. 9; for samples Panagiotelis et al., Eur. J. Oper. Res. 306 (2023) 693.
    """
    scale = jnp.sqrt(jnp.diagonal(base.weights))
    white = jnp.linalg.cholesky(base.weights / jnp.outer(scale, scale))
    rows = summing / scale[:, None]
    rows = jax.scipy.linalg.solve_triangular(white, rows, lower=True)
    scaled = draws.T / scale[:, None]
    seen = jax.scipy.linalg.solve_triangular(white, scaled, lower=True)
    q, r = jnp.linalg.qr(rows)
    bottom = jax.scipy.linalg.solve_triangular(r, q.T @ seen)
    return (summing @ bottom).T


def never_negative(
    draws: Float[Array, "s n"], std: Float[Array, " n"], law: LinearConstraint
) -> Float[Array, "s n"]:
    """The nearest coherent samples without a negative value."""

    def one(draw: Array) -> Array:
        prior = Gaussian.diagonal(draw, std)
        return bounded(prior, law, 0.0, throw=False).mean

    return jax.vmap(one)(draws)


def samples(
    key: PRNGKeyArray,
    base: Base,
    law: LinearConstraint,
    summing: Float[Array, "n m"],
    factor: Float[Array, " n"],
    count: int,
) -> dict[str, Float[Array, "s n"]]:
    """Samples of one forecast by every method, from the same random numbers."""
    bottom = summing.shape[1]
    past = prior(base, "one_step").sample(key, (count,))
    minimal = minimum_trace(base, summing, past)
    zeroed = jnp.maximum(minimal[:, -bottom:], 0)
    ahead = prior(base, "ahead")
    alone = Gaussian.diagonal(ahead.mean, ahead.std())
    found = {
        "no reconciliation": prior(base, "independent").sample(key, (count,)),
        "no reconciliation, bias removed": alone.sample(key, (count,)),
        "bottom-up": past[:, -bottom:] @ summing.T,
        "MinT": minimal,
        "MinT, zero where negative": zeroed @ summing.T,
    }
    for name, errors in _ERRORS.items():
        one = prior(base, errors, factor if name == _FITTED else None)
        posterior = condition(one, law, throw=False).posterior
        found[name] = posterior.sample(key, (count,))
        if name == _BOUNDED:
            found[f"{name}, u >= 0"] = never_negative(found[name], posterior.std(), law)
    return found
