"""Tests of measurements against the laws that they should obey."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._numerics import safe
from physcon._numerics.float64 import in_float64
from physcon._show import shown
from physcon._status import Outcome
from physcon._typing import Array, Bool, Float, Int, Scalar
from physcon.conditioning._benefit import benefits
from physcon.conditioning._condition import condition, matched
from physcon.conditioning._gross_errors import (
    examined,
    expected_variance,
    serially_eliminated,
)
from physcon.conditioning._unmeasured import reduced, restored_mean, unmeasured
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers import Auto
from physcon.conditioning.solvers.refined import independent_std
from physcon.linear_map import Diagonal


class Diagnosis(NamedTuple):
    """Result of `diagnose`.

    Attributes:
        chi_squared: (b - G μ)ᵀ S⁻¹ (b - G μ): how far the measurements are from obeying
            the rows, in units of their errors.
        degrees: its degrees of freedom, the number of independent rows.
        p_value: probability of a larger value if all errors are as stated.
        row_score: (b - G μ) / √S_rr, one per row; zero for a row that sees unmeasured
            points.
        adjustment: what conditioning adds to each measurement, ``(*x)``.
        score: the adjustment over its standard deviation, ``(*x)``; zero for a
            measurement that no row checks. Under the stated errors each is a standard
            normal number.
        checked: ``(*x)``, whether the rows check the measurement at all (it is
            redundant in the sense of data reconciliation).
        critical: the |score| that the largest of all exceeds with probability `level`.
        suspects: ``(max_errors,)``, flat indices of measurements with gross errors, in
            the order in which they were found; -1: no further one.
        outcome: as of `condition`.
        observable: ``(*x)``, whether the value is known: it is measured, or follows
            from others by the rows.
        benefit: ``(*x)``, by how much one more measurement of a point with its present
            error would reduce the sum of all posterior variances, each in units of its
            measurement's variance; infinite for what is not observable. For an
            unmeasured point the posterior variance takes the place of the error's. The
            largest one is the measurement that helps most. None unless asked for.
    """

    chi_squared: Scalar
    degrees: Scalar
    p_value: Scalar
    row_score: Float[Array, "*y"]
    adjustment: Float[Array, "*x"]
    score: Float[Array, "*x"]
    checked: Bool[Array, "*x"]
    critical: Scalar
    suspects: Int[Array, " e"]
    outcome: Outcome
    observable: Bool[Array, "*x"]
    benefit: Float[Array, "*x"] | None = None

    __repr__ = shown


def diagnose(
    prior: Gaussian,
    constraint: LinearConstraint,
    *,
    level: float = 0.05,
    max_errors: int = 3,
    with_benefit: bool = False,
) -> Diagnosis:
    """Whether measurements fit the laws, and which of them have gross errors.

    `prior.mean` are the measurements and the prior's standard deviations their errors.
    Gross errors are found by serial elimination: the measurement with the largest
    |score| above the critical value is taken to be unknown, and the test is repeated.
    Together `checked` and `observable` are the classes of data reconciliation: measured
    quantities that other ones check (redundant) or don't, and unmeasured ones that
    follow from others (observable) or don't.

    Args:
        prior: independent errors; a standard deviation of infinity stands for a
            quantity that was not measured.
        level: probability of a false alarm among all measurements.
        max_errors: the largest number of suspects.
        with_benefit: compute `Diagnosis.benefit`, at the cost of up to 512 solves.

    Source: Narasimhan and Jordache, Data Reconciliation and Gross Error Detection
    (2000), ch. 7 and 8.

    >>> from physcon.conditioning.builders import incidence
    >>> law = incidence([[-1, 0], [0, 1], [0, 2], [1, 2], [2, -1]], 3)
    >>> flows = jnp.array([3.0, 1.0, 2.0, 4.0, 3.0])  # the fourth should be 1
    >>> found = diagnose(Gaussian.diagonal(flows, 0.1 * jnp.ones(5)), law)
    >>> found.suspects.tolist()
    [3, -1, -1]
    """
    prior, law = matched(prior, constraint)
    require(
        independent_std(prior.root) is not None,
        "a prior with independent errors",
        type(prior.root).__name__,
        "pass Gaussian.diagonal(measurements, std)",
    )
    absent = unmeasured(prior)
    if absent is None:
        found = _measured(prior, law, level, max_errors)
    else:
        found = _partly_measured(prior, law, absent, level, max_errors)
    if not with_benefit:
        return found
    posterior = condition(prior, law, throw=False).posterior
    std = independent_std(prior.root)
    assert std is not None
    std = std.reshape(prior.mean.shape)
    return found._replace(benefit=benefits(posterior, std, ~found.observable))


def _partly_measured(
    prior: Gaussian, law: LinearConstraint, absent: np.ndarray, level: float, most: int
) -> Diagnosis:
    """The tests of the measured points, after elimination of the others."""
    n, shape = prior.mean.size, prior.mean.shape
    left = reduced(prior, law, absent)
    found = _measured(left.prior, left.law, level, most, n, n - absent.size)
    observable = jnp.ones(n, bool).at[left.lost].set(False)
    mean = restored_mean(left, left.prior.mean + found.adjustment)
    moved = jnp.where(observable.reshape(shape), mean - prior.mean, 0)
    kept = independent_std(left.prior.root)
    assert kept is not None
    unknown = jnp.zeros(n).at[absent].set(1).reshape(shape)
    sees_unknown, spread = in_float64(_row_spread)(
        law, unknown, kept[:n].reshape(shape)
    )
    score = safe.divide(law.value - law.operator.mv(prior.mean), spread)
    return found._replace(
        row_score=jnp.where(sees_unknown > 0, 0, score),
        adjustment=moved,
        score=found.score[:n].reshape(shape),
        checked=found.checked[:n].reshape(shape),
        observable=observable.reshape(shape),
    )


def _row_spread(law: LinearConstraint, unknown: Array, std: Array) -> tuple:
    """By how much each row sees the unknown points, and its standard deviation."""
    seen = expected_variance(law, Diagonal(unknown)) - law.noise() ** 2
    return safe.sqrt(seen), safe.sqrt(expected_variance(law, Diagonal(std)))


def _measured(
    prior: Gaussian,
    law: LinearConstraint,
    level: float,
    most: int,
    points: int | None = None,
    count: int | None = None,
) -> Diagnosis:
    """The tests where every point has a finite standard deviation.

    Args:
        points: how many of the first points may be measurements; None: all.
        count: how many are, among which a false alarm has probability `level`.
    """
    points = prior.mean.size if points is None else points
    count = points if count is None else count
    unit = safe.power_of_two(jnp.asarray(prior.root.unit(), prior.mean.dtype))
    noise = None if law.noise_std is None else law.noise_std / unit
    law = LinearConstraint(law.operator, law.value / unit, noise)
    prior = Gaussian(prior.mean / unit, prior.root.scaled(1 / unit))
    solver = Auto().choose(prior, law)
    first = in_float64(partial(examined, solver=solver))(prior, law)
    tests = 1 - (1 - level) ** (1 / count)
    critical = jax.scipy.stats.norm.ppf(jnp.asarray(1 - tests / 2, prior.mean.dtype))
    eliminated = partial(serially_eliminated, solver=solver, count=most, points=points)
    suspects = in_float64(eliminated)(prior, law, critical)
    p_value = jax.scipy.special.gammaincc(0.5 * first.degrees, 0.5 * first.chi_squared)
    return Diagnosis(
        first.chi_squared,
        first.degrees,
        p_value,
        first.row_score,
        unit * first.adjustment,
        first.score,
        first.checked,
        critical,
        suspects.astype(jnp.int32),
        first.outcome,
        jnp.ones(prior.mean.shape, bool),
    )
