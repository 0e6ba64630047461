"""Which tasks a step sees: a pure function of the key and the step, so that a run can resume."""

import equinox as eqx
import jax
import numpy as np

from physcon._checks import require
from physcon._typing import Array, Int, PRNGKeyArray, PyTree


class Minibatches(eqx.Module):
    """Batches of a fixed set, reshuffled every epoch; the incomplete last batch is left out.

    ``batches(key, step)`` draws without replacement within an epoch: the batches of one epoch are
    disjoint. The data are array leaves, hence no constants of the compiled step.

    Attributes:
        data: a pytree of arrays with one common leading axis, the tasks.
        batch_size: tasks per step.
    """

    data: PyTree
    batch_size: int = eqx.field(static=True)

    def __check_init__(self):
        sizes = {np.shape(x)[:1] for x in jax.tree.leaves(self.data)}
        require(len(sizes) == 1, "one common leading axis", sorted(sizes), "stack the tasks")
        (shape,) = sizes
        require(shape != (), "a leading axis of tasks", "a scalar", "stack the tasks")
        require(
            1 <= self.batch_size <= shape[0],
            f"a batch size between 1 and {shape[0]}, the number of tasks",
            self.batch_size,
            "sample more tasks or take smaller batches",
        )

    def __call__(self, key: PRNGKeyArray, step: Int[Array, ""]) -> PyTree:
        tasks = jax.tree.leaves(self.data)[0].shape[0]
        per_epoch = tasks // self.batch_size
        order = jax.random.permutation(jax.random.fold_in(key, step // per_epoch), tasks)
        start = (step % per_epoch) * self.batch_size
        index = jax.lax.dynamic_slice(order, (start,), (self.batch_size,))
        return jax.tree.map(lambda x: x[index], self.data)
