"""Multi-head attention with a residual connection and layer normalisation."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray
from physcon.models.linear import Linear


def split_key(key: PRNGKeyArray | None, num: int) -> list[PRNGKeyArray | None]:
    """Split a key into `num` keys; None (no dropout) stays None."""
    return [None] * num if key is None else list(jax.random.split(key, num))


def dropout(
    x: Float[Array, "*n"], rate: float, key: PRNGKeyArray | None
) -> Float[Array, "*n"]:
    """x / (1 - rate), with zeros where an element is dropped; x itself without a key.

    Sixteen random bits decide about each element. `rate` is then exact to 2⁻¹⁷, at a
    third of the cost of a random float.
    """
    if key is None or rate == 0:
        return x
    words = jax.random.bits(key, ((x.size + 1) // 2,), jnp.uint32)
    halves = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)[: x.size]
    kept = halves.reshape(x.shape) >= round(rate * 2**16)
    return jnp.where(kept, x / (1 - rate), 0)


class MultiHeadAttention(eqx.Module):
    """y = norm(q + O [q, heads]) with heads = softmax(Q Kᵀ / √d) V.

    The output map takes the queries and the attended values, as in the reference
    network of the ProbConserv study. Permuting the (key, value) pairs does not change
    y.

    Source:
        Vaswani et al. 2017, eq. 1 and section 3.2.2; Kim et al. 2019, section 3.
    """

    query_map: Linear
    key_map: Linear
    value_map: Linear
    output_map: Linear
    norm: eqx.nn.LayerNorm
    heads: int = eqx.field(static=True)
    dropout_rate: float = eqx.field(static=True)

    def __init__(
        self, size: int, heads: int = 4, dropout_rate: float = 0.1, *, key: PRNGKeyArray
    ):
        require(
            size % heads == 0,
            "heads that divide the size",
            f"{heads} for {size}",
            "choose a size that is a multiple of heads",
        )
        require(
            0 <= dropout_rate < 1,
            "a dropout rate in [0, 1)",
            dropout_rate,
            "pass 0 for no dropout",
        )
        keys = jax.random.split(key, 4)
        self.query_map, self.key_map, self.value_map = (
            Linear(size, size, key=k, bias=False) for k in keys[:3]
        )
        self.output_map = Linear(2 * size, size, key=keys[3])
        self.norm = eqx.nn.LayerNorm(size)
        self.heads = heads
        self.dropout_rate = dropout_rate

    def project(
        self, keys: Float[Array, "n h"], values: Float[Array, "n h"]
    ) -> tuple[Float[Array, "heads n d"], Float[Array, "heads n d"]]:
        """Keys and values of each head, which do not depend on the queries."""
        return self._per_head(self.key_map(keys)), self._per_head(
            self.value_map(values)
        )

    def attend(
        self,
        queries: Float[Array, "m h"],
        memory: tuple[Float[Array, "heads n d"], Float[Array, "heads n d"]],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "m h"]:
        """The output of the layer for `queries`, with dropout if there is a key."""
        weight_key, residual_key = split_key(key, 2)
        k, v = memory
        q = self._per_head(self.query_map(queries)) / k.shape[-1] ** 0.5
        weights = jax.nn.softmax(q @ jnp.swapaxes(k, 1, 2), axis=-1)
        weights = dropout(weights, self.dropout_rate, weight_key)
        heads = jnp.swapaxes(weights @ v, 0, 1).reshape(queries.shape)
        y = self.output_map(jnp.concatenate([queries, heads], axis=-1))
        return jax.vmap(self.norm)(
            queries + dropout(y, self.dropout_rate, residual_key)
        )

    def __call__(
        self,
        queries: Float[Array, "m h"],
        keys: Float[Array, "n h"],
        values: Float[Array, "n h"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "m h"]:
        return self.attend(queries, self.project(keys, values), key)

    def _per_head(self, x: Float[Array, "n h"]) -> Float[Array, "heads n d"]:
        # With heads first these are batched matrix products, which are three times as
        # fast on a CPU as contractions of axis 0.
        return jnp.swapaxes(x.reshape(x.shape[0], self.heads, -1), 0, 1)
