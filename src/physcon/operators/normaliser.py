"""Channels of zero mean and unit size, and two outputs per channel as mean and std."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._numerics.safe import power_of_two, quotient
from physcon._typing import Array, Float
from physcon.operators.layers import Field


class Normaliser(eqx.Module):
    """(u - mean) / std per channel, and back.

    `physcon.training.fit` does not train it.
    """

    mean: Float[Array, " c"]
    std: Float[Array, " c"]

    frozen: ClassVar[bool] = True

    @classmethod
    def fit(cls, samples: Float[Array, "b c *x"]) -> "Normaliser":
        """Mean and standard deviation per channel over samples and points.

        In any unit: the least std is 1e-6 of the channel's largest value (1e-6 for a
        channel of zeros).
        """
        axes = (0, *range(2, samples.ndim))
        largest = jnp.max(jnp.abs(samples), axes)
        unit = power_of_two(largest)
        shape = (1, -1) + (1,) * (samples.ndim - 2)
        scaled = samples / unit.reshape(shape)
        return cls(unit * jnp.mean(scaled, axes), unit * (jnp.std(scaled, axes) + 1e-6))

    def encode(self, u: Field) -> Field:
        """(u - mean) / std."""
        mean, std = self.along(u)
        return quotient(u - mean, std)

    def decode(self, u: Field) -> Field:
        """std u + mean: decode(encode(u)) == u."""
        mean, std = self.along(u)
        return u * std + mean

    def along(self, u: Field) -> tuple[Field, Field]:
        """Mean and standard deviation shaped to broadcast against a field."""
        shape = (-1,) + (1,) * (u.ndim - 1)
        pair = jax.lax.stop_gradient((self.mean, self.std))
        return pair[0].reshape(shape), pair[1].reshape(shape)


def mean_and_std(
    raw: Float[Array, "two_c *x"],
    outputs: Normaliser | None = None,
    *,
    max_std: float | None = None,
) -> tuple[Field, Field]:
    """Mean and standard deviation from two output channels per channel.

    Shapes: raw ``(2 c, *x)``, c means followed by c log-variances, as from `FNO.raw`
    (which has no units); results ``(c, *x)`` each, in the units of `outputs`.

    Args:
        outputs: the normaliser of the means.
        max_std: an upper bound of the standard deviation, in units of the normaliser's
            std, approached smoothly. Without it, the spread of a network that is still
            badly trained can be huge at a few points, and a constraint then puts its
            whole correction there: bound the std, or train the means first.
    """
    require(
        raw.shape[0] % 2 == 0,
        "an even number of channels",
        raw.shape[0],
        "give the network 2*c output channels: c means, then c log-variances",
    )
    mean, log_variance = jnp.split(raw, 2)
    if max_std is not None:
        require(max_std > 0, "max_std > 0", max_std, "pass a positive bound or None")
        most = 2 * np.log(max_std)
        log_variance = most - jax.nn.softplus(most - log_variance)
    std = jnp.exp(0.5 * jnp.clip(log_variance, -20.0, 20.0))
    if outputs is None:
        return mean, std
    return outputs.decode(mean), std * outputs.along(mean)[1]


def mean_and_variance(
    raw: Float[Array, "two_c *x"],
    outputs: Normaliser | None = None,
    *,
    max_std: float | None = None,
) -> tuple[Field, Field]:
    """`mean_and_std`, squared: variances below 1e-38 are zero in float32."""
    mean, std = mean_and_std(raw, outputs, max_std=max_std)
    return mean, std**2
