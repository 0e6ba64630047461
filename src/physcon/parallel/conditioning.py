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
from physcon.conditioning.downdate import DowndatedRoot
from physcon.conditioning.status import MESSAGES
from physcon.linear_map import (
    Diagonal,
    LinearMap,
    LowRank,
    Rows,
    Sum,
)
from physcon.linear_map.divided import DividedLowRank, DividedRows


def condition(
    prior: Gaussian,
    constraint: LinearConstraint,
    *,
    mesh: Mesh,
    axes: Axes,
    throw: bool = True,
) -> Conditioned:
    """`physcon.condition` on a few rows, with the field divided according to `axes`.

    The arrays of the posterior are placed on the mesh like the arrays of the prior;
    `variance` and `sample` are ordinary functions of them.

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
    parts = prior.root.parts if isinstance(prior.root, Sum) else (prior.root,)
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
    root = DowndatedRoot(prior.root, rows, constraint.noise_std, found["factor"])
    posterior = Gaussian(found["mean"], root)
    return Conditioned(posterior, found["log_evidence"], found["residual"], outcome)


@eqx.filter_jit
def _few_rows(
    prior: Gaussian, constraint: LinearConstraint, mesh: Mesh, axes: Axes
) -> dict[str, Any]:
    """The mean and all small arrays of the posterior, from the blocks."""
    named = tuple(name for name in axes if name is not None)

    def place(x: Any) -> P:
        return P(None, *axes) if isinstance(x, Rows | LowRank) else P(*axes)

    def divided(part: Any) -> LinearMap:
        return (
            DividedLowRank(part.vectors, named) if isinstance(part, LowRank) else part
        )

    def on_block(
        mean: Array, roots: tuple, rows: Array, value: Array, noise: Any
    ) -> dict:
        parts = tuple(divided(part) for part in roots)
        own = Gaussian(mean, parts[0] if len(parts) == 1 else Sum(*parts))
        law = LinearConstraint(DividedRows(rows, named), value, noise)
        found = condition_whole(own, law, throw=False)
        root: Any = found.posterior.root
        return {
            "mean": found.posterior.mean,
            "factor": root.factor,
            "log_evidence": found.log_evidence,
            "residual": found.residual,
            "outcome": found.outcome,
        }

    roots = prior.root.parts if isinstance(prior.root, Sum) else (prior.root,)
    rows: Any = constraint.operator
    whole = P()
    out = {"mean": P(*axes), "factor": whole, "log_evidence": whole}
    out |= {"residual": whole, "outcome": whole}
    in_specs = P(*axes), tuple(place(p) for p in roots), place(rows), whole, whole
    found = by_device(on_block, mesh, in_specs, out)
    return found(
        prior.mean, roots, rows.weights, constraint.value, constraint.noise_std
    )
