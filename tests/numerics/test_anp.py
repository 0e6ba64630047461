"""Invariances of the attentive neural process, and its dense evaluation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.models import anp
from physcon.models.anp import ANP
from physcon.models.predictor import Observations, mixture_moments

DIM, CHANNELS = 3, 2
SIZES = {"size": 8, "heads": 2, "layers": 1}
call = eqx.filter_jit(ANP.__call__)
encode = eqx.filter_jit(ANP.latent)
predict = eqx.filter_jit(anp.predict)
predict_samples = eqx.filter_jit(anp.predict_samples)


@pytest.fixture(scope="module")
def model():
    return ANP(DIM, CHANNELS, **SIZES, key=jax.random.key(0))


@pytest.fixture(scope="module")
def contexts():
    k1, k2 = jax.random.split(jax.random.key(1))
    return Observations(
        jax.random.uniform(k1, (9, DIM)), jax.random.normal(k2, (9, CHANNELS))
    )


@pytest.fixture(scope="module")
def points():
    return jax.random.uniform(jax.random.key(2), (23, DIM))


def test_order_of_contexts_is_not_seen(model, contexts, points):
    order = jnp.array([3, 1, 4, 0, 5, 8, 2, 6, 7])
    permuted = Observations(contexts.points[order], contexts.values[order])
    latent, latent_permuted = encode(model, contexts), encode(model, permuted)
    np.testing.assert_allclose(latent_permuted.mean, latent.mean, atol=1e-6)
    np.testing.assert_allclose(
        latent_permuted.log_variance, latent.log_variance, atol=1e-6
    )
    for got, expected in zip(
        call(model, permuted, points, latent.mean),
        call(model, contexts, points, latent.mean),
        strict=True,
    ):
        assert got.shape == (23, CHANNELS)
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_targets_do_not_see_one_another(model, contexts, points):
    z = encode(model, contexts).mean
    alone = call(model, contexts, points[5:6], z)
    together = call(model, contexts, points, z)
    np.testing.assert_allclose(alone.mean[0], together.mean[5], atol=1e-5)
    u = jax.jit(lambda *x: model.mean_function(contexts, z, channel=1)(*x))
    np.testing.assert_allclose(u(*points[5]), together.mean[5, 1], atol=1e-5)


@pytest.fixture(scope="module")
def direct(model, contexts, points):
    """Five samples computed as the definition says: one pass of the whole network per
    latent.
    """

    @jax.jit
    def samples(key):
        latent_key, _ = jax.random.split(key)
        zs = jax.vmap(model.latent(contexts).sample)(jax.random.split(latent_key, 5))
        return jax.vmap(lambda z: model(contexts, points, z))(zs)

    return samples(jax.random.key(3))


# With a dropout rate of 0 the masks, which depend on the chunk, are all ones.
@pytest.mark.parametrize(("dropout", "dropout_rate"), [(False, 0.1), (True, 0.0)])
def test_chunks_and_shared_attention_change_nothing(
    contexts, points, direct, dropout, dropout_rate
):
    model = ANP(
        DIM, CHANNELS, **SIZES, dropout_rate=dropout_rate, key=jax.random.key(0)
    )
    got = predict_samples(
        model,
        contexts,
        points,
        jax.random.key(3),
        num_samples=5,
        dropout=dropout,
        chunk_size=7,
    )
    assert got.mean.shape == (5, 23, CHANNELS)
    np.testing.assert_allclose(got.mean, direct.mean, atol=1e-5)
    np.testing.assert_allclose(got.std, direct.std, rtol=1e-5)


def test_prediction_is_the_mixture_of_its_samples(model, contexts, points, direct):
    got = predict(
        model, contexts, points, jax.random.key(3), num_samples=5, chunk_size=7
    )
    expected = mixture_moments(*direct)
    np.testing.assert_allclose(got.mean, expected.mean, atol=1e-5)
    np.testing.assert_allclose(got.std, expected.std, rtol=1e-4)


def test_nothing_to_predict_is_an_error(model, contexts, points):
    with pytest.raises(ValueError, match="at least 1 target point, got 0"):
        predict(model, contexts, points[:0], jax.random.key(0))
    with pytest.raises(ValueError, match="at least 1 latent sample, got 0"):
        predict(model, contexts, points, jax.random.key(0), num_samples=0)


def test_dropout_masks_differ_between_samples(model, contexts, points):
    # The latent has variance e⁻⁶⁰ of its own: all that differs between samples is the
    # masks.
    bias = lambda m: m.latent_encoder.log_variance_map.bias  # noqa: E731
    narrow = eqx.tree_at(bias, model, bias(model) - 60.0)
    samples = predict_samples(
        narrow, contexts, points, jax.random.key(4), num_samples=3, dropout=True
    )
    assert np.abs(samples.mean[0] - samples.mean[1]).max() > 1e-3


def test_latent_samples_have_the_latent_moments(model, contexts):
    latent = encode(model, contexts)
    z = jax.vmap(latent.sample)(jax.random.split(jax.random.key(5), 4000))
    std = np.exp(0.5 * np.asarray(latent.log_variance))
    assert np.max(np.abs(z.mean(0) - latent.mean) / std) < 5 / np.sqrt(4000)
    np.testing.assert_allclose(z.std(0) / std, 1.0, atol=5 / np.sqrt(2 * 4000))


def test_mixture_moments_are_the_integrals_of_the_density(rng):
    means, stds = rng.normal(size=(4, 1)), rng.uniform(0.3, 1.0, size=(4, 1))
    u = np.linspace(-12, 12, 20001)
    density = np.mean(
        np.exp(-0.5 * ((u - means) / stds) ** 2) / (stds * np.sqrt(2 * np.pi)), axis=0
    )
    mean = np.trapezoid(u * density, u)
    std = np.sqrt(np.trapezoid((u - mean) ** 2 * density, u))
    got = mixture_moments(jnp.asarray(means), jnp.asarray(stds))
    np.testing.assert_allclose(got.mean[0], mean, rtol=1e-5)
    np.testing.assert_allclose(got.std[0], std, rtol=1e-5)
    unbiased = mixture_moments(jnp.asarray(means), 0 * jnp.asarray(stds), ddof=1)
    np.testing.assert_allclose(unbiased.std[0], means.std(ddof=1), rtol=1e-5)
    with pytest.raises(ValueError, match="more than 1 components, got 1"):
        mixture_moments(jnp.zeros((1, 3)), jnp.ones((1, 3)), ddof=1)
