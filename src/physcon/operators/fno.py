"""The Fourier neural operator.

    v_0 = P(u, x),   v_{l+1} = σ(K_l v_l + W_l v_l + b_l),   out = Q(v_L)

P lifts the channels, K_l is a spectral convolution, W_l a pointwise map, and Q
projects. The weights belong to modes, not to points: the same network acts on any grid
that resolves its modes.

Source: Li et al., Fourier neural operator, ICLR 2021, eqs. 2 to 5; the residual channel
MLP of a block as in Tran et al., Factorized Fourier neural operators, ICLR 2023, eq. 2.
"""

from collections.abc import Callable
from typing import ClassVar, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._numerics.safe import power_of_two
from physcon._typing import Array, Float, PRNGKeyArray, Shape
from physcon.operators.lowrank import CPWeights, TuckerWeights
from physcon.operators.spectral import init_spectral_weights, spectral_conv

Field: TypeAlias = Float[Array, "_ ..."]
Convolve: TypeAlias = Callable[[Array, Field], Field]


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
        return (u - mean) / std

    def decode(self, u: Field) -> Field:
        """std u + mean: decode(encode(u)) == u."""
        mean, std = self.along(u)
        return u * std + mean

    def along(self, u: Field) -> tuple[Field, Field]:
        """Mean and standard deviation shaped to broadcast against a field."""
        shape = (-1,) + (1,) * (u.ndim - 1)
        pair = jax.lax.stop_gradient((self.mean, self.std))
        return pair[0].reshape(shape), pair[1].reshape(shape)


class FNO(eqx.Module):
    """A Fourier neural operator ``(in, *x) -> (out, *x)`` in 1 to 3 dimensions.

    Attributes:
        lift, blocks, projection: the parameters.
        inputs, outputs: normalisers, or None.
        padding: zeros appended to each axis after the lift, for fields that are not
            periodic: a fraction of its length (float), or a number of points (int). A
            fraction keeps the meaning of the network on other grids, since the share of
            zeros, and so the lowest modes, stay the same. (Keeping the period instead
            made the transfer from 17 to 33 points three times worse.)
        coordinates: whether the positions, 0 to 1 per axis, are appended to the input.
        activate_last: whether the last block ends with an activation too.
    """

    lift: Pointwise
    blocks: tuple[Block, ...]
    projection: Perceptron
    inputs: Normaliser | None
    outputs: Normaliser | None
    padding: tuple[int | float, ...] = eqx.field(static=True)
    coordinates: bool = eqx.field(static=True)
    activate_last: bool = eqx.field(static=True, default=False)

    @classmethod
    def init(
        cls,
        key: PRNGKeyArray,
        in_channels: int,
        out_channels: int,
        modes: Shape,
        width: int = 64,
        depth: int = 4,
        *,
        hidden: int = 128,
        mlp: int | None = None,
        padding: tuple[int | float, ...] | None = None,
        coordinates: bool = True,
        inputs: Normaliser | None = None,
        outputs: Normaliser | None = None,
        init_weights: Callable[
            ..., Array | CPWeights | TuckerWeights
        ] = init_spectral_weights,
    ) -> "FNO":
        """Random parameters.

        Args:
            modes: kept per axis; ``len(modes)`` is the number of space axes.
            hidden: channels inside the projection.
            mlp: channels inside each block's residual MLP, or None for no MLP.
            init_weights: function ``(key, in, out, modes)`` to the weights of one
                convolution, for example ``partial(TuckerWeights.init, rank=0.5)``.
        """
        require(
            depth >= 1, "one block or more", depth, "pass the number of Fourier layers"
        )
        padding = (0,) * len(modes) if padding is None else padding
        require(
            len(padding) == len(modes),
            f"padding for {len(modes)} axes",
            padding,
            "pass one number per axis",
        )
        keys = iter(jax.random.split(key, 3 + 4 * depth))
        lift = Pointwise.init(next(keys), in_channels + coordinates * len(modes), width)
        blocks = tuple(
            Block(
                init_weights(next(keys), width, width, modes),
                Pointwise.init(next(keys), width, width),
                None
                if mlp is None
                else _perceptron((next(keys), next(keys)), width, mlp, width),
            )
            for _ in range(depth)
        )
        projection = _perceptron((next(keys), next(keys)), width, hidden, out_channels)
        return cls(
            lift, blocks, projection, inputs, outputs, tuple(padding), coordinates
        )

    def __call__(self, u: Float[Array, "i *x"]) -> Float[Array, "o *x"]:
        """The operator's output in physical units."""
        raw = self.raw(u)
        return raw if self.outputs is None else self.outputs.decode(raw)

    def raw(
        self,
        u: Float[Array, "i *x"],
        convolve: Convolve = spectral_conv,
        correct: Callable[[Field], Field] | None = None,
    ) -> Float[Array, "o *x"]:
        """The output before `outputs.decode`.

        Args:
            convolve: replaces the spectral convolution of every block.
            correct: applied to what every block computes, before its activation; the
                padding is left out.
        """
        u = u if self.inputs is None else self.inputs.encode(u)
        v = self.lift(with_coordinates(u) if self.coordinates else u)
        space = v.shape[1:]
        v = jnp.pad(v, [(0, 0), *((0, n) for n in self.padded_points(space))])
        for i, block in enumerate(self.blocks):
            v = convolve(block.weights(), v) + block.skip(v)
            if correct is not None:
                v = _on_domain(correct, v, space)
            if self.activate_last or i + 1 < len(self.blocks):
                v = gelu(v)
            if block.mlp is not None:
                v = v + block.mlp(v)
        return self.projection(crop(v, space))

    def padded_points(self, space: Shape) -> Shape:
        """Points appended to every axis of a field of this shape."""
        pairs = zip(self.padding, space, strict=True)
        return tuple(p if isinstance(p, int) else round(p * n) for p, n in pairs)


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


def with_coordinates(u: Field) -> Field:
    """The field with one channel per axis appended: positions from 0 to 1."""
    space = u.shape[1:]
    positions = np.stack(
        np.meshgrid(*(np.linspace(0, 1, n) for n in space), indexing="ij")
    )
    return jnp.concatenate([u, jnp.asarray(positions, u.dtype)])


def crop(v: Field, space: Shape) -> Field:
    """The first `space` points of every axis."""
    return jax.lax.slice(v, (0,) * v.ndim, (v.shape[0], *space))


def _on_domain(correct: Callable[[Field], Field], v: Field, space: Shape) -> Field:
    if v.shape[1:] == space:
        return correct(v)
    return jax.lax.dynamic_update_slice(v, correct(crop(v, space)), (0,) * v.ndim)


def gelu(u: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """u Φ(u), exactly (no tanh approximation)."""
    return 0.5 * u * (1 + jax.lax.erf(u * np.sqrt(0.5).astype(u.dtype)))


def _perceptron(keys: tuple, first: int, hidden: int, last: int) -> Perceptron:
    return Perceptron(
        Pointwise.init(keys[0], first, hidden), Pointwise.init(keys[1], hidden, last)
    )
