"""The Fourier neural operator.

    v_0 = P(u, x),   v_{l+1} = σ(K_l v_l + W_l v_l + b_l),   out = Q(v_L)

P lifts the channels, K_l is a spectral convolution, W_l a pointwise map, and Q
projects. The weights belong to modes, not to points: the same network acts on any grid
that resolves its modes.

Source: Li et al., Fourier neural operator, ICLR 2021, eqs. 2 to 5; the residual channel
MLP of a block as in Tran et al., Factorized Fourier neural operators, ICLR 2023, eq. 2.
"""

from collections.abc import Callable
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray, Shape
from physcon.operators.layers import Block, Field, Perceptron, Pointwise, gelu
from physcon.operators.lowrank import CPWeights, TuckerWeights
from physcon.operators.normaliser import Normaliser
from physcon.operators.padding import appended_points, padded
from physcon.operators.spectral import init_spectral_weights, spectral_conv

Convolve: TypeAlias = Callable[[Array, Field], Field]


class FNO(eqx.Module):
    """A Fourier neural operator ``(in, *x) -> (out, *x)`` in 1 to 3 dimensions.

    Attributes:
        lift, blocks, projection: the parameters.
        inputs, outputs: normalisers, or None.
        padding: zeros appended to each axis after the lift, for fields that are not
            periodic: a fraction of its length (float), or a number of points (int). A
            fraction keeps the share of zeros on other grids.
        coordinates: whether the positions, 0 to 1 per axis, are appended to the input;
            or this for every axis. A position along a circle jumps where the circle
            closes. Without it the network commutes with shifts along the axis, as the
            solutions of an equation without a preferred place do.
        activate_last: whether the last block ends with an activation too.
        points: nodes per axis, both ends included, of the training grid, or None. With
            them the padding of fields on other grids of the same box is the function
            that it was in training (see `physcon.operators.padding`), which makes a
            network more accurate there.
    """

    lift: Pointwise
    blocks: tuple[Block, ...]
    projection: Perceptron
    inputs: Normaliser | None
    outputs: Normaliser | None
    padding: tuple[int | float, ...] = eqx.field(static=True)
    coordinates: bool | tuple[bool, ...] = eqx.field(static=True)
    activate_last: bool = eqx.field(static=True, default=False)
    points: Shape | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        axes = len(self.padding)
        require(
            self.points is None
            or (len(self.points) == axes and min(self.points, default=2) > 1),
            f"points of {axes} axes, two or more each",
            self.points,
            "pass the shape of the training fields",
        )
        require(
            isinstance(self.coordinates, bool) or len(self.coordinates) == axes,
            f"coordinates: True, False, or {axes} of them",
            self.coordinates,
            "pass one boolean per axis",
        )

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
        coordinates: bool | tuple[bool, ...] = True,
        inputs: Normaliser | None = None,
        outputs: Normaliser | None = None,
        points: Shape | None = None,
        init_weights: Callable[
            ..., Array | CPWeights | TuckerWeights
        ] = init_spectral_weights,
    ) -> "FNO":
        """Random parameters.

        Args:
            modes: kept per axis; ``len(modes)`` is the number of space axes.
            hidden: channels inside the projection.
            mlp: channels inside each block's residual MLP, or None for no MLP.
            coordinates: see `FNO.coordinates`.
            points: nodes of the training grid, for other grids (see `FNO.points`).
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
        positions = sum(_by_axis(coordinates, len(modes)))
        lift = Pointwise.init(next(keys), in_channels + positions, width)
        blocks = tuple(
            Block(
                init_weights(next(keys), width, width, modes),
                Pointwise.init(next(keys), width, width),
                None
                if mlp is None
                else Perceptron.init(next(keys), next(keys), (width, mlp, width)),
            )
            for _ in range(depth)
        )
        projection = Perceptron.init(
            next(keys), next(keys), (width, hidden, out_channels)
        )
        return cls(
            lift, blocks, projection, inputs, outputs, tuple(padding), coordinates,
            points=points,
        )  # fmt: skip

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
        v = self.lift(with_coordinates(u, self.coordinates))
        space = v.shape[1:]
        v = padded(v, self.padded_points(space), self.points)
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
        return appended_points(self.padding, space, self.points)


def with_coordinates(u: Field, which: bool | tuple[bool, ...] = True) -> Field:
    """The field with the positions along chosen axes appended, from 0 to 1."""
    space = u.shape[1:]
    chosen = _by_axis(which, len(space))
    if not any(chosen):
        return u
    positions = np.meshgrid(*(np.linspace(0, 1, n) for n in space), indexing="ij")
    kept = [x for x, wanted in zip(positions, chosen, strict=True) if wanted]
    return jnp.concatenate([u, jnp.asarray(np.stack(kept), u.dtype)])


def _by_axis(which: bool | tuple[bool, ...], axes: int) -> tuple[bool, ...]:
    return (which,) * axes if isinstance(which, bool) else which


def crop(v: Field, space: Shape) -> Field:
    """The first `space` points of every axis."""
    return jax.lax.slice(v, (0,) * v.ndim, (v.shape[0], *space))


def _on_domain(correct: Callable[[Field], Field], v: Field, space: Shape) -> Field:
    if v.shape[1:] == space:
        return correct(v)
    return jax.lax.dynamic_update_slice(v, correct(crop(v, space)), (0,) * v.ndim)
