"""Leaks planted in a network of pipes: how often the balances of the meters find them.

The field is the flow in every pipe and the demand of every junction, all measured with
errors. A leak is water that leaves a junction unmeasured, so that the demand there has
a gross error. `diagnose` is given the readings and the balances of all junctions, and
has to name the junction.
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._files import write_json, write_text
from physcon._mesh import is_writer
from physcon._typing import Array, Float
from physcon.conditioning import Gaussian, LinearConstraint, diagnose, incidence
from physcon.studies.evidence.hierarchy_settings import LeakConfig
from physcon.studies.evidence.pipes import Pipes, hydraulic_flows, read_pipes
from physcon.studies.evidence.summary import summary
from physcon.studies.session import Session


class Found(NamedTuple):
    """What `diagnose` says about readings.

    Attributes:
        suspects: in the order of their discovery, -1 for none.
        largest: the junction whose demand has the largest |score|.
        p_value: probability of such readings without a leak.
        imbalance: the junction with the largest imbalance in units of its error.
    """

    suspects: Array
    largest: Array
    p_value: Array
    imbalance: Array


def inputs(config: LeakConfig, data: Path | None) -> dict[str, Any]:
    """Read the network, before anything is written.

    Raises:
        ValueError: for a file that is absent or has other content.
    """
    return {"pipes": read_pipes(data)}


def run(config: LeakConfig, session: Session, *, pipes: Pipes) -> list[dict[str, Any]]:
    """Plant leaks, examine the readings, and write the table into the folder.

    Returns:
        A row for each share of metered pipes and size of the leak: how often it was
        found, each a list over repeats.
    """
    if not is_writer():
        return []
    law = balances(pipes)
    flows = [_flows(pipes, size) for size in config.sizes]
    rows = []
    for metered in config.metered:
        examined = [
            _repeat(config, pipes, flows, law, metered, k)
            for k in range(config.repeats)
        ]
        for k, size in enumerate(config.sizes):
            scores = [one[k] for one in examined]
            row: dict[str, Any] = {"metered": str(metered), "leak": str(size)}
            rows.append(row | {n: [one[n] for one in scores] for n in scores[0]})
    if session.output is not None:
        write_json(session.output / "table.json", rows)
        write_text(session.output / "table.txt", summary(rows))
    return rows


def balances(pipes: Pipes) -> LinearConstraint:
    """What flows into a junction leaves it; the demands are edges to the outside."""
    nodes = len(pipes.demand)
    outside = np.stack([np.arange(nodes), np.full(nodes, -1)], axis=1)
    ends = np.concatenate([pipes.ends, outside])
    return incidence(ends, nodes, jnp.zeros(nodes))


def _flows(pipes: Pipes, size: float) -> Float[np.ndarray, "j e"]:
    """The flows with a leak at each junction; `size` is a share of the demand."""
    demand = np.maximum(pipes.demand, 0)
    start = hydraulic_flows(pipes, demand)
    leaks = size * demand.sum() * np.eye(len(demand))
    return np.array([hydraulic_flows(pipes, demand + one, start) for one in leaks])


def _repeat(
    config: LeakConfig,
    pipes: Pipes,
    flows: list[np.ndarray],
    law: LinearConstraint,
    metered: float,
    repeat: int,
) -> list[dict[str, float]]:
    """The scores for each size of the leak, with one choice of the metered pipes."""
    rng = np.random.default_rng([config.seed, repeat])
    edges = len(pipes.ends)
    demand = np.maximum(pipes.demand, 0)
    has_meter = np.ones(edges + len(demand), bool)
    order = rng.permutation(edges)
    has_meter[order[round(metered * edges) :]] = False

    std = _std(config, hydraulic_flows(pipes, demand), demand)
    known = jnp.asarray(np.where(has_meter, std, np.inf), jnp.float32)

    @jax.jit
    def examine(readings: Array) -> Found:
        prior = Gaussian.diagonal(readings, known)
        found = diagnose(prior, law, level=config.level)
        largest = jnp.argmax(jnp.abs(found.score[edges:]))
        imbalance = jnp.argmax(jnp.abs(found.row_score))
        return Found(found.suspects, largest, found.p_value, imbalance)

    scores = []
    for with_leak in flows:
        where = rng.integers(len(demand), size=config.trials)
        true = np.hstack([with_leak[where], np.tile(demand, (config.trials, 1))])
        readings = true + std * rng.normal(size=true.shape)
        found = [examine(jnp.asarray(one, jnp.float32)) for one in readings]
        near = [set(_neighbours(pipes, k)) for k in where.tolist()]
        scores.append(_scored(config, found, edges, where, near))
    return scores


def _std(
    config: LeakConfig, flow: Float[np.ndarray, " e"], demand: Float[np.ndarray, " j"]
) -> Float[np.ndarray, " n"]:
    """The stated errors of all flows and demands, from their usual values."""
    of_flow = config.flow_error * np.abs(flow)
    of_demand = config.demand_error * demand
    least = config.floor * demand.mean()
    return np.maximum(np.concatenate([of_flow, of_demand]), least)


def _neighbours(pipes: Pipes, node: int) -> list[int]:
    """The junction and those that a pipe connects with it."""
    touching = pipes.ends[(pipes.ends == node).any(axis=1)]
    near = np.unique(np.append(touching, node))
    return near[near >= 0].tolist()


def _scored(
    config: LeakConfig,
    found: list[Found],
    edges: int,
    where: np.ndarray,
    near: list[set[int]],
) -> dict[str, float]:
    """How often there was an alarm, and how often the junction was named.

    `where` are the junctions of the leaks, and `near` their neighbours.
    """
    suspects = np.array([one.suspects for one in found]) - edges
    largest = np.array([int(one.largest) for one in found])
    imbalance = np.array([int(one.imbalance) for one in found])
    p_value = np.array([float(one.p_value) for one in found])
    within = [k in some for k, some in zip(largest.tolist(), near, strict=True)]
    return {
        "alarm": float((p_value < config.level).mean()),
        "largest_imbalance": float((imbalance == where).mean()),
        "largest_score": float((largest == where).mean()),
        "largest_score_or_neighbour": float(np.mean(within)),
        "first_suspect": float((suspects[:, 0] == where).mean()),
        "among_suspects": float((suspects == where[:, None]).any(axis=1).mean()),
    }
