"""Condition a field that is divided among devices on a few rows.

Each device sums the contributions of its block to S and G μ. One all-reduce of float64
numbers completes both, and each block is then updated locally.
"""

from typing import Any

import equinox as eqx
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from physcon._checks import is_traced, require
from physcon._mesh import Axes, by_device, check_axes
from physcon._status import settle, severity
from physcon._typing import Array
from physcon.conditioning import Conditioned, Gaussian, LinearConstraint
from physcon.conditioning import condition as condition_whole
from physcon.conditioning.status import MESSAGES
from physcon.linear_map import Diagonal, LowRank, Rows
from physcon.linear_map.divided import DividedRows
from physcon.parallel.downdate import (
    DividedDowndate,
    named,
    on_block,
    parts_of,
    place,
)


def condition(
    prior: Gaussian,
    constraint: LinearConstraint,
    *,
    mesh: Mesh,
    axes: Axes,
    throw: bool = True,
) -> Conditioned:
    """`physcon.condition` on a few rows, with the field divided according to `axes`.

    The arrays of the posterior are placed on the mesh like the arrays of the prior.
    Its variance and its samples are computed block by block too.

    Args:
        prior: independent errors (`Diagonal`), an ensemble (`LowRank`), or their `Sum`.
        constraint: a constraint with `Rows`, such as `integral`, `sensors` or `stack`.
        axes: for each axis of the field, the mesh axis that divides it, or None.

    Raises:
        ValueError: for other maps, or if the devices do not divide the field evenly.
        RuntimeError: under `throw` and outside jit, for NaN or for rows that contradict
            each other.
    """
    check_axes(mesh, axes, prior.mean.shape)
    rows = constraint.operator
    require(
        isinstance(rows, Rows),
        "Rows",
        type(rows).__name__,
        "use condition_balance for a law",
    )
    parts = parts_of(prior.root)
    require(
        all(isinstance(p, Diagonal | LowRank) for p in parts),
        "a root of Diagonal and LowRank parts",
        [type(p).__name__ for p in parts],
        "other roots couple all devices",
    )
    found = _few_rows(prior, constraint, mesh, axes)
    outcome = found.pop("outcome")
    # Nothing is raised inside jit: an error in a callback on one of several devices
    # would end the whole process.
    found = settle(found, outcome, throw and not is_traced(severity(outcome)), MESSAGES)
    known = (prior.root, rows, constraint.noise_std, found["factor"])
    root = DividedDowndate(*known, mesh, axes)
    posterior = Gaussian(found["mean"], root)
    return Conditioned(posterior, found["log_evidence"], found["residual"], outcome)


@eqx.filter_jit
def _few_rows(
    prior: Gaussian, constraint: LinearConstraint, mesh: Mesh, axes: Axes
) -> dict[str, Any]:
    """The mean and all small arrays of the posterior, from the blocks."""

    def update(
        mean: Array, parts: tuple, rows: Array, value: Array, noise: Any
    ) -> dict:
        own = Gaussian(mean, on_block(parts, axes))
        law = LinearConstraint(DividedRows(rows, named(axes)), value, noise)
        found = condition_whole(own, law, throw=False)
        root: Any = found.posterior.root
        return {
            "mean": found.posterior.mean,
            "factor": root.factor,
            "log_evidence": found.log_evidence,
            "residual": found.residual,
            "outcome": found.outcome,
        }

    parts = parts_of(prior.root)
    rows: Any = constraint.operator
    whole = P()
    out = {"mean": P(*axes), "factor": whole, "log_evidence": whole}
    out |= {"residual": whole, "outcome": whole}
    shares = tuple(place(part, axes) for part in parts)
    in_specs = P(*axes), shares, place(rows, axes), whole, whole
    found = by_device(update, mesh, in_specs, out)
    return found(
        prior.mean, parts, rows.weights, constraint.value, constraint.noise_std
    )
