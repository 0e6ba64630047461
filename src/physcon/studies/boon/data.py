"""Functions of the boundary studies.

A sample has an initial state, an answer, and the values on the walls.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from physcon._typing import Array, Float, PRNGKeyArray
from physcon.boundary import Boundary
from physcon.grid import Grid
from physcon.problems.boon_heat import HeatedRod
from physcon.problems.cavity import LidDrivenCavity
from physcon.problems.stokes import StokesSecond
from physcon.problems.viscous_burgers import BurgersPeriodic, BurgersRiemann
from physcon.problems.wave import StandingWaves
from physcon.studies.boon.settings import BoonConfig
from physcon.studies.sharing import every

#: A random member of each family; all live on the unit interval or square.
FAMILIES: dict[str, Callable[[PRNGKeyArray], Any]] = {
    "heat": HeatedRod.sample,
    "stokes": StokesSecond.sample,
    "burgers-riemann": BurgersRiemann.sample,
    "burgers-periodic": BurgersPeriodic.sample,
    "burgers-centred": partial(BurgersPeriodic.sample, centred=True),
    "wave": StandingWaves.sample,
    "wave-2d": partial(StandingWaves.sample, modes=4, axes=2),
    "cavity": LidDrivenCavity.sample,
}
#: The families on a circle.
CLOSED = ("burgers-periodic", "burgers-centred")
_AXES = {"wave-2d": 2, "cavity": 2}


class Samples(eqx.Module):
    """Functions of one family, with their boundary values.

    Shapes:
        u and answer are ``(n, 1, *x)``; the leaves of boundary are ``(n, ...)``. If the
        study has several times, the last of the axes x is time, and the initial state
        is repeated along it.
    """

    u: Float[Array, "n 1 *x"]
    answer: Float[Array, "n 1 *x"]
    boundary: Boundary


def space_axes(config: BoonConfig) -> int:
    """The number of space axes."""
    return _AXES.get(config.problem, 1)


def answer_times(config: BoonConfig) -> np.ndarray:
    """The times of the answer, ``(times,)``."""
    steps = np.arange(1, config.times + 1) / config.times
    return config.start + (config.time - config.start) * steps


def study_grid(config: BoonConfig) -> Grid:
    """The nodes in space, and in time if the answer has a time axis."""
    axes = space_axes(config)
    if config.times == 1:
        return Grid.uniform(
            (0.0,) * axes, (1.0,) * axes, (config.nodes,) * axes, "nodes"
        )
    x = np.linspace(0.0, 1.0, config.nodes)
    return Grid.nodes(*[x] * axes, answer_times(config))


def samples(
    key: PRNGKeyArray, config: BoonConfig, number: int, mesh: Mesh | None = None
) -> Samples:
    """Draw random functions of the family: exact on the grid, or solved (the cavity).

    Each device of a mesh draws its own part of the same functions.
    """
    draw = FAMILIES[config.problem]
    grid = study_grid(config)

    def one(key: PRNGKeyArray) -> tuple[Array, Array, Boundary]:
        start, states, boundary = _function(draw(key), config, grid)
        answer = jnp.moveaxis(states, 0, -1).reshape(1, *grid.shape)
        u = start if config.times == 1 else start[..., None]
        return jnp.broadcast_to(u, grid.shape)[None], answer, boundary

    return Samples(*every(one, jax.random.split(key, number), mesh, batch_size=64))


def _function(
    problem: Any, config: BoonConfig, grid: Grid
) -> tuple[Float[Array, "*x"], Float[Array, "t *x"], Boundary]:
    """The initial state, and the states and conditions at the times of the answer."""
    x = grid.coordinates[: space_axes(config)]
    if isinstance(problem, LidDrivenCavity):
        states = problem.states(jnp.asarray(config.time), config.times, config.nodes)
        walls = states[1] if config.times == 1 else jnp.moveaxis(states[1:], 0, -1)
        return states[0], states[1:], problem.boundary(walls)
    t = jnp.asarray(answer_times(config), x[0].dtype)
    states = jax.vmap(lambda t: problem.solution(t, *x))(t)
    return (
        problem.initial(*x),
        states,
        problem.boundary(t[0] if config.times == 1 else t),
    )
