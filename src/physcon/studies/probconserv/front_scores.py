"""Scores of a mean and its errors near a front, which the published scores lack.

cell_average_error
    The squared error against the averages of the exact solution over the control
    volumes of the nodes. Their sum is the known mass. On a jump, the value at a node
    depends on a fraction of a spacing, or on a convention; an average does not.
coverage_behind
    The part of the nodes behind the front whose 95 % interval holds the truth. Beyond
    the front the solution is exactly zero, and almost every interval holds it.
front_of_mean
    The distance of the front of the mean from the exact one. Both are the first
    position at which the profile falls to one level: half of the mean of the exact
    solution behind its front. The predicted mean is linear between nodes.
"""

import jax
import jax.numpy as jnp

from physcon import metrics
from physcon._typing import Array, Float, Scalar
from physcon.grid import Grid
from physcon.models import Prediction
from physcon.problems import Problem

#: Nodes per node of the grid on which the exact position is found.
_FINER = 50


def front_scores(
    prediction: Prediction,
    problem: Problem,
    t: Scalar,
    truth: Float[Array, " n"],
    grid: Grid,
) -> dict[str, Scalar]:
    """The three scores of one prediction at the nodes; see above.

    Args:
        problem: has a front inside of the domain at time t.
        truth: the reference at the nodes.
    """
    mean, std = prediction
    x = grid.coordinates[0]
    averages = problem.cell_averages(t, control_volumes(x))

    behind = (x <= problem.front(t)).astype(mean.dtype)
    inside = jax.vmap(metrics.interval_coverage)(mean, std, truth)

    level = 0.5 * problem.mass(t) / (problem.front(t) - x[0])
    number = _FINER * (x.size - 1) + 1
    fine = jnp.linspace(x[0], x[-1], number)
    exact = metrics.shock_position(fine, problem.solution(t, fine), level)
    found = metrics.shock_position(x, mean, level, interpolate=True)
    return {
        "cell_average_error": metrics.mean_squared_error(mean, averages),
        "coverage_behind": jnp.sum(behind * inside) / jnp.sum(behind),
        "front_of_mean": jnp.abs(found.position - exact.position),
    }


def control_volumes(x: Float[Array, " n"]) -> Float[Array, " n+1"]:
    """The faces half-way between the nodes, and the two ends."""
    return jnp.concatenate([x[:1], 0.5 * (x[1:] + x[:-1]), x[-1:]])
