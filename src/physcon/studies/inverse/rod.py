"""The rod of the inverse study, exactly: its settings, its inputs, and its states.

u_t = k u_xx on [0, 1], u_x = 0 on the left and U sin(π t) on the right. An input is θ = (a_0, ...,
U): the cosine coefficients of the initial state and the amplitude of the flux.
"""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float, Scalar
from physcon.boundary import Boundary
from physcon.conditioning import Gaussian
from physcon.grid import Grid
from physcon.problems.boon_heat import HeatedRod


@dataclass(frozen=True)
class HeatedRodConfig:
    """The study.

    Attributes:
        nodes: of the rod, both ends included.
        time: T.
        conductivity: k.
        modes: unknown cosine coefficients a_0 ... a_(modes - 1), independent, std 1 / (1 + j).
        flux, flux_std: mean and deviation of U.
        sensors, noise_std: at time T, evenly spread.
        meter_std: noise of the heat's reading.
        train, validation, test: number of functions.
        width, depth, network_modes, steps, batch, learning_rate: of the network and its training.
        form: how it meets the boundary condition; see `physcon.operators.boon`.
        seed: of all random numbers.
    """

    nodes: int = 65
    time: float = 0.5
    conductivity: float = 0.02
    modes: int = 6
    flux: float = 2.5
    flux_std: float = 1.0
    sensors: int = 8
    noise_std: float = 0.01
    meter_std: float = 0.001
    train: int = 300
    validation: int = 200
    test: int = 100
    width: int = 24
    depth: int = 3
    network_modes: int = 12
    steps: int = 1500
    batch: int = 20
    learning_rate: float = 3e-3
    form: Literal["basis", "lift"] = "basis"
    seed: int = 0


def rod_grid(config: HeatedRodConfig) -> Grid:
    """Nodes on [0, 1]."""
    return Grid.uniform(0.0, 1.0, config.nodes, location="nodes")


def prior(config: HeatedRodConfig) -> Gaussian:
    """θ = (a_0, ..., a_(modes - 1), U): also the law of the training functions."""
    std = 1 / (1 + jnp.arange(config.modes, dtype=float))
    mean = jnp.zeros(config.modes + 1).at[-1].set(config.flux)
    return Gaussian.diagonal(mean, jnp.append(std, config.flux_std))


def initial(theta: Float[Array, " p"], config: HeatedRodConfig) -> Float[Array, " n"]:
    """Σ_j a_j cos(j π x)."""
    x, j = rod_grid(config).coordinates[0], jnp.arange(config.modes, dtype=float)
    return jnp.cos(jnp.pi * x[:, None] * j[None]) @ theta[:-1]


def rod(theta: Float[Array, " p"], config: HeatedRodConfig) -> HeatedRod:
    """The rod that starts at 1, with this flux."""
    return HeatedRod(jnp.zeros(()), jnp.asarray(config.conductivity), theta[-1])


def solution(theta: Float[Array, " p"], config: HeatedRodConfig) -> Float[Array, " n"]:
    """Exact: the cosines decay by themselves, exp(-k (j π)² T); the flux adds its part."""
    x, j = rod_grid(config).coordinates[0], jnp.arange(config.modes, dtype=float)
    decay = jnp.exp(-config.conductivity * (j * jnp.pi) ** 2 * config.time)
    free = jnp.cos(jnp.pi * x[:, None] * j[None]) @ (decay * theta[:-1])
    return free + rod(theta, config).solution(jnp.asarray(config.time), x) - 1


def boundary(theta: Float[Array, " p"], config: HeatedRodConfig) -> Boundary:
    """Slopes at time T: 0 and U sin(π T)."""
    return rod(theta, config).boundary(jnp.asarray(config.time))


def heat(theta: Float[Array, " p"], config: HeatedRodConfig) -> Scalar:
    """a_0 + k U (1 - cos π T) / π."""
    entered = config.conductivity * (1 - np.cos(np.pi * config.time)) / np.pi
    return theta[0] + entered * theta[-1]
