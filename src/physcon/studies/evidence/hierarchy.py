"""A hierarchy of forecasts made coherent, scored against MinT.

Every series of the hierarchy is forecast alone, so that the forecasts don't add up. The
sums are rows, and `condition` makes all series obey them. With the covariance of past
errors the mean equals MinT's, the published remedy. The scores are of samples.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physcon._extremes import largest_of
from physcon._files import write_json, write_text
from physcon._mesh import is_writer
from physcon._typing import Array
from physcon.conditioning import LinearConstraint
from physcon.metrics import energy_score
from physcon.report import rows_text
from physcon.studies.evidence.hierarchy_settings import HierarchyConfig
from physcon.studies.evidence.reconciled import (
    METHODS,
    Base,
    bases,
    fitted_factors,
    samples,
)
from physcon.studies.evidence.series import Hierarchy, read_hierarchy
from physcon.studies.evidence.smoothing import Smoothed, forecast, smoothed
from physcon.studies.session import Session


def inputs(config: HierarchyConfig, data: Path | None) -> dict[str, Any]:
    """Read the series, before anything is written.

    Raises:
        ValueError: for a file that is absent or has other content.
    """
    return {"hierarchy": read_hierarchy(config, data)}


def run(
    config: HierarchyConfig, session: Session, *, hierarchy: Hierarchy
) -> list[dict[str, Any]]:
    """Forecast, reconcile and score, and write the table into the folder.

    Returns:
        A row per method: scores averaged over horizons, each a list over origins.
    """
    if not is_writer():
        return []
    states = smoothed(hierarchy.series, config.period)
    last = len(hierarchy.series) - config.horizon
    origins = range(config.first, last + 1, config.step)
    scale = _scale(hierarchy.series[: config.first], config.period)
    keys = jax.random.split(jax.random.key(config.seed), (len(origins), config.horizon))
    forecasts = [_known(config, hierarchy, states, origin) for origin in origins]
    factor = _factor(config, hierarchy, states, scale)
    session.say(f"factors on the errors: {dict.fromkeys(factor.tolist())}")
    score = _program(hierarchy, scale, factor, config.samples)
    found = [
        jax.tree.map(np.asarray, score(key, *one))
        for key, one in zip(keys, forecasts, strict=True)
    ]
    rows = [
        {"method": name, **_lists(hierarchy, [one[name] for one in found])}
        for name in METHODS
    ]
    if session.output is not None:
        write_json(session.output / "table.json", rows)
        write_text(session.output / "table.txt", _text(rows))
    return rows


def _scale(known: np.ndarray, period: int) -> np.ndarray:
    """The unit of each series: the root mean square of its seasonal differences."""
    return np.sqrt(((known[period:] - known[:-period]) ** 2).mean(axis=0))


def _known(
    config: HierarchyConfig, hierarchy: Hierarchy, states: Smoothed, origin: int
) -> tuple[Base, Array]:
    """The forecasts from one origin, and what came true."""
    base = bases(forecast(states, origin, config.horizon, config.window))
    truth = hierarchy.series[origin : origin + config.horizon]
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (base, truth))


def _factor(
    config: HierarchyConfig, hierarchy: Hierarchy, states: Smoothed, scale: np.ndarray
) -> Array:
    """The factors fitted to the forecasts that end before the first origin."""
    start = 2 * config.period + config.window + config.horizon
    origins = range(start, config.first - config.horizon + 1, config.step)
    past = [_known(config, hierarchy, states, origin) for origin in origins]
    base, truth = jax.tree.map(lambda *x: jnp.concatenate(x), *past)
    unit = jnp.asarray(scale, jnp.float32)
    return fitted_factors(base, truth, unit, hierarchy.level, hierarchy.law)


def _program(hierarchy: Hierarchy, scale: np.ndarray, factor: Array, count: int) -> Any:
    """A function of the forecasts of one origin that returns the scores of methods."""
    law = hierarchy.law
    unit = jnp.asarray(scale, jnp.float32)
    summing = jnp.asarray(hierarchy.summing, jnp.float32)

    @jax.jit
    def score(keys: Array, base: Base, truth: Array) -> dict[str, Any]:
        def one(inputs: tuple) -> dict[str, Any]:
            key, base, truth = inputs
            drawn = samples(key, base, law, summing, factor, count)
            return {n: _scores(u, truth, unit, law) for n, u in drawn.items()}

        return jax.lax.map(one, (keys, base, truth))

    return score


def _scores(
    drawn: Array, truth: Array, unit: Array, law: LinearConstraint
) -> dict[str, Array]:
    """The scores of the samples of one time; series are in their own units."""
    scaled = drawn / unit[None]
    known = truth / unit
    ends = jnp.quantile(scaled, jnp.array([0.05, 0.95]), axis=0)
    missed = jax.vmap(law.residual)(drawn)
    return {
        "energy_score": energy_score(scaled, known),
        "crps": jax.vmap(energy_score, (1, 0))(scaled, known),
        "covered": (ends[0] <= known) & (known <= ends[1]),
        "negative": jnp.mean(drawn < 0),
        "incoherence": largest_of(jnp.abs(missed)) / largest_of(jnp.abs(truth)),
    }


def _lists(hierarchy: Hierarchy, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The scores of one method as lists over origins."""

    def over_origins(name: str) -> np.ndarray:
        return np.stack([one[name] for one in found]).astype(float)

    row: dict[str, Any] = {
        "energy_score": over_origins("energy_score").mean(axis=1).tolist()
    }
    crps = over_origins("crps").mean(axis=1)
    for depth, name in enumerate(hierarchy.names):
        row[f"crps_{name}"] = crps[:, hierarchy.level == depth].mean(axis=1).tolist()
    row["coverage_90"] = over_origins("covered").mean(axis=(1, 2)).tolist()
    row["negative"] = over_origins("negative").mean(axis=1).tolist()
    row["incoherence"] = over_origins("incoherence").max(axis=1).tolist()
    return row


def _text(rows: list[dict[str, Any]]) -> str:
    """The table as text: means over origins."""
    return rows_text(
        [
            {k: v if isinstance(v, str) else f"{np.mean(v):.3g}" for k, v in r.items()}
            for r in rows
        ]
    )
