"""Scores, table and figure of the predictions of maps."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon import report
from physcon._extremes import largest_of
from physcon._typing import Array, PyTree, Scalar
from physcon.studies.evidence.convolution import SmallNetwork
from physcon.studies.evidence.downscaling_network import Sample, crps, predict
from physcon.studies.evidence.layers import LAYERS, Layer
from physcon.studies.evidence.maps import Maps, Region
from physcon.studies.evidence.settings import Quantity

#: Half the width of a 90 % interval in standard deviations.
_Z90 = 1.6448536269514722
#: A cell alone in its block is certain; it is met to rounding.
_CERTAIN = 1e-5


def _scores(
    network: SmallNetwork, sample: Sample, layer: Layer, region: Region
) -> dict[str, Scalar]:
    """The scores of one map, weighted by area; means over maps are taken later."""
    mean, std = predict(network, sample.coarse, layer, region)
    weights = region.weights
    error = mean - sample.fine
    met = jnp.abs(error) <= _Z90 * std + _CERTAIN
    law = eqx.tree_at(lambda law: law.value, region.law, sample.coarse)
    return {
        "squared_error": jnp.sum(weights * error**2),
        "crps": crps(mean, std, sample.fine, region),
        "coverage_90": jnp.sum(weights * met),
        "violation": largest_of(jnp.abs(law.residual(mean))),
        "negative": jnp.sum(weights * (mean < 0)),
    }


def scored(
    kind: Quantity,
    name: str,
    networks: SmallNetwork,
    layer: Layer,
    test: Sample,
    region: Region,
) -> dict[str, Any]:
    """A row of the table; every score is a list over networks."""

    @eqx.filter_jit
    def all_maps(networks: PyTree, test: Sample) -> dict[str, Array]:
        def of(network: SmallNetwork) -> dict[str, Array]:
            return jax.vmap(lambda one: _scores(network, one, layer, region))(test)

        return eqx.filter_vmap(of)(networks)

    found = all_maps(networks, test)
    return {
        "quantity": kind,
        "method": name,
        "rmse": jnp.sqrt(found["squared_error"].mean(axis=1)).tolist(),
        "crps": found["crps"].mean(axis=1).tolist(),
        "coverage_90": found["coverage_90"].mean(axis=1).tolist(),
        "violation": found["violation"].max(axis=1).tolist(),
        "negative": found["negative"].mean(axis=1).tolist(),
    }


def without_network(kind: Quantity, test: Sample, region: Region) -> dict[str, Any]:
    """Every cell has the mean of its block; the CRPS is the mean absolute error."""
    coarse = jnp.repeat(jnp.repeat(test.coarse, region.factor, 1), region.factor, 2)
    error = coarse - test.fine
    absolute = jnp.tensordot(jnp.abs(error), region.weights)
    square = jnp.tensordot(error**2, region.weights)
    return {
        "quantity": kind,
        "method": "block means, no network",
        "rmse": [float(jnp.sqrt(square.mean()))],
        "crps": [float(absolute.mean())],
        "coverage_90": [],
        "violation": [0.0],
        "negative": [0.0],
    }


def draw(
    path: Path,
    kind: Quantity,
    networks: dict[str, SmallNetwork],
    maps: Maps,
    test: Sample,
    region: Region,
) -> None:
    """Draw the last test map, and the predictions of the first network."""
    coarse = test.coarse[-1]
    truth = np.asarray(test.fine[-1])
    land = ~maps.ocean

    def shown(title: str, values: Array, scale: str) -> report.Map:
        field = np.where(land, np.nan, np.asarray(values))
        label = "error" if scale.startswith("change") else "standard units"
        return report.Map(title, field, label, scale)

    blocks = jnp.repeat(jnp.repeat(coarse, region.factor, 0), region.factor, 1)
    found = [
        shown("truth", jnp.asarray(truth), "values"),
        shown("known: block means", blocks, "values"),
    ]
    for name in [n for n in ("unconstrained", "condition", "bounded") if n in networks]:
        layer = LAYERS[kind][name]
        first: PyTree = jax.tree.map(
            lambda x: x[0] if eqx.is_array(x) else x, networks[name]
        )
        mean, _ = predict(first, coarse, layer, region)
        found.append(shown(f"{name}: mean", mean, "values"))
        found.append(shown(f"{name}: error", mean - truth, "change"))
    report.maps_figure(path, found, maps.longitude, maps.latitude)
