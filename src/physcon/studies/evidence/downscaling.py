"""Downscaling of real maps: the same small network with every way to obey block means.

The network sees the area-weighted means over blocks of cells, and predicts the mean and
the spread of every cell. It is trained on the CRPS of what its layer returns. The first
row of each table is no network: every cell has the mean of its block.
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon import report
from physcon._files import write_json, write_text
from physcon._mesh import is_writer
from physcon._typing import Array, Float, PRNGKeyArray, PyTree, Scalar
from physcon.metrics import gaussian_crps
from physcon.studies.evidence.convolution import SmallNetwork
from physcon.studies.evidence.layers import (
    AFTERWARDS,
    LAYERS,
    Layer,
    unconstrained,
)
from physcon.studies.evidence.maps import (
    Maps,
    Region,
    cells_from_channels,
    quantity,
    read_maps,
    region_of,
)
from physcon.studies.evidence.settings import DownscalingConfig, Quantity
from physcon.studies.session import Session
from physcon.studies.sharing import adam, divided, fit_tasks
from physcon.studies.side_by_side import each_alone, side_by_side, stacked

#: Half the width of a 90 % interval in standard deviations.
_Z90 = 1.6448536269514722
#: A cell alone in its block is certain; it is met to rounding.
_CERTAIN = 1e-5


class Sample(NamedTuple):
    """The block means of a map, and the map."""

    coarse: Float[Array, "*t b a"]
    fine: Float[Array, "*t y x"]


def inputs(config: DownscalingConfig, data: Path | None) -> dict[str, Any]:
    """Read the maps, before anything is written.

    Raises:
        ValueError: for a file that is absent or has other content.
    """
    return {"maps": read_maps(config, data)}


def run(
    config: DownscalingConfig, session: Session, *, maps: Maps
) -> list[dict[str, Any]]:
    """Train a network for every layer, and write table and figure into the folder.

    Returns:
        A row for each quantity and layer: scores on the test maps, each a list over
        networks; no rows on other processes.
    """
    session = session.of(config)
    region = region_of(maps, config.factor)
    rows = []
    for kind in config.quantities:
        fields = jnp.asarray(quantity(maps, kind, config.train), jnp.float32)
        samples = Sample(jax.vmap(region.law.operator.mv)(fields), fields)
        train: Sample = jax.tree.map(lambda x: x[: config.train], samples)
        test: Sample = jax.tree.map(lambda x: x[config.train :], samples)
        rows.append(_no_network(kind, test, region))
        networks = {
            name: trained(config, f"{kind}_{name}", layer, train, region, session)
            for name, layer in LAYERS[kind].items()
            if name in ("unconstrained", *config.layers)
        }
        if not is_writer():
            continue
        plain = networks["unconstrained"]
        rows.append(_row(kind, "unconstrained", plain, unconstrained, test, region))
        name, layer = AFTERWARDS[kind]
        rows.append(_row(kind, name, plain, layer, test, region))
        for name in list(networks)[1:]:
            layer = LAYERS[kind][name]
            rows.append(_row(kind, name, networks[name], layer, test, region))
        if session.output is not None:
            path = session.output / f"downscaling_{kind}.png"
            _figure(path, kind, networks, maps, test, region)
    if session.output is not None:
        write_json(session.output / "table.json", rows)
        write_text(session.output / "table.txt", table_text(rows))
    return rows if is_writer() else []


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
    result = fit_tasks(
        side_by_side(loss),
        stacked(networks),
        each_alone(adam(config.learning_rate, 0.0, config.steps)),
        divided(train, session.mesh),
        config.batch,
        config.steps,
        order,
        session,
        name.replace(" ", "_"),
        save_every=max(1, config.steps // 4),
    )
    return result.params


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


_each = jax.vmap(jax.vmap(gaussian_crps))


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
    return jnp.sum(region.weights * _each(mean, std, sample.fine))


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
        "crps": jnp.sum(weights * _each(mean, std, sample.fine)),
        "coverage_90": jnp.sum(weights * met),
        "violation": jnp.max(jnp.abs(law.residual(mean))),
        "negative": jnp.sum(weights * (mean < 0)),
    }


def _row(
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


def _no_network(kind: Quantity, test: Sample, region: Region) -> dict[str, Any]:
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


def table_text(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned text, with mean and standard deviation over networks."""

    def cell(values: list[float]) -> str:
        if not values:
            return "-"
        spread = f" ± {np.std(values, ddof=1):.1g}" if len(values) > 1 else ""
        return f"{np.mean(values):.3g}{spread}"

    return report.rows_text(
        [{k: v if isinstance(v, str) else cell(v) for k, v in r.items()} for r in rows]
    )


def _figure(
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
