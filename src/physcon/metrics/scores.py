"""Scores of probabilistic predictions, and their errors in conserved quantities.

Predictions are means and standard deviations per point, or samples. Scores are means
over all points of one prediction, so `jax.vmap` gives one score for each function. The
proper scores are smooth in mean and std, so they can be used as losses.

A standard deviation of zero says that a value is certain, as after conditioning on a
boundary value. A certain value is met if it equals the truth to rounding. All scores
are defined at certain points, either as a limit or as their docstrings state.
"""

from math import log, pi, sqrt

import jax
import jax.numpy as jnp
from jax.scipy.special import erfinv, ndtr

from physcon._checks import require, require_shape, shape_of
from physcon._deprecation import accepts_old_positions
from physcon._numerics import safe
from physcon._numerics.float64 import float64_primal
from physcon._typing import Array, ArrayLike, Float, Scalar


def mean_squared_error(mean: Float[Array, "*x"], truth: Float[Array, "*x"]) -> Scalar:
    """Mean over points of (mean - truth)², in the squared unit of the field."""
    require_shape(truth, shape_of(mean, "mean"), "truth")
    return jnp.mean((mean - truth) ** 2)


def relative_l2(mean: Float[Array, "*x"], truth: Float[Array, "*x"]) -> Scalar:
    """‖mean - truth‖ / ‖truth‖ over all points."""
    require_shape(truth, shape_of(mean, "mean"), "truth")
    return _norm(mean - truth) / _norm(truth)


def gaussian_log_likelihood(
    mean: Float[Array, "*x"], std: Float[Array, "*x"], truth: Float[Array, "*x"]
) -> Scalar:
    """Mean over points of ln N(truth; mean, std²).

    The likelihood is marginal: correlations are not scored. A certain point has
    probability one, so it adds 0 if it is met and -inf if it is missed.

    Source:
        The LL of Hansen et al. (2023), tables of results.
    """
    z = standardized(mean, std, truth)
    certain = std == 0
    log_scale = jnp.where(certain, 0, safe.log(std) + 0.5 * log(2 * pi))
    log_scale = jnp.where(std >= 0, log_scale, jnp.nan)
    return jnp.mean(-0.5 * z**2 - log_scale)


def gaussian_crps(
    mean: Float[Array, "*x"], std: Float[Array, "*x"], truth: Float[Array, "*x"]
) -> Scalar:
    """Continuous ranked probability score of N(mean, std²), as a mean over points.

    Smaller is better. The unit is the unit of the truth. With e = truth - mean and z =
    e / σ, the score is

        e (2 Φ(z) - 1) + σ (2 φ(z) - 1/√π),

    which is |e| for a certain point.

    Source:
        Gneiting and Raftery, J. Am. Stat. Assoc. 102 (2007) 359, sec. 4.2.
    """
    require_shape(std, shape_of(mean, "mean"), "std")
    require_shape(truth, shape_of(mean, "mean"), "truth")
    error = truth - mean
    # Beyond 40 standard deviations Φ is 0 or 1 to rounding of float64.
    far = jnp.abs(error) >= 40 * std
    z = jnp.where(far, 40 * jnp.sign(error), error / jnp.where(far, 1, std))
    density = jnp.exp(-0.5 * z**2) / sqrt(2 * pi)
    score = error * (2 * ndtr(z) - 1) + std * (2 * density - 1 / sqrt(pi))
    return jnp.mean(jnp.where(std >= 0, score, jnp.nan))


@accepts_old_positions
def energy_score(
    samples: Float[Array, "s *x"], truth: Float[Array, "*x"], *, fair: bool = True
) -> Scalar:
    """E|X - truth| - E|X - X'| / 2 with the Euclidean norm of whole fields.

    Smaller is better. Pairs are visited row by row, so no array larger than the samples
    is formed.

    Shapes:
        There are s samples of a field, ``(s, *x)``.

    Args:
        fair: whether to average over the s (s - 1) pairs of different samples, which is
            unbiased in s. Otherwise the average over all s² pairs gives the score of
            the empirical distribution itself.

    Raises:
        ValueError: for fewer than two samples.

    Source:
        Gneiting and Raftery (2007), eq. 22.
    """
    require_shape(truth, shape_of(samples, "samples")[1:], "truth")
    s = samples.shape[0]
    require(s >= 2, "2 or more samples", s, "use gaussian_crps for a single Gaussian")
    rows = samples.reshape(s, -1)
    to_truth = jnp.mean(_distances(rows, truth.reshape(-1)))
    between = jnp.sum(_sums_of_distances(rows))
    return to_truth - 0.5 * between / (s * (s - 1) if fair else s**2)


def interval_coverage(
    mean: Float[Array, "*x"],
    std: Float[Array, "*x"],
    truth: Float[Array, "*x"],
    level: float = 0.95,
) -> Scalar:
    """Fraction of points whose truth lies in the central interval of the given level.

    A certain point is covered if it is met.
    """
    z = standardized(mean, std, truth)
    covered = (jnp.abs(z) <= _quantile(level)).astype(z.dtype)
    return jnp.mean(jnp.where(jnp.isnan(z), jnp.nan, covered))


def calibration_factor(
    mean: Float[Array, "*x"],
    std: Float[Array, "*x"],
    truth: Float[Array, "*x"],
    level: float = 0.95,
) -> Scalar:
    """The factor on `std` with which central intervals hold their share of the truths.

    It is one for calibrated predictions, and above one where intervals are too narrow:
    the order statistic of |truth - mean| / std above `level`, divided by the normal
    quantile. Intervals scaled by it hold at least this share of the given truths.

    Determine it on held-out data, at the points that matter. It is too small for
    these if almost every interval holds the truth at the others.

    Args:
        level: of the intervals, between 0 and 1.

    Raises:
        ValueError: for other levels, or fields of different shapes.

    Source:
        Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), sec. 5.2: split conformal
        inference with residuals in units of their spread.
    """
    size = jnp.abs(standardized(mean, std, truth))
    return jnp.quantile(size, level, method="higher") / _quantile(level)


def interval_width(std: Float[Array, "*x"], level: float = 0.95) -> Scalar:
    """Mean over points of the width of the central interval of the given level."""
    return 2 * _quantile(level) * jnp.mean(jnp.where(std >= 0, std, jnp.nan))


def probability_integral_transform(
    mean: Float[Array, "*x"], std: Float[Array, "*x"], truth: Float[Array, "*x"]
) -> Float[Array, "*x"]:
    """Φ((truth - mean) / std) at each point.

    The values are uniform on [0, 1] if the prediction is calibrated. A certain point
    that is met has the value 1/2.
    """
    return ndtr(standardized(mean, std, truth))


def conservation_error(
    mean: Float[Array, "*x"], weights: Float[Array, "*x"], mass: ArrayLike
) -> Scalar:
    """Σ weights · mean - mass, summed in float64: the error in a conserved total.

    Shapes:
        The fields belong to one time, and the weights are as returned by
        `Grid.weights`.
    """
    require_shape(weights, shape_of(mean, "mean"), "weights")
    return _excess(mean, weights.astype(mean.dtype), jnp.asarray(mass, mean.dtype))


def standardized(
    mean: Float[Array, "*x"], std: Float[Array, "*x"], truth: Float[Array, "*x"]
) -> Float[Array, "*x"]:
    """(truth - mean) / std at each point; the three shapes must agree.

    At a certain point it is 0 if the truth is met to rounding, and otherwise ±infinity.
    It is NaN where `std` is negative.
    """
    require_shape(std, shape_of(mean, "mean"), "std")
    require_shape(truth, shape_of(mean, "mean"), "truth")
    error = truth - mean
    rounding = 4 * float(jnp.finfo(error.dtype).eps)
    met = jnp.abs(error) <= rounding * jnp.maximum(jnp.abs(truth), jnp.abs(mean))
    at_certain = jnp.where(met, 0, jnp.where(error > 0, jnp.inf, -jnp.inf))
    at_certain = jnp.where(jnp.isnan(error), jnp.nan, at_certain)
    certain = std == 0
    z = jnp.where(certain, at_certain, error / jnp.where(certain, 1, std))
    return jnp.where(std >= 0, z, jnp.nan)


def _quantile(level: float) -> Scalar:
    require(0 < level < 1, "a level in (0, 1)", level, "0.95 for 95 % intervals")
    return sqrt(2) * erfinv(jnp.asarray(level, dtype=float))


@jax.jit  # one program for all calls outside of jit
def _sums_of_distances(rows: Float[Array, "s n"]) -> Float[Array, " s"]:
    """The sum of the distances of each row from all rows, one row at a time."""
    return jax.lax.map(lambda row: jnp.sum(_distances(rows, row)), rows)


def _distances(
    rows: Float[Array, "s n"], point: Float[Array, " n"]
) -> Float[Array, " s"]:
    """Euclidean distances, with derivative 0 where two points coincide."""
    return jax.vmap(_norm)(rows - point[None])


def _norm(x: Float[Array, "*x"]) -> Scalar:
    """Euclidean norm whose squares neither over- nor underflow."""
    unit = safe.power_of_two(jnp.max(jnp.abs(x), initial=0))
    return unit * safe.sqrt(jnp.sum((x / unit) ** 2))


@float64_primal
def _excess(
    mean: Float[Array, "*x"], weights: Float[Array, "*x"], mass: Scalar
) -> Scalar:
    return jnp.sum(weights * mean) - mass
