"""An emulator of one step of the tracer, with every way to conserve its mass."""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.conditioning import Gaussian, condition, integral
from physcon.studies.evidence.convolution import SmallNetwork
from physcon.studies.evidence.settings import RolloutConfig, RolloutMethod
from physcon.studies.evidence.together import trained_together
from physcon.studies.evidence.tracer import face_velocities, square
from physcon.studies.session import Session


class Pair(NamedTuple):
    """Two consecutive states of the solver."""

    before: Float[Array, "*t y x"]
    after: Float[Array, "*t y x"]


class Emulator(eqx.Module):
    """A network that advances the tracer by one interval.

    Attributes:
        network: maps the field and the flow to a tendency, or to fluxes.
        flow: velocities at cell centres, in units of the largest speed.
        size: typical change of the field in one step.
    """

    network: SmallNetwork
    flow: Float[Array, "2 y x"]
    size: Float[Array, ""]

    def __call__(
        self, u: Float[Array, "y x"], mass: Scalar, method: RolloutMethod, grid: Any
    ) -> Float[Array, "y x"]:
        """The next state; `mass` is the known mass, which fixers restore."""
        flow = jax.lax.stop_gradient(self.flow)
        size = jax.lax.stop_gradient(self.size)
        outputs = size * self.network(jnp.concatenate([u[None], flow]))
        if method == "fluxes":
            along = outputs[0] - jnp.roll(outputs[0], 1, axis=0)
            return u - along - (outputs[1] - jnp.roll(outputs[1], 1, axis=1))
        after = u + outputs[0]
        if method == "none":
            return after
        std = jnp.abs(after) + 1e-3 if method == "proportional" else jnp.ones_like(u)
        prior = Gaussian.diagonal(after, std)
        return condition(prior, integral(grid, mass), throw=False).posterior.mean


def trained(
    config: RolloutConfig,
    method: RolloutMethod,
    pairs: Pair,
    key: PRNGKeyArray,
    session: Session,
) -> Emulator:
    """Train emulators on one step, side by side; returns them as a stack."""
    along, across = face_velocities(config)
    centred = [0.5 * (along[1:] + along[:-1]), 0.5 * (across[:, 1:] + across[:, :-1])]
    flow = jnp.stack(centred) / config.speed
    size = jnp.std(pairs.after - pairs.before)
    outputs = 2 if method == "fluxes" else 1
    shape = (3, outputs, config.width, config.depth, "periodic")
    weights, order = jax.random.split(key)
    emulators = [
        Emulator(SmallNetwork.init(k, *shape), flow, size)
        for k in jax.random.split(weights, config.networks)
    ]
    loss = partial(_loss, method=method, grid=square(config))
    return trained_together(
        loss,
        emulators,
        pairs,
        config.batch,
        config.training_steps,
        config.learning_rate,
        order,
        session,
        method,
    )


def _loss(
    emulator: Emulator,
    pair: Pair,
    key: PRNGKeyArray,
    *,
    method: RolloutMethod,
    grid: Any,
) -> Scalar:
    """The mean square error of one step, in units of the typical change."""
    mass = grid.integrate(pair.before)
    error = emulator(pair.before, mass, method, grid) - pair.after
    return jnp.mean((error / jax.lax.stop_gradient(emulator.size)) ** 2)
