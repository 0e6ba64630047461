"""The Kalman update of an ensemble, one observation after the other."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Bool, Float, PRNGKeyArray, Scalar
from physcon.conditioning import LinearConstraint


class Ensemble(NamedTuple):
    """An ensemble as its mean and deviations from it, with what is observed of both.

    Shapes: mean ``(*x)``, deviations ``(k, *x)``, observed mean ``(m)`` and observed
    deviations ``(k, m)``.
    """

    mean: Float[Array, "*x"]
    deviations: Float[Array, "k *x"]
    observed: Float[Array, " m"]
    observed_deviations: Float[Array, "k m"]


class Observation(NamedTuple):
    """One observation: its number, value, error, weights of points, and random errors.

    `size` is the largest deviation of what the forecasts have in its place.

    Shapes: scalars, ``(*x)`` and ``(k)``.
    """

    index: Array
    value: Scalar
    noise_std: Scalar
    size: Scalar
    taper: Float[Array, "*x"] | None
    errors: Float[Array, " k"] | None


def forecast(
    members: Float[Array, "k *x"],
    inflation: Float[Array, "*x"],
    data: LinearConstraint,
) -> Ensemble:
    """The ensemble before the update; its spread is multiplied by the inflation."""
    mean = jnp.mean(members, axis=0)
    deviations = inflation[None] * (members - mean[None])

    def seen(u: Array) -> Array:
        return data.operator.mv(u).reshape(-1)

    return Ensemble(mean, deviations, seen(mean), jax.vmap(seen)(deviations))


def perturbations(
    key: PRNGKeyArray, noise_std: Float[Array, " m"], count: int
) -> Float[Array, "m k"]:
    """Random errors of every observation for every member, without a mean."""
    draws = jax.random.normal(key, (noise_std.size, count), noise_std.dtype)
    draws = draws - jnp.mean(draws, axis=1, keepdims=True)
    return _known(noise_std)[:, None] * draws


def updated(
    before: Ensemble,
    data: LinearConstraint,
    taper: Float[Array, "m *x"] | None,
    errors: Float[Array, "m k"] | None,
) -> tuple[Ensemble, Bool[Array, " m"]]:
    """The ensemble after all observations, and which ones contradict others.

    Independent observations may be used one after the other, as scalars. What is
    observed of the ensemble is updated with it, by the operator of the observations.
    """
    count = before.observed_deviations.shape[1]
    index = jnp.arange(count, dtype=jnp.int32)
    value = data.value.reshape(-1)
    noise_std = data.noise().reshape(-1)
    size = jnp.max(jnp.abs(before.observed_deviations), axis=0)
    every = Observation(index, value, noise_std, size, taper, errors)

    def step(ensemble: Ensemble, one: Observation) -> tuple[Ensemble, Array]:
        return _step(ensemble, one, data)

    return jax.lax.scan(step, before, every)


def _step(
    now: Ensemble, one: Observation, data: LinearConstraint
) -> tuple[Ensemble, Bool[Array, ""]]:
    """One observation y with error variance r, all in a unit of the size of both.

    With the observed deviations s and their variance v the gain is K = cov / (v + r).
    Without random errors the deviations move by K s / (1 + √(r / (v + r))), which gives
    them the covariance of the Kalman filter.
    """
    s = jnp.take(now.observed_deviations, one.index, axis=1)
    noise_std = _known(one.noise_std)
    largest = jnp.maximum(jnp.max(jnp.abs(s)), noise_std)
    unit = safe.power_of_two(largest)
    s = s / unit
    noise_std = noise_std / unit
    degrees = s.size - 1
    total = jnp.sum(s**2) / degrees + noise_std**2
    covariance = jnp.tensordot(s, now.deviations, axes=1) / degrees
    gain = safe.divide(covariance, jnp.broadcast_to(total, covariance.shape))
    if one.taper is not None:
        gain = one.taper * gain
    ignored = jnp.isposinf(one.noise_std)
    observed = jnp.take(now.observed, one.index)
    innovation = jnp.where(ignored, 0, one.value - observed)
    # What is left of a spread that exact observations have removed is rounding.
    rounding = 100 * float(jnp.finfo(s.dtype).eps)
    certain = largest <= rounding * one.size
    gain = jnp.where(ignored | certain, 0, gain)
    missed = jnp.abs(innovation) - rounding * (jnp.abs(one.value) + jnp.abs(observed))
    contradicts = certain & (missed > rounding**0.5 * one.size)
    innovation = innovation / unit
    if one.errors is None:
        share = safe.divide(noise_std, safe.sqrt(total))
        moves = -s / (1 + share)
    else:
        moves = one.errors / unit - s
    observed_gain = data.operator.mv(gain).reshape(-1)
    after = Ensemble(
        now.mean + gain * innovation,
        now.deviations + jnp.tensordot(moves, gain, axes=0),
        now.observed + observed_gain * innovation,
        now.observed_deviations + jnp.tensordot(moves, observed_gain, axes=0),
    )
    return after, contradicts


def _known(noise_std: Array) -> Array:
    """The noise, zero where it is infinite: such an observation is ignored."""
    return jnp.where(jnp.isposinf(noise_std), 0, noise_std)
