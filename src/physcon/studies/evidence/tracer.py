"""The truth of the roll-outs: a tracer that is stirred and diffuses, by `physcon.fv`.

The flow on the periodic unit square is a uniform stream and four vortices. Its
velocities at faces come from a stream function at corners, so that their discrete
divergence vanishes, and the solver conserves the mass of the tracer to rounding.
"""

import jax
import jax.numpy as jnp

from physcon import fv
from physcon._typing import Array, Float, PRNGKeyArray
from physcon.boundary import Boundary, Periodic
from physcon.grid import Grid
from physcon.studies.evidence.settings import RolloutConfig


def square(config: RolloutConfig) -> Grid:
    """Equal cells on [0, 1)²."""
    return Grid.uniform((0.0, 0.0), (1.0, 1.0), (config.cells, config.cells))


def face_velocities(config: RolloutConfig) -> tuple[Array, Array]:
    """Velocities at the faces of both axes, ``(n + 1, n)`` and ``(n, n + 1)``."""
    n = config.cells
    corner = 2 * jnp.pi * jnp.arange(n + 1) / n
    # Stream and vortices have at most the speeds 1/3 and 2/3 along each axis.
    vortices = jnp.outer(jnp.sin(corner), jnp.sin(corner))
    psi = config.speed * (2 / 3) / (2 * jnp.pi) * vortices
    stream = config.speed / 3
    return stream + n * jnp.diff(psi, axis=1), 0.5 * stream - n * jnp.diff(psi, axis=0)


def advance(u: Float[Array, "y x"], config: RolloutConfig) -> Float[Array, "y x"]:
    """The solver over one interval."""
    heat = fv.Heat(jnp.asarray(config.diffusivity))
    law = fv.Mixed(fv.Advection(face_velocities(config)), heat)
    around = Boundary(Periodic(), Periodic())
    times = jnp.asarray([config.interval])
    solution = fv.solve(
        u[None], law, square(config), around, times=times, cfl=0.4, throw=False
    )
    return solution.u[0, 0]


def initial(key: PRNGKeyArray, config: RolloutConfig) -> Float[Array, "y x"]:
    """A random smooth positive field; its mass differs from field to field."""
    one, other = jax.random.split(key)
    n = config.cells
    wave = jnp.abs(jnp.fft.fftfreq(n, 1 / n))
    decay = jnp.exp(-0.5 * (wave / 3.0) ** 2)
    size = jnp.outer(decay, decay)
    noise = jnp.fft.fft2(jax.random.normal(one, (n, n)))
    rough = jnp.fft.ifft2(noise * size).real
    level = jax.random.uniform(other, minval=0.5, maxval=1.5)
    return level * jnp.exp(0.5 * rough / jnp.std(rough))


def trajectories(
    key: PRNGKeyArray, config: RolloutConfig, number: int, steps: int
) -> Float[Array, "number t y x"]:
    """The states of the solver from random initial fields, the initial ones first."""

    def one(key: PRNGKeyArray) -> Array:
        start = initial(key, config)

        def step(u: Array, _: None) -> tuple[Array, Array]:
            after = advance(u, config)
            return after, after

        states = jax.lax.scan(step, start, length=steps)[1]
        return jnp.concatenate([start[None], states])

    return jax.lax.map(one, jax.random.split(key, number))
