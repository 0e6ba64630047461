"""Arrays on a mesh of devices, and runs of several processes: who holds what, and who writes."""

from typing import TypeAlias

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from physcon._checks import is_traced, require
from physcon._typing import Array, Int, PyTree, Shape

#: Per array axis the name of a mesh axis that divides it, or None: whole on every device.
Axes: TypeAlias = tuple[str | None, ...]


def check_axes(mesh: Mesh, axes: Axes, shape: Shape) -> None:
    """Raise unless every axis of `shape` is divided evenly by the devices of its mesh axis."""
    named = [name for name in axes if name is not None]
    require(
        len(axes) == len(shape),
        f"a mesh axis or None for each of {len(shape)} axes",
        axes,
        "None leaves an axis whole",
    )
    require(
        set(named) <= set(mesh.axis_names) and len(set(named)) == len(named),
        f"different axes of the mesh {dict(mesh.shape)}",
        axes,
        "name each mesh axis at most once",
    )
    for k, (name, n) in enumerate(zip(axes, shape, strict=True)):
        if name is not None:
            check_even(n, mesh.shape[name], f"a length of axis {k}")


def check_even(n: int, devices: int, what: str) -> None:
    """Raise unless n is a multiple of the number of devices."""
    require(
        n % devices == 0,
        f"{what} that {devices} devices divide evenly",
        n,
        f"take {max(n // devices, 1) * devices} or {-(-n // devices) * devices}, or other devices",
    )


def shifted(x: Array, name: str, by: int = 1, closed: bool = True) -> Array:
    """Inside `jax.shard_map`, the x of the device `by` places before this one on a mesh axis.

    Across an end that is not `closed` nothing is sent: there are zeros.
    """
    size = jax.lax.axis_size(name)
    pairs = [(k, (k + by) % size) for k in range(size) if closed or 0 <= k + by < size]
    return jax.lax.ppermute(x, name, pairs)


def shard(tree: PyTree, mesh: Mesh, spec: P) -> PyTree:
    """Every array of a pytree laid on the mesh by one `jax.sharding.PartitionSpec`; ``P()`` copies
    it to every device. Among several processes each one keeps what its own devices hold.

    >>> mesh = jax.make_mesh((1,), ("batch",), devices=jax.devices()[:1])
    >>> shard(np.ones((4, 2)), mesh, P("batch")).shape
    (4, 2)
    """
    sharding = NamedSharding(mesh, spec)

    def place(x: jax.Array) -> jax.Array:
        if jax.process_count() == 1:
            return jax.device_put(x, sharding)
        if jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(place(jax.random.key_data(x)))
        whole = np.asarray(x)
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    return jax.tree.map(place, tree)


def raise_status(status: Int[Array, ""], messages: dict[int, str]) -> None:
    """Raise RuntimeError where a status has a message.

    Inside jit nothing is raised, look at the status: an error from a callback on one of several
    devices would end the whole process.
    """
    if not is_traced(status) and int(status) in messages:
        raise RuntimeError(messages[int(status)])


def is_writer() -> bool:
    """Whether this process writes files: the first one, of however many."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Return once every process has come here."""
    if jax.process_count() > 1:
        from jax.experimental.multihost_utils import sync_global_devices

        sync_global_devices(name)


def agreed(value: int) -> int:
    """What process 0 says, in every process: a network file system shows each its own time."""
    if jax.process_count() == 1:
        return value
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return int(broadcast_one_to_all(np.int32(value)))
