"""Hyper-parameters of a Gaussian process, and where a fit starts."""

import equinox as eqx
import jax.numpy as jnp

from physcon._numerics.safe import power_of_two
from physcon._typing import Array, Float, Scalar
from physcon.models.predictor import Observations

#: Least noise, as a fraction of the kernel's std, so that exact contexts can be solved.
LEAST_NOISE = 1e-4


class Hyperparameters(eqx.Module):
    """Logarithms of a kernel's std, its length per coordinate and the noise; the mean.

    Shapes: scalar, ``(dim,)``, scalar, ``(c,)``; a leading axis for batches of tasks.
    """

    log_std: Float[Array, "..."]
    log_length: Float[Array, "... dim"]
    log_noise: Float[Array, "..."]
    mean: Float[Array, "... c"]

    @property
    def std(self) -> Float[Array, "..."]:
        """Prior standard deviation."""
        return jnp.exp(self.log_std)

    @property
    def length(self) -> Float[Array, "... dim"]:
        """Length scales, in the units of the coordinates."""
        return jnp.exp(self.log_length)

    @property
    def noise_variance(self) -> Float[Array, "..."]:
        """σ², at least (LEAST_NOISE std)²."""
        return jnp.exp(2 * self.log_noise) + (LEAST_NOISE * self.std) ** 2


def gp_start(contexts: Observations) -> Hyperparameters:
    """Start of a fit: the values' std, half the extent, and a tenth of std as noise."""
    points, values = contexts
    extent = jnp.max(points, axis=0) - jnp.min(points, axis=0)
    unit = unit_of(values)
    log_std = jnp.log(unit) + jnp.log(jnp.std(values / unit) + 1e-3)
    return Hyperparameters(
        log_std,
        jnp.log(0.5 * jnp.where(extent > 0, extent, 1)),
        log_std + jnp.log(0.1),
        jnp.mean(values, axis=0),
    )


def unit_of(values: Array) -> Scalar:
    """The size of the values' deviations, or of equal values, as a power of two."""
    deviation = jnp.max(jnp.abs(values - jnp.mean(values, axis=0)[None]))
    return power_of_two(jnp.where(deviation > 0, deviation, jnp.max(jnp.abs(values))))


def in_units(params: Hyperparameters, unit: Array) -> Hyperparameters:
    """The hyper-parameters of values that are divided by `unit`."""
    shift = jnp.log(unit)
    return Hyperparameters(
        params.log_std - shift,
        params.log_length,
        params.log_noise - shift,
        params.mean / unit,
    )
