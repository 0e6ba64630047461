"""The decoder of a neural process, which predicts a Gaussian value per point."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, PRNGKeyArray
from physcon.models.heads import bounded_std
from physcon.models.linear import Linear
from physcon.models.predictor import Prediction


class Decoder(eqx.Module):
    """[r, z, x] through ReLU layers to a mean and a standard deviation.

    The first layer is linear before its ReLU: W [r, z, x] = W_r r + W_z z + W_x x.
    `prepare` computes the parts of r and x once for any number of latent samples.

    Attributes:
        least_std, max_std: bounds of the standard deviation; None for no upper bound.
    """

    point_map: Linear
    hidden_maps: tuple[Linear, ...]
    output_map: Linear
    least_std: float = eqx.field(static=True)
    max_std: float | None = eqx.field(static=True, default=None)

    def __init__(
        self,
        dim: int,
        channels: int,
        size: int,
        layers: int,
        least_std: float,
        *,
        max_std: float | None = None,
        key: PRNGKeyArray,
    ):
        keys = jax.random.split(key, 2 + layers)
        self.point_map = Linear(dim, size, key=keys[0])
        self.output_map = Linear(3 * size, 2 * channels, key=keys[1])
        self.hidden_maps = tuple(
            Linear(3 * size, 3 * size, key=k, gain=2**0.5) for k in keys[2:]
        )
        self.least_std = least_std
        self.max_std = max_std

    def prepare(
        self, r: Float[Array, "m h"], points: Float[Array, "m dim"]
    ) -> Float[Array, "m w"]:
        """W_r r + W_x x + b of the first layer, which do not depend on the latent."""
        r_map, _, x_map = self.hidden_maps[0].split(3)
        return r_map(r) + x_map(self.point_map(points))

    def __call__(
        self, prepared: Float[Array, "m w"], z: Float[Array, " h"]
    ) -> Prediction:
        _, z_map, _ = self.hidden_maps[0].split(3)
        hidden = jax.nn.relu(prepared + z_map(z)[None])
        for layer in self.hidden_maps[1:]:
            hidden = jax.nn.relu(layer(hidden))
        mean, raw = jnp.split(self.output_map(hidden), 2, axis=-1)
        return Prediction(mean, bounded_std(raw, self.least_std, self.max_std))
