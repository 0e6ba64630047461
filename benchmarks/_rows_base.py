"""What the rows of bench_rows.py share: timing, records, peers that may be missing."""

import importlib
import os
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.sparse as sp

from _record import interleaved

#: What to pass to pip for each module.
PEERS = {
    "clarabel": "'.[bench]'",
    "difflow.reconciliation": "'.[bench]'",
    "hierarchicalforecast.methods": "'.[bench]'",
    "qpax": "'.[bench]'",
    "pinet": "--no-deps pinet-hcnn",
}


class Work(NamedTuple):
    """One row of the table.

    Attributes:
        name: what is computed, with its size.
        reach: the aim of the project for it, in words.
        run: physcon's function, without arguments.
        peers: name of an alternative -> its function, without arguments.
        facts: number after number that was found on the way, by its name.
    """

    name: str
    reach: str
    run: Callable[[], Any]
    peers: dict[str, Callable[[], Any]]
    facts: dict[str, float]


def peer(module: str) -> ModuleType | None:
    """A package to compare with; None and a sentence if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        print(
            f"{module} cannot be imported ({error}), so this row has no comparison "
            f"with it: python -m pip install {PEERS[module]}",
            file=sys.stderr,
        )
        return None


def measure(work: Work, repeats: int, seconds: float) -> dict[str, Any]:
    """The record of one row: median seconds of interleaved calls after the first."""
    load = os.getloadavg()[0]
    times = interleaved({"physcon": work.run, **work.peers}, repeats, seconds)
    mine = times.pop("physcon")
    others = {name: t["run_s"] for name, t in times.items()}
    return {
        "work": work.name,
        "reach": work.reach,
        "physcon_s": mine["run_s"],
        "others_s": others,
        "over": {name: mine["run_s"] / s for name, s in others.items()},
        "rounds": mine["rounds"],
        "load_average": load,
        "facts": work.facts,
    }


def first_call(make: Callable[[], Any]) -> tuple[Any, float]:
    """The result of ``make``, and the seconds that it took."""
    begin = time.perf_counter()
    result = jax.block_until_ready(make())
    return result, time.perf_counter() - begin


def apart(a: Any, b: Any) -> float:
    """The largest difference of two arrays, over the largest entry of the second."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return float(np.abs(a.reshape(b.shape) - b).max() / np.abs(b).max())


def balances(ends: np.ndarray, nodes: int) -> sp.csr_matrix:
    """What leaves each node less what enters it, of edges ``(e, 2)``; -1: outside."""
    edge = np.arange(len(ends))
    leave, enter = ends[:, 0] >= 0, ends[:, 1] >= 0
    row = np.concatenate([ends[leave, 0], ends[enter, 1]])
    column = np.concatenate([edge[leave], edge[enter]])
    value = np.concatenate([np.ones(leave.sum()), -np.ones(enter.sum())])
    return sp.csr_matrix((value, (row, column)), (nodes, len(ends)))


def quadratic_program(
    mean: np.ndarray,
    std: np.ndarray,
    rows: sp.spmatrix,
    value: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray | None = None,
) -> Callable[[float], np.ndarray] | None:
    """Clarabel's minimum of Σ (u - mean)² / std², rows u = value, within bounds."""
    clarabel = peer("clarabel")
    if clarabel is None:
        return None
    n = mean.size
    weight = sp.diags(1 / std**2).tocsc()
    parts, ends = [rows, -sp.eye(n)], [value, -np.broadcast_to(lower, n)]
    cones = [clarabel.ZeroConeT(value.size), clarabel.NonnegativeConeT(n)]
    if upper is not None:
        parts.append(sp.eye(n))
        ends.append(np.broadcast_to(upper, n))
        cones.append(clarabel.NonnegativeConeT(n))
    matrix, bound = sp.vstack(parts).tocsc(), np.concatenate(ends)

    def solve(tolerance: float) -> np.ndarray:
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
        problem = clarabel.DefaultSolver(
            weight, -mean / std**2, matrix, bound, cones, settings
        )
        return np.asarray(problem.solve().x)

    return solve
