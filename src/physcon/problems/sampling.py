"""Tasks: one function of a family, observed at a few points and predicted at others."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray
from physcon.problems.observations import Observations
from physcon.problems.problem import Problem

#: The name of `Observations` in version 0.1.
Points = Observations


class Task(eqx.Module):
    """One function: its problem (with the parameter), and the points of observation.

    Attributes:
        problem: the equation whose solution the function is.
        context: the values that a model receives, on a tensor grid of points as rows,
            row = it * nx + ix.
        target: the values that the model predicts, in the same layout.
    """

    problem: Problem
    context: Observations
    target: Observations


def training_problems(key: PRNGKeyArray, family: type[Problem], number: int) -> Problem:
    """A batch of problems with parameters uniform on the published training range.

    Shapes:
        The parameter leaf is ``(number,)``; use the batch under `jax.vmap`.
    """
    lower, upper = family.settings.training
    parameters = jax.random.uniform(key, (number,), float, lower, upper)
    return jax.vmap(lambda p: family(p, throw=False))(
        parameters
    )  # inside the interval by construction


def evaluation_problems(family: type[Problem], number: int) -> Problem:
    """A batch of problems with the published test parameters in equal shares.

    Raises:
        ValueError: if `number` is not a multiple of the number of test parameters.
    """
    values = jnp.asarray(family.settings.test, dtype=float)
    require(
        number > 0 and number % len(values) == 0,
        f"a multiple of {len(values)}, the number of test parameters "
        f"{family.settings.test}",
        number,
        "give every parameter the same number of functions",
    )
    parameters = jnp.repeat(values, number // len(values))
    return jax.vmap(lambda p: family(p, throw=False))(parameters)


def sample_task(
    key: PRNGKeyArray,
    problem: Problem,
    context: tuple[int, int] = (10, 10),
    target: tuple[int, int] = (10, 10),
) -> Task:
    """Draw context and target points of one function, each on a tensor grid (nt, nx).

    Context times are stratified: there is one uniform draw in each of nt equal
    intervals. Target times and all positions are sorted uniform draws, as in the
    published data.
    """
    t_range = problem.settings.t
    x_range = problem.settings.x
    sizes = (*context, *target)
    draws = jax.random.uniform(key, (sum(sizes),), float)
    strata, *rest = jnp.split(draws, np.cumsum(sizes)[:-1])
    context_x, target_t, target_x = map(jnp.sort, rest)
    context_t = (jnp.arange(context[0]) + strata) / context[0]
    seen = _points(problem, _scale(context_t, t_range), _scale(context_x, x_range))
    asked = _points(problem, _scale(target_t, t_range), _scale(target_x, x_range))
    return Task(problem, seen, asked)


def sample_tasks(
    key: PRNGKeyArray,
    problems: Problem,
    context: tuple[int, int] = (10, 10),
    target: tuple[int, int] = (10, 10),
) -> Task:
    """`sample_task` for every problem of a batch, each with its own points.

    Shapes:
        The problems have a parameter leaf ``(n,)``; all leaves of the result have the
        leading axis n.

    Raises:
        ValueError: for a single problem.
    """
    parameter = problems.parameter
    require(
        parameter.ndim == 1,
        "a batch of problems with parameters (n,)",
        f"shape {parameter.shape}",
        "use sample_task for one, training_problems or evaluation_problems for many",
    )
    keys = jax.random.split(key, parameter.shape[0])
    return jax.vmap(lambda k, p: sample_task(k, p, context, target))(keys, problems)


def _scale(
    share: Float[Array, " n"], interval: tuple[float, float]
) -> Float[Array, " n"]:
    return interval[0] + (interval[1] - interval[0]) * share


def _points(
    problem: Problem, t: Float[Array, " nt"], x: Float[Array, " nx"]
) -> Observations:
    grid_t, grid_x = jnp.meshgrid(t, x, indexing="ij")
    rows_t = grid_t.reshape(-1)
    rows_x = grid_x.reshape(-1)
    u = problem.solution(rows_t, rows_x)
    return Observations(jnp.stack([rows_t, rows_x], axis=-1), u[:, None])
