"""What a study does for many functions, on one device or shared among those of a mesh:
it trains on them, or solves a problem for each.

A mesh has one axis here, over the devices of all processes. Each device holds an equal
part of the functions and an equal part of every batch; what is found comes back whole
to every process.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from physcon import parallel
from physcon._mesh import by_device, check_even, shard
from physcon._typing import PRNGKeyArray, PyTree, Scalar
from physcon.models.losses import mean_over_tasks
from physcon.training import FitResult, Minibatches, fit


def fit_tasks(
    loss: Callable[..., Scalar],
    params: PyTree,
    optimizer: Any,
    tasks: PyTree,
    batch: int,
    steps: int,
    key: PRNGKeyArray,
    *,
    mesh: Mesh | None = None,
    **options: Any,
) -> FitResult:
    """`physcon.training.fit` on the mean of ``loss(params, task, key)`` over batches of
    tasks.

    Args: tasks: whole, or with a mesh `divided` among its devices. The batches are the
        same. options: further ones of `fit`.
    """
    if mesh is None:
        mean = mean_over_tasks(loss)
    else:
        mean = parallel.mean_over_tasks(loss, mesh=mesh, axis=mesh.axis_names)
    batches = Minibatches(tasks, batch, mesh)
    found = fit(mean, params, optimizer, batches, steps, key, mesh=mesh, **options)
    return FitResult(
        whole(found.params, mesh), whole(found.opt_state, mesh), found.losses
    )


def adam(learning_rate: float, weight_decay: float, steps: int):
    """Adam with L2 in the gradient, as torch's ``Adam(weight_decay=...)``; the rate
    falls to zero along a cosine.
    """
    import optax

    rate = optax.cosine_decay_schedule(learning_rate, max(steps, 1))
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(rate))


def every(
    fn: Callable[[PyTree], PyTree],
    xs: PyTree,
    mesh: Mesh | None = None,
    batch_size: int | None = None,
) -> PyTree:
    """``fn(x)`` of every x, stacked: `jax.lax.map`. With a mesh the results stay
    `divided`.
    """

    def run(xs: PyTree) -> PyTree:
        return jax.lax.map(fn, xs, batch_size=batch_size)

    if mesh is None:
        return jax.jit(run)(xs)
    xs, part, number = divided(xs, mesh), P(mesh.axis_names), _number(xs) // mesh.size
    share = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((number, *x.shape[1:]), x.dtype), xs
    )
    # Traced outside of the mesh: lineax compares shapes, and inside they carry the
    # mesh.
    program, like = jax.make_jaxpr(run, return_shape=True)(share)

    def own(xs: PyTree) -> PyTree:
        return jax.tree.unflatten(
            jax.tree.structure(like), jaxpr_as_fun(program)(*jax.tree.leaves(xs))
        )

    return jax.jit(by_device(own, mesh, part, part))(xs)


def solved(
    fn: Callable[[PyTree], PyTree],
    xs: PyTree,
    mesh: Mesh | None = None,
    batch_size: int | None = None,
) -> PyTree:
    """The same for any number of x, brought whole to every process (the last x is
    solved again where the devices don't divide the number evenly).
    """
    if mesh is None:
        return every(fn, xs, None, batch_size)
    n = _number(xs)
    filled = jnp.minimum(jnp.arange(n + -n % mesh.size), n - 1)
    found = every(fn, jax.tree.map(lambda x: x[filled], xs), mesh, batch_size)
    return jax.tree.map(lambda x: x[:n], whole(found, mesh))


def divided(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Arrays that lead with the functions: each device of a mesh takes its equal part
    of them.

    Raises: ValueError for a number of functions that the devices don't divide evenly.
    """
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    check_even(_number(tree), mesh.size, "a number of training functions (train)")
    return shard(tree, mesh, P(mesh.axis_names))


def whole(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """The arrays of a mesh whole on this process."""
    if mesh is None:
        return tree
    arrays, rest = eqx.partition(tree, eqx.is_array)
    copied = jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, P()))(arrays)
    return eqx.combine(jax.tree.map(jnp.asarray, jax.device_get(copied)), rest)


def _number(tree: PyTree) -> int:
    return jax.tree.leaves(tree)[0].shape[0]
