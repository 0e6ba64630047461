"""The training tasks of a step.

They are a pure function of the key and the step, so that a run can be resumed.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from physcon._checks import require
from physcon._mesh import by_device, check_even
from physcon._typing import Array, Int, PRNGKeyArray, PyTree


class Minibatches(eqx.Module):
    """Batches of a fixed set, reshuffled every epoch without an incomplete last batch.

    ``batches(key, step)`` draws without replacement within an epoch, so the batches of
    one epoch are disjoint. The data are array leaves, so that they do not become
    constants of the compiled step.

    Attributes:
        data: a pytree of arrays that share one leading axis, the tasks.
        batch_size: tasks per step.
        mesh: a mesh with one axis. Each device holds an equal part of the tasks and
            receives an equal part of every batch; the batches equal the batches on one
            device.
    """

    data: PyTree
    batch_size: int = eqx.field(static=True)
    mesh: Mesh | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        sizes = {np.shape(x)[:1] for x in jax.tree.leaves(self.data)}
        require(
            len(sizes) == 1, "one common leading axis", sorted(sizes), "stack the tasks"
        )
        (shape,) = sizes
        require(shape != (), "a leading axis of tasks", "a scalar", "stack the tasks")
        require(
            1 <= self.batch_size <= shape[0],
            f"a batch size between 1 and {shape[0]}, the number of tasks",
            self.batch_size,
            "sample more tasks or take smaller batches",
        )
        if self.mesh is not None:
            check_even(shape[0], self.mesh.size, "a number of tasks")
            check_even(self.batch_size, self.mesh.size, "a batch size")

    def __call__(self, key: PRNGKeyArray, step: Int[Array, ""]) -> PyTree:
        tasks = jax.tree.leaves(self.data)[0].shape[0]
        per_epoch = tasks // self.batch_size
        order = jax.random.permutation(
            jax.random.fold_in(key, step // per_epoch), tasks
        )
        start = (step % per_epoch) * self.batch_size
        index = jax.lax.dynamic_slice(order, (start,), (self.batch_size,))
        if self.mesh is None:
            return jax.tree.map(lambda x: x[index], self.data)
        return _dealt(self.data, index, self.mesh)


def _dealt(data: PyTree, index: Int[Array, " b"], mesh: Mesh) -> PyTree:
    """Select rows of divided arrays and distribute them in equal parts.

    Each device contributes the rows that it holds, and one reduce-scatter moves them to
    the devices that need them.
    """
    (name,) = mesh.axis_names

    def deal(data: PyTree, index: Array) -> PyTree:
        held = jax.tree.leaves(data)[0].shape[0]
        own = index - jax.lax.axis_index(name) * held
        mine = (own >= 0) & (own < held)

        def rows(x: Array) -> Array:
            given = x[jnp.clip(own, 0, held - 1)]
            given = jnp.where(mine.reshape((-1,) + (1,) * (x.ndim - 1)), given, 0)
            return jax.lax.psum_scatter(given, name, tiled=True)

        return jax.tree.map(rows, data)

    return by_device(deal, mesh, (P(name), P()), P(name))(data, index)
