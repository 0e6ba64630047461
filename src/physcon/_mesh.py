"""Arrays on a mesh of devices, and runs of several processes.

The functions place and exchange blocks, and select the process that writes files.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from physcon._checks import require
from physcon._derivative_rules import WithDerivative
from physcon._extremes import largest_of
from physcon._typing import Array, Float, PyTree, Scalar, Shape

#: For each array axis the name of the mesh axis that divides it, or None if it is whole
#: on every device.
Axes: TypeAlias = tuple[str | None, ...]


def check_axes(mesh: Mesh, axes: Axes, shape: Shape) -> None:
    """Raise ValueError unless the mesh axes divide every axis of `shape` evenly."""
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
        f"take {max(n // devices, 1) * devices} or {-(-n // devices) * devices}, "
        "or other devices",
    )


def shifted(x: Array, name: str, by: int = 1, closed: bool = True) -> Array:
    """The x of the device `by` places before this one on a mesh axis.

    Use it inside `jax.shard_map`. Nothing is sent across an end that is not `closed`,
    where the result is zero.
    """
    size = jax.lax.axis_size(name)
    pairs = [(k, (k + by) % size) for k in range(size) if closed or 0 <= k + by < size]
    return jax.lax.ppermute(x, name, pairs)


def largest(x: Float[Array, "*s"], mesh_axes: tuple[str, ...]) -> Scalar:
    """max(x) over all blocks of a divided field; not finite if any entry is NaN."""
    return _across_blocks(largest_of(x), mesh_axes) if mesh_axes else largest_of(x)


@partial(WithDerivative, static=(1,))
def _across_blocks(x: Scalar, mesh_axes: tuple[str, ...]) -> Scalar:
    # A reduction over devices may drop NaN, but it keeps an infinity.
    return jax.lax.pmax(jnp.where(jnp.isnan(x), jnp.inf, x), mesh_axes)


@_across_blocks.defjvp
def _(
    mesh_axes: tuple[str, ...], primals: tuple, tangents: tuple
) -> tuple[Scalar, Scalar]:
    """The tangent of the largest entry, as for `jnp.max`; `pmax` has no derivative."""
    found = _across_blocks(*primals, mesh_axes)
    hit = (primals[0] == found).astype(found.dtype)
    share = hit / jax.lax.psum(hit, mesh_axes)
    return found, jax.lax.psum(share * tangents[0], mesh_axes)


def automatic(mesh: Mesh) -> Mesh:
    """The mesh with axes of type Auto.

    `jax.make_mesh` makes Explicit axes, with which every operation outside
    `jax.shard_map` would need the sharding of its result.
    """
    return Mesh(mesh.devices, mesh.axis_names)


def by_device(
    fn: Callable[..., PyTree], mesh: Mesh, in_specs: PyTree, out_specs: PyTree
) -> Any:
    """Call `jax.shard_map` for axes of any type.

    Raises:
        ValueError: for arrays whose types carry a sharding on a mesh of Explicit axes.
    """
    # Scalars and conditionals in loops do not have a single type of variation, so JAX's
    # check is off; tests check the results instead.
    run = jax.shard_map(
        fn,
        mesh=automatic(mesh),
        in_specs=in_specs,
        out_specs=out_specs,
        check_vma=False,
    )

    def call(*args: PyTree) -> PyTree:
        meshes = [jax.typeof(x).sharding.mesh for x in jax.tree.leaves(args)]
        meshes.append(jax.sharding.get_abstract_mesh())
        require(
            not any(AxisType.Explicit in m.axis_types for m in meshes),
            "arrays on a mesh of Auto axes, and no other mesh set",
            "Explicit axes",
            "place arrays by physcon.parallel.shard, or make the mesh with "
            "AxisType.Auto",
        )
        return run(*args)

    return call


def shard(tree: PyTree, mesh: Mesh, spec: P) -> PyTree:
    """Place every array of a pytree on the mesh by one `jax.sharding.PartitionSpec`.

    ``P()`` copies it to every device. In a run of several processes each process keeps
    the parts of its own devices.

    >>> mesh = jax.make_mesh((1,), ("batch",), devices=jax.devices()[:1])
    >>> shard(np.ones((4, 2)), mesh, P("batch")).shape
    (4, 2)
    """
    sharding = NamedSharding(automatic(mesh), spec)

    def place(x: Array | np.ndarray) -> Array:
        if jax.process_count() == 1:
            return jax.device_put(x, sharding)
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(place(jax.random.key_data(x)))
        whole = np.asarray(x)
        return jax.make_array_from_callback(
            whole.shape, sharding, lambda index: whole[index]
        )

    return jax.tree.map(place, tree)


def is_writer() -> bool:
    """Whether this process, the first of the run, writes the files."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Return once every process has called this function."""
    if jax.process_count() > 1:
        from jax.experimental.multihost_utils import sync_global_devices

        sync_global_devices(name)


def agreed(value: int) -> int:
    """The value of process 0, on every process.

    A network file system can show different states of a folder to different processes.
    """
    if jax.process_count() == 1:
        return value
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return int(broadcast_one_to_all(np.int32(value)))


def by_writer(action: Callable[[], None]) -> None:
    """Run `action` on process 0; every process raises the error that it raises."""
    if jax.process_count() == 1:
        action()
        return
    from jax.experimental.multihost_utils import broadcast_one_to_all

    error = None
    message = b""
    if is_writer():
        try:
            action()
        except (ValueError, OSError) as raised:
            error = raised
            message = str(raised).encode()[:4000]
    padded = np.frombuffer(message.ljust(4000, b"\0"), np.uint8)
    told = bytes(np.asarray(broadcast_one_to_all(padded))).rstrip(b"\0").decode()
    if error is not None:
        raise error
    if told:
        raise ValueError(told)
