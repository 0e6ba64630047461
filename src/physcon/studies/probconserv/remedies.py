"""What can be done beyond the article with the same draws of the same model.

The article conditions each draw on its own, with independent errors. Here the draws are
one Gaussian first, the first two moments of their mixture:

diagonal
    its variances alone;
covariance
    its covariance, which has low rank plus independent errors;
noise
    the same, and the mass has an error of the size of the quadrature error;
refined
    the same covariance on nodes four times as close, where the quadrature error is
    smaller; the other nodes are dropped afterwards;
bounded, monotone
    the moments after `covariance`, whose mean is moved to the nearest that is not
    negative, or falls along x as well;
balance
    the field at three times and the unknown fluxes between them, with a balance in
    every cell and the known mass at each time.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float, Scalar
from physcon.conditioning import (
    Gaussian,
    LinearConstraint,
    balance,
    bounded,
    condition,
    from_matrix,
    integral,
    join_fields,
    monotone,
    stack,
)
from physcon.grid import Grid
from physcon.problems import Problem
from physcon.studies.probconserv.front_scores import control_volumes
from physcon.studies.probconserv.settings import Method

#: Draws of a model at any time and positions, the same ones in every call.
Draws = Callable[[Scalar, Float[Array, " n"]], Gaussian]


def remedied(
    method: Method,
    plain: Gaussian,
    draws: Draws,
    problem: Problem,
    t: Scalar,
    grid: Grid,
    law: LinearConstraint,
) -> Gaussian:
    """The posterior under one method, with a leading axis of one draw.

    Args:
        plain: the draws on the nodes, along a leading axis.
        law: the mass on the nodes.
    """
    prior = _mixture(plain)
    if method == "diagonal":
        alone = Gaussian.diagonal(prior.mean, prior.std())
        found = condition(alone, law).posterior
    elif method == "noise":
        noise = _quadrature_error(prior.mean, grid)
        found = condition(prior, integral(grid, problem.mass(t), noise)).posterior
    elif method == "refined":
        found = _refined(draws, problem, t, grid)
    elif method == "balance":
        found = _balanced(draws, problem, t, grid)
    else:
        found = condition(prior, law).posterior
        std = jnp.maximum(found.std(), 1e-6)
        # The law has already used the covariance; what is left is a projection.
        nearest = Gaussian.diagonal(found.mean, std)
        if method == "bounded":
            mean = bounded(nearest, law, 0.0, throw=False).mean
            found = Gaussian.diagonal(mean, std)
        elif method == "monotone":
            mean = monotone(nearest, law, 0.0, decreasing=True, throw=False).mean
            found = Gaussian.diagonal(mean, std)
    return jax.tree.map(lambda leaf: leaf[None], found)


def _mixture(draws: Gaussian) -> Gaussian:
    """The first two moments of the draws, as one Gaussian."""
    return Gaussian.from_mixture(draws.mean, jax.vmap(Gaussian.std)(draws), ddof=1)


def _quadrature_error(mean: Float[Array, " n"], grid: Grid) -> Scalar:
    """An estimate: the difference of the integral from that over every other node.

    Where the grid has an odd number of intervals, the last one is left out of both.
    """
    lower = grid.coordinates[0][0]
    width = grid.coordinates[0][1] - lower
    even = mean[: len(mean) - (len(mean) + 1) % 2]
    coarse = even[::2]

    def trapezoid(u: Array, h: Scalar) -> Scalar:
        return h * (jnp.sum(u) - 0.5 * (u[0] + u[-1]))

    return jnp.abs(trapezoid(even, width) - trapezoid(coarse, 2 * width)) + 1e-6


def _refined(draws: Draws, problem: Problem, t: Scalar, grid: Grid) -> Gaussian:
    """Condition on nodes four times as close; keep the marginals of every fourth."""
    lower, upper = problem.settings.x
    fine = Grid.uniform(lower, upper, 4 * (grid.size - 1) + 1, location="nodes")
    prior = _mixture(draws(t, fine.coordinates[0]))
    found = condition(prior, integral(fine, problem.mass(t))).posterior
    return Gaussian.diagonal(found.mean[::4], found.std()[::4])


def _balanced(draws: Draws, problem: Problem, t: Scalar, grid: Grid) -> Gaussian:
    """Balances of all nodes in two windows around t, with unknown fluxes.

    The control volumes of the nodes are the cells, so that the sum of the balances is
    the trapezoid rule. The known masses give the inflow through the lower end; nothing
    leaves at the upper end. Of a flux inside it is known only that it lies somewhere
    between zero and the inflow.
    """
    x = grid.coordinates[0]
    cells = Grid.cells(control_volumes(x))
    start, end = problem.settings.t
    step = 0.02 * (end - start)
    times = jnp.stack([t - step, t, t + step])
    each = jax.vmap(draws, (0, None))(times, x)  # (times, draws, nodes)
    means = jnp.swapaxes(each.mean, 0, 1)
    stds = jnp.swapaxes(jax.vmap(jax.vmap(Gaussian.std))(each), 0, 1)
    state = Gaussian.from_mixture(means, stds, ddof=1)
    inflow = jnp.diff(problem.mass(times)) / step
    middle = jnp.broadcast_to(0.5 * inflow[:, None], (2, len(x) - 1))
    fluxes = Gaussian.diagonal(middle, 0.5 * jnp.abs(middle) + 1e-3)
    known = balance(cells, np.arange(3) * step, boundary=((inflow, 0.0),))
    now = jnp.zeros((3, len(x))).at[1].set(grid.weights())
    row = jnp.concatenate([now.ravel(), jnp.zeros(middle.size)])[None]
    total = from_matrix(row, problem.mass(t)[None])
    found = condition(join_fields(state, fluxes), stack(known, total)).posterior
    at_t = slice(len(x), 2 * len(x))
    return Gaussian.diagonal(found.mean[at_t], found.std()[at_t])
