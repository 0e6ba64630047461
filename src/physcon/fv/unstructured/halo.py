"""Cells of other devices that the cells of one device read, and their exchange."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, Int


class Halo(eqx.Module):
    """What one of D devices sends and receives, inside of `jax.shard_map`.

    Attributes:
        send: which of the own cells go to each device, padded, ``(D, h)``.
        pick: where each local cell stands among the own cells, followed by all that is
            received, ``(m)``; the own cells come first.
        own: number of own cells.
        axis: name of the axis of devices.
    """

    send: Int[Array, "d h"]
    pick: Int[Array, " m"]
    own: int = eqx.field(static=True)
    axis: str = eqx.field(static=True)

    def filled(self, u: Float[Array, "c n"]) -> Float[Array, "c m"]:
        """The own cells and the cells around them: one message to every device."""
        sent = u[:, self.send]
        got = jax.lax.all_to_all(sent, self.axis, split_axis=1, concat_axis=1)
        return jnp.concatenate([u, got.reshape(u.shape[0], -1)], axis=1)[:, self.pick]
