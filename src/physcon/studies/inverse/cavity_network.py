"""The network of the inverse cavity study.

It consists of a BOON-FNO, a surface that predicts the wall values, and their errors.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float, Scalar
from physcon.operators import BoundaryFNO
from physcon.studies.boon.data import Samples
from physcon.studies.boon.networks import trained
from physcon.studies.inverse.cavity_flows import (
    Flows,
    boundary,
    flows,
    grid,
    initial,
    prior,
    walls,
)
from physcon.studies.inverse.settings import InverseCavityConfig
from physcon.studies.session import Session
from physcon.studies.sharing import divided, solved


class Surrogate(eqx.Module):
    """The network, the surface for the walls, and their errors on validation flows.

    Shapes:
        surface is ``(66, 4, n, times)``, and errors is ``(v, n, n, times)``.
    """

    network: BoundaryFNO
    surface: Float[Array, "f 4 n t"]
    errors: Float[Array, "v n n t"]


def quadratic(
    theta: Float[Array, " 9"], lid: Scalar, config: InverseCavityConfig
) -> Float[Array, " f"]:
    """The features 1, z and z z' for z = (θ in standard deviations, U - 1)."""
    z = jnp.append(theta / prior(config).std(), lid - 1)
    i, j = np.triu_indices(z.size)
    return jnp.concatenate([jnp.ones(1), z, z[i] * z[j]])


def predict(
    network: BoundaryFNO,
    surface: Float[Array, "f 4 n t"],
    theta: Float[Array, " 9"],
    lid: Scalar,
    config: InverseCavityConfig,
) -> Float[Array, "n n t"]:
    """The vorticity over time from the network, with wall values from the surface."""
    nodes = grid(config)
    given = jnp.tensordot(quadratic(theta, lid, config), surface, 1)
    start = jnp.broadcast_to(initial(theta, lid, config)[..., None], nodes.shape)
    return network(start[None], boundary(given), nodes)[0]


def trained_surrogate(config: InverseCavityConfig, session: Session) -> Surrogate:
    """Train as in the boundary study, fit the surface, and keep the errors.

    The errors come from other flows.
    """
    mesh = session.mesh
    keys = jax.random.split(jax.random.key(config.seed), 3)
    seen = flows(keys[0], config, config.train, mesh)
    others = flows(keys[1], config, config.validation, mesh)
    on_walls = jax.vmap(walls)(seen.vorticity[..., 1:])
    start = jnp.broadcast_to(seen.vorticity[..., :1], seen.vorticity[..., 1:].shape)
    data = Samples(
        start[:, None], seen.vorticity[:, None, ..., 1:], jax.vmap(boundary)(on_walls)
    )
    data = divided(data, mesh)
    fitted = trained("basis", config.network(), grid(config), data, keys[2], session)
    network = jax.tree.map(
        lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, fitted.params
    )
    features = jax.vmap(partial(quadratic, config=config))(seen.theta, seen.lid)
    surface = jnp.linalg.lstsq(features, on_walls.reshape(config.train, -1))[0]
    surface = surface.reshape(-1, *on_walls.shape[1:])

    def miss(flow: Flows) -> Array:
        return flow.vorticity[..., 1:] - predict(
            network, surface, flow.theta, flow.lid, config
        )

    return Surrogate(network, surface, solved(miss, others, mesh, batch_size=32))
