"""The attentive neural process of Kim et al. (2019)."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray, PyTree, Scalar
from physcon.models.attention import split_key
from physcon.models.decoder import Decoder
from physcon.models.encoders import DeterministicEncoder, Latent, LatentEncoder
from physcon.models.predictor import Observations, Prediction, mixture_moments


class ANP(eqx.Module):
    """p(u(x) | contexts, z) = N(mean, std²), z ~ N(latent mean, latent variance).

    The prediction is invariant under permutation of the contexts. Given z, target
    points do not affect one another. The default sizes match the published ProbConserv
    network, whose weights `physcon.io.load_torch_anp` loads.

    Args:
        dim: number of coordinates per point, for example 2 for (t, x).
        channels: number of values per point.
        size: width h of both encoders; the decoder has width 3 h.
        heads, layers: numbers of attention heads and layers in the self-attention and
            the cross-attention.
        dropout_rate: dropout rate of attention weights and residual branches. Dropout
            is active in calls that receive a dropout key.
        least_std: lower bound of the predicted standard deviation.
        max_std: upper bound of the predicted standard deviation, or None. Early in
            training a network can predict a huge spread at a few points, which then
            take the whole correction of a constraint.

    Source:
        Kim et al. 2019, section 3; Hansen et al. 2023, appendix D.
    """

    latent_encoder: LatentEncoder
    deterministic_encoder: DeterministicEncoder
    decoder: Decoder

    def __init__(
        self,
        dim: int = 2,
        channels: int = 1,
        size: int = 128,
        heads: int = 4,
        layers: int = 2,
        dropout_rate: float = 0.1,
        least_std: float = 1e-3,
        *,
        max_std: float | None = None,
        key: PRNGKeyArray,
    ):
        k1, k2, k3 = jax.random.split(key, 3)
        inputs = dim + channels
        self.latent_encoder = LatentEncoder(
            inputs, size, heads, layers, dropout_rate, key=k1
        )
        self.deterministic_encoder = DeterministicEncoder(
            dim, inputs, size, heads, layers, dropout_rate, key=k2
        )
        self.decoder = Decoder(
            dim, channels, size, 3, least_std, max_std=max_std, key=k3
        )

    def latent(self, contexts: Observations, key: PRNGKeyArray | None = None) -> Latent:
        """The Gaussian over z, given a set of observations."""
        return self.latent_encoder(contexts.points, contexts.values, key)

    def __call__(
        self,
        contexts: Observations,
        points: Float[Array, "m dim"],
        z: Float[Array, " h"],
        key: PRNGKeyArray | None = None,
    ) -> Prediction:
        """Mean and std at `points` for one z, with dropout if `key` is given."""
        encode_key, attend_key = split_key(key, 2)
        memory = self.deterministic_encoder.encode(
            contexts.points, contexts.values, encode_key
        )
        r = self.deterministic_encoder.attend(memory, points, attend_key)
        return self.decoder(self.decoder.prepare(r, points), z)

    def mean_function(
        self, contexts: Observations, z: Float[Array, " h"], channel: int = 0
    ) -> Callable[..., Scalar]:
        """The mean as a differentiable function u(t, x, ...) of scalar coordinates."""
        memory = self.deterministic_encoder.encode(contexts.points, contexts.values)

        def u(*coordinates: Scalar) -> Scalar:
            point = jnp.stack(coordinates)[None]
            r = self.deterministic_encoder.attend(memory, point)
            return self.decoder(self.decoder.prepare(r, point), z).mean[0, channel]

        return u


def predict_samples(
    model: ANP,
    contexts: Observations,
    points: Float[Array, "m dim"],
    key: PRNGKeyArray,
    *,
    num_samples: int = 100,
    dropout: bool = False,
    chunk_size: int = 128,
) -> Prediction:
    """Mean and std at `points` for each of `num_samples` latent samples: ``(k, m, c)``.

    Without dropout only the decoder runs once per sample, because the attention does
    not depend on z. With dropout every sample has its own masks, as in the published
    evaluation.

    Args:
        chunk_size: number of points computed at a time. The memory is k · chunk_size ·
            3 h numbers.
    """
    settings = num_samples, dropout, chunk_size
    return _predicted(model, contexts, points, key, *settings, mixed=False)


def predict(
    model: ANP,
    contexts: Observations,
    points: Float[Array, "m dim"],
    key: PRNGKeyArray,
    *,
    num_samples: int = 100,
    dropout: bool = False,
    chunk_size: int = 128,
) -> Prediction:
    """Mean and std ``(m, c)`` of the mixture over latent samples.

    The result equals ``mixture_moments(*predict_samples(...))``, without storing the
    samples.
    """
    settings = num_samples, dropout, chunk_size
    return _predicted(model, contexts, points, key, *settings, mixed=True)


@eqx.filter_jit  # one program for all calls outside of jit
def _predicted(
    model: ANP,
    contexts: Observations,
    points: Float[Array, "m dim"],
    key: PRNGKeyArray,
    num_samples: int,
    dropout: bool,
    chunk_size: int,
    *,
    mixed: bool,
) -> Prediction:
    """The moments of every sample, or of their mixture."""
    sample = _sampler(model, contexts, key, num_samples, dropout)

    def mixture(points: Array, index: Array) -> Prediction:
        return mixture_moments(*sample(points, index))

    return _over_chunks(mixture if mixed else sample, points, chunk_size)


def _sampler(
    model: ANP,
    contexts: Observations,
    key: PRNGKeyArray,
    num_samples: int,
    dropout: bool,
) -> Callable:
    """A function from (points, chunk index) to a Prediction ``(k, points, c)``."""
    require(
        num_samples >= 1,
        "at least 1 latent sample",
        num_samples,
        "pass a larger num_samples",
    )
    latent_key, dropout_key = jax.random.split(key)
    keys = jax.random.split(latent_key, num_samples)
    encoder = model.deterministic_encoder
    decoder = model.decoder

    if not dropout:
        zs = jax.vmap(model.latent(contexts).sample)(keys)
        memory = encoder.encode(*contexts)

        def sample(points, index):
            prepared = decoder.prepare(encoder.attend(memory, points), points)
            return jax.vmap(decoder, (None, 0))(prepared, zs)

        return sample

    def encode(latent_key, key):
        k1, k2, k3 = jax.random.split(key, 3)
        z = model.latent(contexts, k1).sample(latent_key)
        return z, encoder.encode(*contexts, k2), k3

    encoded = jax.vmap(encode)(keys, jax.random.split(dropout_key, num_samples))

    def sample_with_dropout(points, index):
        def one(encoded):
            z, memory, key = encoded
            r = encoder.attend(memory, points, jax.random.fold_in(key, index))
            return decoder(decoder.prepare(r, points), z)

        return jax.lax.map(one, encoded)

    return sample_with_dropout


def _over_chunks(
    fn: Callable, points: Float[Array, "m dim"], chunk_size: int
) -> PyTree:
    """Apply `fn(points, chunk index)` to chunks of points, and join them on axis -2."""
    m, dim = points.shape
    require(m >= 1, "at least 1 target point", m, "pass points (m, dim)")
    require(chunk_size >= 1, "chunk_size >= 1", chunk_size, "pass chunk_size=128")
    chunk = min(chunk_size, m)
    number = -(-m // chunk)
    padded = jnp.pad(points, ((0, number * chunk - m), (0, 0)), mode="edge")
    chunks = padded.reshape(number, chunk, dim)
    out = jax.lax.map(lambda args: fn(*args), (chunks, jnp.arange(number)))

    def join(x):  # (number, *k, chunk, c) -> (*k, m, c)
        x = jnp.moveaxis(x, 0, -3)
        return x.reshape(*x.shape[:-3], number * chunk, x.shape[-1])[..., :m, :]

    return jax.tree.map(join, out)
