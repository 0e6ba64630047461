"""The two encoders of an attentive neural process."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, PRNGKeyArray
from physcon.models.attention import MultiHeadAttention, split_key
from physcon.models.linear import Linear

#: Keys and values of every cross-attention layer, ``(heads, n, d)`` each.
Memory = tuple[tuple[Float[Array, "heads n d"], Float[Array, "heads n d"]], ...]


class Latent(NamedTuple):
    """A diagonal Gaussian over the latent z, as mean and log variance ``(h,)``."""

    mean: Float[Array, " h"]
    log_variance: Float[Array, " h"]

    def sample(self, key: PRNGKeyArray) -> Float[Array, " h"]:
        """Draw z = mean + std ε, ε ~ N(0, 1), with derivatives in both attributes."""
        noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
        return self.mean + jnp.exp(0.5 * self.log_variance) * noise


class LatentEncoder(eqx.Module):
    """Map a set of (point, value) pairs to a Gaussian over z.

    Self-attention is followed by a mean over the pairs, so the result is invariant
    under their permutation.

    Source:
        Kim et al. 2019, section 3 (latent path).
    """

    input_map: Linear
    self_attention: tuple[MultiHeadAttention, ...]
    hidden_map: Linear
    mean_map: Linear
    log_variance_map: Linear

    def __init__(
        self,
        inputs: int,
        size: int,
        heads: int,
        layers: int,
        dropout_rate: float,
        *,
        key,
    ):
        keys = jax.random.split(key, 4 + layers)
        self.input_map = Linear(inputs, size, key=keys[0])
        self.hidden_map = Linear(size, size, key=keys[1], gain=2**0.5)
        self.mean_map = Linear(size, size, key=keys[2])
        self.log_variance_map = Linear(size, size, key=keys[3])
        self.self_attention = tuple(
            MultiHeadAttention(size, heads, dropout_rate, key=k) for k in keys[4:]
        )

    def __call__(
        self,
        points: Float[Array, "n dim"],
        values: Float[Array, "n c"],
        key: PRNGKeyArray | None = None,
    ) -> Latent:
        x = self.input_map(jnp.concatenate([points, values], axis=-1))
        for layer, k in zip(
            self.self_attention, split_key(key, len(self.self_attention)), strict=True
        ):
            x = layer(x, x, x, k)
        hidden = jax.nn.relu(self.hidden_map(jnp.mean(x, axis=0)))
        return Latent(self.mean_map(hidden), self.log_variance_map(hidden))


class DeterministicEncoder(eqx.Module):
    """Map observations and a target point to a representation r of that point.

    `encode` uses the contexts only; `attend` adds the targets. r(points[i]) does not
    depend on the other points.

    Source:
        Kim et al. 2019, section 3 (deterministic path).
    """

    input_map: Linear
    self_attention: tuple[MultiHeadAttention, ...]
    context_map: Linear
    target_map: Linear
    cross_attention: tuple[MultiHeadAttention, ...]

    def __init__(
        self,
        dim: int,
        inputs: int,
        size: int,
        heads: int,
        layers: int,
        dropout_rate: float,
        *,
        key,
    ):
        keys = jax.random.split(key, 3 + 2 * layers)
        self.input_map = Linear(inputs, size, key=keys[0])
        self.context_map = Linear(dim, size, key=keys[1])
        self.target_map = Linear(dim, size, key=keys[2])
        stack = [MultiHeadAttention(size, heads, dropout_rate, key=k) for k in keys[3:]]
        self.self_attention = tuple(stack[:layers])
        self.cross_attention = tuple(stack[layers:])

    def encode(
        self,
        points: Float[Array, "n dim"],
        values: Float[Array, "n c"],
        key: PRNGKeyArray | None = None,
    ) -> Memory:
        """Keys and values of the cross-attention, computed once for all targets."""
        x = self.input_map(jnp.concatenate([points, values], axis=-1))
        for layer, k in zip(
            self.self_attention, split_key(key, len(self.self_attention)), strict=True
        ):
            x = layer(x, x, x, k)
        keys = self.context_map(points)
        return tuple(layer.project(keys, x) for layer in self.cross_attention)

    def attend(
        self,
        memory: Memory,
        points: Float[Array, "m dim"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "m h"]:
        """The representation of each target point."""
        r = self.target_map(points)
        keys = split_key(key, len(self.cross_attention))
        for layer, kv, k in zip(self.cross_attention, memory, keys, strict=True):
            r = layer.attend(r, kv, k)
        return r
