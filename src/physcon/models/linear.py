"""The affine map that the layers are built from."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, PRNGKeyArray


class Linear(eqx.Module):
    """y = W x + b on the last axis, over any leading axes.

    Attributes:
        weight: ``(out, in)``.
        bias: ``(out,)`` or None.
    """

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"] | None

    def __init__(
        self,
        size: int,
        out: int,
        *,
        key: PRNGKeyArray,
        bias: bool = True,
        gain: float = 1.0,
    ):
        """Uniform weights of variance 2 gain² / (in + out).

        Source: Glorot and Bengio, AISTATS 2010, eq. 16.
        """
        weight_key, bias_key = jax.random.split(key)
        limit = gain * (6 / (size + out)) ** 0.5
        self.weight = jax.random.uniform(
            weight_key, (out, size), minval=-limit, maxval=limit
        )
        limit = size**-0.5
        self.bias = (
            jax.random.uniform(bias_key, (out,), minval=-limit, maxval=limit)
            if bias
            else None
        )

    def split(self, parts: int) -> "list[Linear]":
        """Maps of equal blocks of the input whose sum is this map.

        W [x, y] + b = (W_x x + b) + W_y y.
        """
        blocks = jnp.split(self.weight, parts, axis=1)
        biases = [self.bias] + [None] * (parts - 1)
        where = lambda linear: (linear.weight, linear.bias)  # noqa: E731
        return [
            eqx.tree_at(where, self, pair, is_leaf=lambda x: x is None)
            for pair in zip(blocks, biases, strict=True)
        ]

    def __call__(self, x: Float[Array, "*n in"]) -> Float[Array, "*n out"]:
        y = x @ self.weight.T
        return y if self.bias is None else y + jnp.broadcast_to(self.bias, y.shape)
