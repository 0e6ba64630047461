"""A small residual network of 3 x 3 convolutions on maps."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, PRNGKeyArray

#: Beyond an edge of the rows, a map is repeated or its outermost row is copied. Columns
#: are always periodic.
Rows = Literal["periodic", "copied"]


class Convolution(eqx.Module):
    """A 3 x 3 convolution as one matrix product, which is fast under `jax.vmap` too.

    Shapes: ``(c, y, x)`` to ``(d, y, x)``.
    """

    weight: Float[Array, "d k"]
    bias: Float[Array, " d"]
    rows: Rows = eqx.field(static=True)

    @staticmethod
    def init(
        key: PRNGKeyArray, inputs: int, outputs: int, rows: Rows, gain: float = 1.0
    ) -> "Convolution":
        """Random weights; `gain` is the size of the outputs for inputs of size one."""
        fan = 9 * inputs
        weight = jax.random.normal(key, (outputs, fan)) * gain / fan**0.5
        return Convolution(weight, jnp.zeros(outputs), rows)

    def __call__(self, u: Float[Array, "c y x"]) -> Float[Array, "d y x"]:
        """Convolve one map."""
        mode = "wrap" if self.rows == "periodic" else "edge"
        padded = jnp.pad(u, ((0, 0), (1, 1), (0, 0)), mode=mode)
        height = u.shape[1]
        shifted = [padded[:, k : k + height] for k in range(3)]
        patches = [jnp.roll(one, s, axis=2) for one in shifted for s in (1, 0, -1)]
        columns = jnp.concatenate(patches).reshape(-1, u.shape[1] * u.shape[2])
        return (self.weight @ columns + self.bias[:, None]).reshape(-1, *u.shape[1:])


class SmallNetwork(eqx.Module):
    """A first convolution, residual convolutions, and a last one with small outputs."""

    first: Convolution
    middle: tuple[Convolution, ...]
    last: Convolution

    @staticmethod
    def init(
        key: PRNGKeyArray, inputs: int, outputs: int, width: int, depth: int, rows: Rows
    ) -> "SmallNetwork":
        """Random weights."""
        keys = jax.random.split(key, depth + 2)
        first = Convolution.init(keys[0], inputs, width, rows)
        middle = [Convolution.init(k, width, width, rows) for k in keys[1:-1]]
        last = Convolution.init(keys[-1], width, outputs, rows, gain=0.1)
        return SmallNetwork(first, tuple(middle), last)

    def __call__(self, u: Float[Array, "c y x"]) -> Float[Array, "d y x"]:
        """Apply the network to one map."""
        hidden = jax.nn.gelu(self.first(u))
        for layer in self.middle:
            hidden = hidden + jax.nn.gelu(layer(hidden))
        return self.last(hidden)
