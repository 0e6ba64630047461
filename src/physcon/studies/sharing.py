"""Computations on many functions, on one device or shared among the devices of a mesh.

A study trains on all functions, or solves a problem for each. The mesh has one axis,
over the devices of all processes. Each device holds an equal part of the functions and
an equal part of every batch; every process receives the whole results.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from physcon import parallel
from physcon._mesh import by_device, check_even, is_writer, shard
from physcon._typing import PRNGKeyArray, PyTree, Scalar
from physcon.models.losses import mean_over_tasks
from physcon.studies.session import Session
from physcon.training import FitResult, Minibatches, fit
from physcon.training.checkpoint import load_checkpoint, save_checkpoint
from physcon.training.progress import progress_bar


def fit_tasks(
    loss: Callable[..., Scalar],
    params: PyTree,
    optimizer: Any,
    tasks: PyTree,
    batch: int,
    steps: int,
    key: PRNGKeyArray,
    session: Session,
    name: str,
    *,
    save_every: int,
) -> FitResult:
    """Minimise the mean of ``loss(params, task, key)`` over batches of tasks.

    Args:
        tasks: the tasks along a leading axis, whole or `divided` among the devices of a
            mesh. The batches are the same in both cases.
        session: determines where the checkpoint goes and whether it is resumed.
        name: name of the network; its checkpoint is ``<name>.checkpoint``.
        save_every: steps between checkpoints.
    """
    mesh = session.mesh
    if mesh is None:
        mean = mean_over_tasks(loss)
    else:
        mean = parallel.mean_over_tasks(loss, mesh=mesh, axis=mesh.axis_names)
    batches = Minibatches(tasks, batch, mesh)
    options = session.checkpoint(name) | {"save_every": save_every, "mesh": mesh}
    found = fit(mean, params, optimizer, batches, steps, key, **options)
    trained = whole(found.params, mesh)
    return FitResult(trained, whole(found.opt_state, mesh), found.losses)


def adam(learning_rate: float, weight_decay: float, steps: int):
    """Adam with L2 in the gradient, as torch's ``Adam(weight_decay=...)``.

    The rate falls to zero along a cosine.
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
    """Stack ``fn(x)`` of every x as `jax.lax.map` does.

    With a mesh, the number of x must be a multiple of the number of devices, and the
    results stay `divided`.
    """
    return _mapped(fn, xs, mesh, batch_size)(divided(xs, mesh))


def solved(
    fn: Callable[[PyTree], PyTree],
    xs: PyTree,
    mesh: Mesh | None = None,
    batch_size: int | None = None,
) -> PyTree:
    """Stack ``fn(x)`` of any number of x, whole on every process.

    If the devices do not divide the number evenly, the last x is solved again.
    """
    number = _number(xs)
    size = number + -number % (1 if mesh is None else mesh.size)
    if size == number:
        return whole(every(fn, xs, mesh, batch_size), mesh)
    found = every(fn, _part(xs, 0, size), mesh, batch_size)
    return jax.tree.map(lambda x: x[:number], whole(found, mesh))


def solved_in_parts(
    fn: Callable[[PyTree], PyTree],
    xs: PyTree,
    session: Session,
    name: str,
    *,
    parts: int = 10,
    batch_size: int | None = None,
) -> PyTree:
    """`solved` on one part of the problems at a time, with progress and resumable.

    After every part the results up to then go to ``<name>.checkpoint``. All parts have
    the same size, so that one compiled program serves all parts, and a resumed run
    equals an uninterrupted one bit for bit.

    Args:
        session: gives folder, settings, progress bar and devices.
        name: name of the checkpoint.
        parts: number of parts.
        batch_size: number of problems solved together; see `jax.lax.map`.
    """
    mesh = session.mesh
    number = _number(xs)
    size = -(-number // parts)
    size += -size % (1 if mesh is None else mesh.size)
    program = _mapped(fn, _part(xs, 0, size), mesh, batch_size)
    options = session.checkpoint(name)
    path = options["checkpoint"]
    identity = options["config"]
    found = _empty(fn, xs)
    if path is not None and session.resume and path.is_file():
        found, _ = load_checkpoint(path, lambda k: _empty(fn, xs, k), identity)
    done = _number(found)
    with progress_bar(
        number, done, enabled=session.progress, unit="problem", title=name
    ) as bar:
        while done < number:
            part = whole(program(divided(_part(xs, done, size), mesh)), mesh)
            new = min(size, number - done)
            found = jax.tree.map(
                lambda a, b, n=new: np.concatenate([a, np.asarray(b)[:n]]), found, part
            )
            done += new
            if path is not None and is_writer():
                save_checkpoint(path, found, done, identity)
            bar.update(new)
    return found


def _mapped(
    fn: Callable[[PyTree], PyTree],
    xs: PyTree,
    mesh: Mesh | None,
    batch_size: int | None,
) -> Callable[[PyTree], PyTree]:
    """The compiled program of `every` for problems shaped like `xs`."""

    number = _number(xs) // (1 if mesh is None else mesh.size)
    together = None if batch_size is None else min(batch_size, number)

    def run(xs: PyTree) -> PyTree:
        return jax.lax.map(fn, xs, batch_size=together)

    if mesh is None:
        return jax.jit(run)
    part = P(mesh.axis_names)
    share = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((number, *x.shape[1:]), x.dtype), xs
    )
    # The function is traced outside the mesh: lineax compares shapes, and inside the
    # mesh they include the mesh.
    program, like = jax.make_jaxpr(run, return_shape=True)(share)

    def own(xs: PyTree) -> PyTree:
        return jax.tree.unflatten(
            jax.tree.structure(like), jaxpr_as_fun(program)(*jax.tree.leaves(xs))
        )

    return jax.jit(by_device(own, mesh, part, part))


def _part(xs: PyTree, start: int, size: int) -> PyTree:
    """The problems from `start` on; beyond the end the last problem is repeated."""
    index = np.minimum(np.arange(start, start + size), _number(xs) - 1)
    return jax.tree.map(lambda x: x[index], xs)


def _empty(fn: Callable[[PyTree], PyTree], xs: PyTree, number: int = 0) -> PyTree:
    """Arrays with room for the results of `number` problems."""
    one = jax.tree.map(lambda x: jax.eval_shape(lambda x: x[0], x), xs)
    like = jax.eval_shape(fn, one)
    return jax.tree.map(lambda x: np.zeros((number, *x.shape), x.dtype), like)


def divided(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Arrays with a leading axis of functions, an equal part on each device of a mesh.

    Raises:
        ValueError: if the devices do not divide the number of functions evenly.
    """
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    check_even(_number(tree), mesh.size, "a number of training functions (train)")
    return shard(tree, mesh, P(mesh.axis_names))


def whole(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Gather the arrays of a mesh, whole, on this process."""
    if mesh is None:
        return tree
    arrays, rest = eqx.partition(tree, eqx.is_array)
    copied = jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, P()))(arrays)
    return eqx.combine(jax.tree.map(jnp.asarray, jax.device_get(copied)), rest)


def _number(tree: PyTree) -> int:
    return jax.tree.leaves(tree)[0].shape[0]
