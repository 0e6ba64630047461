"""The network that predicts a map from its block means, and its training."""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.metrics import gaussian_crps
from physcon.studies.evidence.convolution import SmallNetwork
from physcon.studies.evidence.layers import Layer
from physcon.studies.evidence.maps import Region, cells_from_channels
from physcon.studies.evidence.settings import DownscalingConfig
from physcon.studies.evidence.together import trained_together
from physcon.studies.session import Session


class Sample(NamedTuple):
    """The block means of a map, and the map."""

    coarse: Float[Array, "*t b a"]
    fine: Float[Array, "*t y x"]


def trained(
    config: DownscalingConfig,
    name: str,
    layer: Layer,
    train: Sample,
    region: Region,
    session: Session,
) -> SmallNetwork:
    """Train networks for one layer side by side; returns them as a stack."""
    weights, order = jax.random.split(jax.random.key(config.seed))
    inputs = 1 + region.features.shape[0]
    outputs = 2 * config.factor**2
    networks = [
        SmallNetwork.init(key, inputs, outputs, config.width, config.depth, "copied")
        for key in jax.random.split(weights, config.networks)
    ]
    loss = partial(_loss, layer=layer, region=region)
    return trained_together(
        loss,
        networks,
        train,
        config.batch,
        config.steps,
        config.learning_rate,
        order,
        session,
        name,
    )


def predict(
    network: SmallNetwork, coarse: Float[Array, "b a"], layer: Layer, region: Region
) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
    """Mean and standard deviation of one map."""
    outputs = network(jnp.concatenate([coarse[None], region.features]))
    half = region.factor**2
    raw = cells_from_channels(outputs[:half], region.factor)
    log_std = cells_from_channels(outputs[half:], region.factor)
    std = 1e-3 + jax.nn.softplus(log_std - 1.0)
    law = eqx.tree_at(lambda law: law.value, region.law, coarse)
    return layer(raw, std, law, region)


def crps(
    mean: Float[Array, "y x"],
    std: Float[Array, "y x"],
    truth: Float[Array, "y x"],
    region: Region,
) -> Scalar:
    """The CRPS of a map, weighted by area."""
    each = jax.vmap(jax.vmap(gaussian_crps))(mean, std, truth)
    return jnp.sum(region.weights * each)


def _loss(
    network: SmallNetwork,
    sample: Sample,
    key: PRNGKeyArray,
    *,
    layer: Layer,
    region: Region,
) -> Scalar:
    """The CRPS of the map that the layer returns."""
    mean, std = predict(network, sample.coarse, layer, region)
    return crps(mean, std, sample.fine, region)
