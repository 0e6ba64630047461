"""Divide a batch, or the members of an ensemble, among devices.

`jax.vmap` runs inside `jax.shard_map`: each device maps over its own share. Inference
needs no communication; training needs one sum over devices of the loss and its
gradient. (A batch under plain jit gives the same numbers, but XLA may gather it, as it
does for Fourier transforms in jax 0.10.)
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from physcon._checks import require
from physcon._mesh import by_device, check_even
from physcon._typing import PRNGKeyArray, PyTree, Scalar


def vmap(
    fn: Callable[..., PyTree],
    in_axes: tuple[int | None, ...],
    *,
    mesh: Mesh,
    axis: str | tuple[str, ...],
) -> Callable[..., PyTree]:
    """`jax.vmap` with the mapped axis divided among the devices of mesh axes.

    Shapes:
        Mapped arrays and all results are ``(batch, ...)``, where batch is a multiple of
        the number of devices.

    Args:
        in_axes: for each argument, 0 (mapped over the leading axis of every array) or
            None (copied to every device). ``(None, 0)`` maps ``fn(network, sample)``
            over samples; ``(0, None)`` maps ``fn(member, points)`` over the members of
            an ensemble.

    Raises:
        ValueError: if the batch is not a multiple of the number of devices.
    """
    require(
        set(in_axes) <= {0, None} and 0 in in_axes,
        "0 or None per argument",
        in_axes,
        "map over one argument or more",
    )
    specs = tuple(P(axis) if a == 0 else P() for a in in_axes)

    def mapped(*args: PyTree) -> PyTree:
        arrays, static = eqx.partition(args, eqx.is_array)
        for leaf in jax.tree.leaves(
            [x for x, a in zip(arrays, in_axes, strict=True) if a == 0]
        ):
            check_even(leaf.shape[0], _devices(mesh, axis), "a batch")

        def on_share(*arrays: PyTree) -> PyTree:
            one = lambda *own: fn(*eqx.combine(own, static))  # noqa: E731
            return jax.vmap(one, in_axes)(*arrays)

        return by_device(on_share, mesh, specs, P(axis))(*arrays)

    return mapped


def mean_over_tasks(
    loss: Callable[..., Scalar], *, mesh: Mesh, axis: str | tuple[str, ...]
) -> Callable[[PyTree, PyTree, PRNGKeyArray], Scalar]:
    """`physcon.models.losses.mean_over_tasks` with the tasks divided among devices.

    Use it with `physcon.training.fit`. The value and the gradient are unchanged; the
    gradient ends in one sum over devices.
    """
    each = vmap(loss, (None, 0, 0), mesh=mesh, axis=axis)

    def batch_loss(params: PyTree, batch: PyTree, key: PRNGKeyArray) -> Scalar:
        keys = jax.random.split(key, jax.tree.leaves(batch)[0].shape[0])
        return jnp.mean(each(params, batch, keys))

    return batch_loss


def _devices(mesh: Mesh, axis: str | tuple[str, ...]) -> int:
    return math.prod(
        mesh.shape[name] for name in ((axis,) if isinstance(axis, str) else axis)
    )
