"""Downscaling of real maps: the same small network with every way to obey block means.

The network sees the area-weighted means over blocks of cells, and predicts the mean and
the spread of every cell. It is trained on the CRPS of what its layer returns. The first
row of each table is no network: every cell has the mean of its block.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from physcon._files import write_json, write_text
from physcon._mesh import is_writer
from physcon.studies.evidence.downscaling_network import Sample, trained
from physcon.studies.evidence.downscaling_scores import draw, scored, without_network
from physcon.studies.evidence.layers import AFTERWARDS, LAYERS, unconstrained
from physcon.studies.evidence.maps import Maps, quantity, read_maps, region_of
from physcon.studies.evidence.settings import DownscalingConfig
from physcon.studies.evidence.summary import summary
from physcon.studies.session import Session


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
        rows.append(without_network(kind, test, region))
        networks = {
            name: trained(config, f"{kind}_{name}", layer, train, region, session)
            for name, layer in LAYERS[kind].items()
            if name in ("unconstrained", *config.layers)
        }
        if not is_writer():
            continue
        plain = networks["unconstrained"]
        rows.append(scored(kind, "unconstrained", plain, unconstrained, test, region))
        name, layer = AFTERWARDS[kind]
        rows.append(scored(kind, name, plain, layer, test, region))
        for name in list(networks)[1:]:
            layer = LAYERS[kind][name]
            rows.append(scored(kind, name, networks[name], layer, test, region))
        if session.output is not None:
            path = session.output / f"downscaling_{kind}.png"
            draw(path, kind, networks, maps, test, region)
    if session.output is not None:
        write_json(session.output / "table.json", rows)
        write_text(session.output / "table.txt", summary(rows))
    return rows if is_writer() else []
