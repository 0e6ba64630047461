"""The pointwise layers of a Fourier neural operator, and one Fourier block."""

from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float, PRNGKeyArray
from physcon.operators.lowrank import CPWeights, TuckerWeights

Field: TypeAlias = Float[Array, "_ ..."]


class Pointwise(eqx.Module):
    """The same affine map of the channels at every point: W u + b."""

    weight: Float[Array, "o i"]
    bias: Float[Array, " o"]

    @classmethod
    def init(
        cls, key: PRNGKeyArray, in_channels: int, out_channels: int
    ) -> "Pointwise":
        """Uniform in ±1/√in, as PyTorch's linear layer."""
        bound = in_channels**-0.5
        weight, bias = jax.random.split(key)
        return cls(
            jax.random.uniform(
                weight, (out_channels, in_channels), minval=-bound, maxval=bound
            ),
            jax.random.uniform(bias, (out_channels,), minval=-bound, maxval=bound),
        )

    def __call__(self, u: Float[Array, "i *x"]) -> Float[Array, "o *x"]:
        """W u + b."""
        # The factor of one depends on the sample, so that under vmap there is one
        # product per sample, also for the gradient of the weight. For one product over
        # (sample, point), XLA's CPU backend transposes the whole batch: forward and
        # backward took 1.5 times as long.
        one = 1 + 0 * jax.lax.stop_gradient(u[(0,) * u.ndim])
        flat = (
            jnp.matmul(self.weight * one, u.reshape(u.shape[0], -1))
            + self.bias[:, None]
        )
        return flat.reshape(-1, *u.shape[1:])


class Perceptron(eqx.Module):
    """Two pointwise maps with a GELU between them."""

    first: Pointwise
    second: Pointwise

    @classmethod
    def init(
        cls, key: PRNGKeyArray, second_key: PRNGKeyArray, channels: tuple[int, int, int]
    ) -> "Perceptron":
        """Random maps from `channels[0]` over `channels[1]` to `channels[2]`."""
        before, between, after = channels
        first = Pointwise.init(key, before, between)
        return cls(first, Pointwise.init(second_key, between, after))

    def __call__(self, u: Float[Array, "i *x"]) -> Float[Array, "o *x"]:
        """second(gelu(first(u)))."""
        return self.second(gelu(self.first(u)))


class Block(eqx.Module):
    """A Fourier layer: spectral weights, pointwise skip, optional channel MLP."""

    spectral: Array | CPWeights | TuckerWeights
    skip: Pointwise
    mlp: Perceptron | None

    def weights(self) -> Array:
        """The spectral weights; the product, if they are stored as factors."""
        if isinstance(self.spectral, CPWeights | TuckerWeights):
            return self.spectral.dense()
        return self.spectral


def gelu(u: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """u Φ(u), exactly (no tanh approximation)."""
    return 0.5 * u * (1 + jax.lax.erf(u * np.sqrt(0.5).astype(u.dtype)))
