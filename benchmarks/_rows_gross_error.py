"""Row of bench_rows.py: which flow meter of a pipe network is wrong?"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import physcon as pc
from _rows_base import Work, balances, peer
from _rows_plants import water

TRIALS = 200
#: The trials that are timed; all are scored.
TIMED = 5


def gross_error(rng: np.random.Generator) -> Work:
    """Serial elimination on the flows of Net3, an error of 5 sigma in one of them.

    The demands are exact. The true flows balance; each is measured with an error of
    2 per cent of its size, and not less than that of a flow of 10.
    """
    plant = water("Net3")
    nodes, edges = plant.demand.size, len(plant.ends)
    g = balances(plant.ends, nodes)
    supply = -plant.demand
    start = 100 * rng.normal(size=edges)
    dense = g.toarray()
    flow = start + np.linalg.pinv(dense) @ (supply - dense @ start)
    std = 0.02 * np.maximum(np.abs(flow), 10)
    measured = flow + std * rng.normal(size=(TRIALS, edges))
    wrong = rng.integers(0, edges, TRIALS)
    sign = rng.choice([-5.0, 5.0], TRIALS)
    measured[np.arange(TRIALS), wrong] += sign * std[wrong]
    law = pc.incidence(plant.ends, nodes, jnp.asarray(supply))

    @jax.jit
    def one(flows, std, law):
        found = pc.diagnose(pc.Gaussian.diagonal(flows, std), law)
        return found.suspects, found.p_value

    def ours(trials: int = TRIALS):
        some = jnp.asarray(measured[:trials])
        return [one(flows, jnp.asarray(std), law) for flows in some]

    mine = [
        np.asarray(suspects)[np.asarray(suspects) >= 0]
        if float(p_value) < 0.05
        else np.array([], int)
        for suspects, p_value in ours()
    ]
    facts = _score("physcon", mine, wrong)
    peers: dict[str, Callable[[], Any]] = {}
    difflow = peer("difflow.reconciliation")
    if difflow is not None:
        names = [str(i) for i in range(edges)]
        rows, value = jnp.asarray(dense), jnp.asarray(supply)

        def residual(u, params):
            return rows @ u - value

        def theirs(trials: int = TRIALS):
            return [
                difflow.serial_elimination(residual, flows, std, names=names)
                for flows in measured[:trials]
            ]

        removed = [
            np.array([int(step.removed) for step in steps if step.removed is not None])
            for steps in theirs()
        ]
        facts |= _score("difflow", removed, wrong)
        same = [
            list(a) == list(b)[: len(a)] for a, b in zip(mine, removed, strict=True)
        ]
        facts["trials with the same suspects"] = sum(same)
        peers["difflow, serial_elimination"] = lambda: theirs(TIMED)
    return Work(
        f"Net3: an error of 5 sigma in one of {edges} flows, {TRIALS} trials, "
        f"{TIMED} of them timed",
        "found as often as by difflow, in less time",
        lambda: ours(TIMED),
        peers,
        facts,
    )


def _score(name: str, suspects: list[np.ndarray], wrong: np.ndarray) -> dict[str, int]:
    pairs = list(zip(suspects, wrong, strict=True))
    return {
        f"{name}: wrong meter among the suspects": sum(int(w in s) for s, w in pairs),
        f"{name}: wrong meter first": sum(
            int(len(s) > 0 and s[0] == w) for s, w in pairs
        ),
        f"{name}: right meters suspected": sum(int((s != w).sum()) for s, w in pairs),
    }
