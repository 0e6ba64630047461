"""The analysis step of an ensemble Kalman filter whose members obey laws and bounds."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import require, require_given, require_same_field, require_shape
from physcon._numerics import safe
from physcon._numerics.float64 import floating, in_one_dtype
from physcon._show import shown
from physcon._status import Outcome, choose, settle, worse
from physcon._typing import Array, ArrayLike, Float, PRNGKeyArray
from physcon.assimilation._serial import forecast, perturbations, updated
from physcon.conditioning import Gaussian, LinearConstraint, bounded, condition


class Analysis(NamedTuple):
    """Result of `ensemble_update`.

    Attributes:
        members: the updated ensemble, ``(k, *x)``.
        innovation: the observations minus the mean of the forecasts, ``(*y)``; zero
            for one that is ignored.
        innovation_std: what `innovation` should have as its standard deviation,
            ``(*y)``: of the inflated ensemble and the observation's error together. If
            the quotients of both are much larger than 1 in many cycles, the ensemble is
            too narrow, and needs more inflation.
        outcome: the most severe one of all members, as of `condition` or `bounded`: a
            law that some member can't obey, exact observations that contradict each
            other, or values that are not finite.
    """

    members: Float[Array, "k *x"]
    innovation: Float[Array, "*y"]
    innovation_std: Float[Array, "*y"]
    outcome: Outcome

    __repr__ = shown


def ensemble_update(
    members: Float[Array, "k *x"],
    data: LinearConstraint,
    *,
    key: PRNGKeyArray | None = None,
    localisation: ArrayLike | None = None,
    inflation: ArrayLike = 1.0,
    law: LinearConstraint | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    throw: bool = True,
) -> Analysis:
    """Update an ensemble of forecasts by observations: an ensemble Kalman filter.

    The observations are used one after the other, each with the covariance that the
    ensemble then has, multiplied by the localisation. Localisation and inflation break
    the conservation of the forecasts, and no Kalman update knows bounds. `law` and the
    bounds are therefore imposed at the end: each member becomes the nearest field
    within the bounds that obeys the law, in units of the updated ensemble's spread.
    Both hold with the exactness of `condition` and `bounded`.

    Shapes: k members ``(k, *x)``, m observations; memory O(k n + m n) with a
    localisation, time O(k m n). One ensemble; batch with `jax.vmap`.

    Args:
        members: 2 or more forecasts of one field.
        data: observations with independent errors, such as `sensors`; one with an
            infinite `noise_std` is ignored, so that missing ones need no other shape.
        key: every member is given its own perturbed observations; None for the
            square-root filter, which adds no sampling noise.
        localisation: weights from 0 to 1 of each observation at each point,
            ``(m, *x)``, as made by `localisation`; None for no localisation.
        inflation: factor on the deviations of the forecasts, scalar or ``(*x)``.
        law: linear laws that every member obeys, such as a conserved total.
        lower, upper: of every member, scalar or ``(*x)``; None where open.
        throw: False returns the outcome instead of raising.

    Raises:
        ValueError: shapes, while tracing.
        RuntimeError: at run time under ``throw=True``; see `Analysis.outcome`.

    Source: Whitaker and Hamill, Mon. Wea. Rev. 130 (2002) 1913, eqs. 5 to 13; Burgers,
    van Leeuwen and Evensen, Mon. Wea. Rev. 126 (1998) 1719; Houtekamer and Mitchell,
    Mon. Wea. Rev. 129 (2001) 123; Janjić et al., Mon. Wea. Rev. 142 (2014) 755.

    >>> from physcon.conditioning import from_matrix, integral
    >>> members = jnp.array([[1.0, 3.0, 2.0], [3.0, 1.0, 2.0]])
    >>> data = from_matrix(jnp.array([[1.0, 0.0, 0.0]]), 3.0, 1.0)
    >>> found = ensemble_update(members, data, law=integral(jnp.ones(3), 6.0))
    >>> [round(u, 3) for u in found.members.mean(axis=0).tolist()]
    [2.667, 1.333, 2.0]
    """
    members, data, law, localisation, inflation = _checked(
        members, data, law, localisation, inflation
    )
    analysis = _analysed(members, data, key, localisation, inflation, law, lower, upper)
    return settle(analysis, analysis.outcome, throw)


def _checked(
    members: Array,
    data: LinearConstraint,
    law: LinearConstraint | None,
    localisation: ArrayLike | None,
    inflation: ArrayLike,
) -> tuple[Any, ...]:
    """The arguments in one dtype, or an error for shapes that don't fit."""
    members = floating(members)
    require(
        members.ndim >= 1 and members.shape[0] >= 2,
        "2 or more members (k, *x)",
        members.shape,
        "stack the forecasts along a first axis",
    )
    require_given(data, LinearConstraint, "data")
    if law is not None:
        require_given(law, LinearConstraint, "law")
    field = members.shape[1:]
    require_same_field(field, tuple(data.operator.in_shape))
    inflation = floating(inflation)
    if inflation.ndim:
        require_shape(inflation, field, "inflation")
    if localisation is not None:
        localisation = floating(localisation)
        require_shape(localisation, (data.value.size, *field), "localisation")
    inflation = jnp.broadcast_to(inflation, field)
    return in_one_dtype(members, data, law, localisation, inflation)


@jax.jit  # one program for all calls outside of jit
def _analysed(
    members: Array,
    data: LinearConstraint,
    key: PRNGKeyArray | None,
    taper: Array | None,
    inflation: Array,
    law: LinearConstraint | None,
    lower: ArrayLike | None,
    upper: ArrayLike | None,
) -> Analysis:
    """The Kalman update, and what the law and the bounds make of it."""
    analysis = _updated(members, data, key, taper, inflation)
    if law is None and lower is None and upper is None:
        return analysis
    return _obeying(analysis, law, lower, upper)


def _updated(
    members: Array,
    data: LinearConstraint,
    key: PRNGKeyArray | None,
    taper: Array | None,
    inflation: Array,
) -> Analysis:
    """The Kalman update, which knows neither laws nor bounds."""
    before = forecast(members, inflation, data)
    noise_std = data.noise().reshape(-1)
    count = members.shape[0]
    errors = None if key is None else perturbations(key, noise_std, count)
    after, contradicts = updated(before, data, taper, errors)
    found = after.mean[None] + after.deviations
    innovation = data.value.reshape(-1) - before.observed
    innovation = jnp.where(jnp.isposinf(noise_std), 0, innovation)
    return Analysis(
        found,
        innovation.reshape(data.value.shape),
        _total_std(before.observed_deviations, noise_std).reshape(data.value.shape),
        choose(
            (~jnp.all(jnp.isfinite(found)), Outcome.not_finite),
            (jnp.any(contradicts), Outcome.contradiction),
        ),
    )


def _total_std(deviations: Array, noise_std: Array) -> Array:
    """The standard deviation of the observed ensemble together with the noise."""
    largest = jnp.max(jnp.abs(deviations), axis=0)
    unit = safe.power_of_two(jnp.maximum(largest, noise_std))
    scaled = deviations / unit[None]
    variance = jnp.sum(scaled**2, axis=0) / (deviations.shape[0] - 1)
    return unit * safe.sqrt(variance + (noise_std / unit) ** 2)


def _obeying(
    analysis: Analysis,
    law: LinearConstraint | None,
    lower: ArrayLike | None,
    upper: ArrayLike | None,
) -> Analysis:
    """Every member, moved to the nearest field that obeys the law and the bounds."""
    dtype = analysis.members.dtype
    low, high = (None if x is None else jnp.asarray(x, dtype) for x in (lower, upper))
    std = Gaussian.from_samples(analysis.members).std()

    def one(member: Array) -> tuple[Array, Outcome]:
        if law is None:
            return _clipped(member, low, high)
        prior = Gaussian.diagonal(member, std)
        if low is None and high is None:
            result = condition(prior, law, throw=False)
            return result.posterior.mean, result.outcome
        found = bounded(prior, law, low, high, throw=False)
        return found.mean, found.outcome

    members, outcomes = jax.vmap(one)(analysis.members)
    worst = jax.tree.map(jnp.max, outcomes)  # the number is the severity
    return analysis._replace(members=members, outcome=worse(analysis.outcome, worst))


def _clipped(
    member: Array, low: Array | None, high: Array | None
) -> tuple[Array, Outcome]:
    """The nearest field within the bounds."""
    for name, bound in (("lower", low), ("upper", high)):
        if bound is not None and bound.ndim:
            require_shape(bound, member.shape, name)
    outcome = Outcome.good
    if low is not None and high is not None:
        outcome = choose((jnp.any(low > high), Outcome.disordered))
    return jnp.clip(member, low, high), outcome
