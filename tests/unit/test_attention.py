"""The layers of the neural process against their definitions in NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.models.attention import MultiHeadAttention, dropout
from physcon.models.linear import Linear

jitted = eqx.filter_jit(MultiHeadAttention.__call__)


def test_linear_split_sums_to_the_whole(getkey):
    whole = Linear(6, 4, key=getkey())
    x = jax.random.normal(getkey(), (5, 6))
    parts = sum(part(x[:, 3 * i : 3 * i + 3]) for i, part in enumerate(whole.split(2)))
    np.testing.assert_allclose(parts, whole(x), atol=1e-6)
    expected = np.asarray(x) @ np.asarray(whole.weight).T + np.asarray(whole.bias)
    np.testing.assert_allclose(whole(x), expected, atol=1e-6)


def softmax_attention(layer: MultiHeadAttention, queries, keys, values):
    """The definition, one query and one head at a time, in float64."""
    w = {
        name: np.asarray(getattr(layer, name).weight, np.float64)
        for name in ("query_map", "key_map", "value_map", "output_map")
    }
    queries, keys, values = (np.asarray(x, np.float64) for x in (queries, keys, values))
    d = queries.shape[1] // layer.heads
    out = np.zeros_like(queries)
    for i, query in enumerate(queries):
        heads = []
        for h in range(layer.heads):
            rows = slice(h * d, (h + 1) * d)
            scores = np.array(
                [
                    (w["query_map"][rows] @ query) @ (w["key_map"][rows] @ k)
                    for k in keys
                ]
            ) / np.sqrt(d)
            weights = np.exp(scores - scores.max())
            weights /= weights.sum()
            heads.append(
                sum(
                    a * (w["value_map"][rows] @ v)
                    for a, v in zip(weights, values, strict=True)
                )
            )
        y = query + w["output_map"] @ np.concatenate([query, *heads])
        y = y + np.asarray(layer.output_map.bias)
        out[i] = (y - y.mean()) / np.sqrt(y.var() + 1e-5)
    return out


def test_attention_is_its_definition(getkey):
    layer = MultiHeadAttention(12, heads=3, key=getkey())
    queries, keys, values = (jax.random.normal(getkey(), (n, 12)) for n in (4, 7, 7))
    expected = softmax_attention(layer, queries, keys, values)
    np.testing.assert_allclose(
        jitted(layer, queries, keys, values), expected, atol=2e-6
    )


def test_attention_does_not_see_the_order_of_its_memory(getkey):
    layer = MultiHeadAttention(8, heads=2, key=getkey())
    queries, keys, values = (jax.random.normal(getkey(), (n, 8)) for n in (3, 20, 20))
    order = jax.random.permutation(getkey(), 20)
    permuted = jitted(layer, queries, keys[order], values[order])
    np.testing.assert_allclose(
        permuted, jitted(layer, queries, keys, values), atol=2e-6
    )


def test_dropout_keeps_the_mean_and_drops_the_rate(getkey):
    x = jnp.ones((400, 500))
    y = dropout(x, 0.1, getkey())
    assert abs(float(jnp.mean(y == 0)) - 0.1) < 5 * np.sqrt(0.09 / x.size)
    np.testing.assert_allclose(y[y != 0], 1 / 0.9, rtol=1e-6)
    np.testing.assert_array_equal(dropout(x, 0.1, None), x)


def test_attention_drops_only_with_a_key(getkey):
    layer = MultiHeadAttention(8, heads=2, dropout_rate=0.5, key=getkey())
    x = jax.random.normal(getkey(), (5, 8))
    key = getkey()
    y = jitted(layer, x, x, x, key)
    assert not np.allclose(y, jitted(layer, x, x, x))
    np.testing.assert_array_equal(y, jitted(layer, x, x, x, key))


def test_bad_sizes_are_refused(getkey):
    with pytest.raises(ValueError, match="heads that divide the size, got 3 for 8"):
        MultiHeadAttention(8, heads=3, key=getkey())
    with pytest.raises(ValueError, match=r"dropout rate in \[0, 1\), got 1"):
        MultiHeadAttention(8, dropout_rate=1.0, key=getkey())
