"""How arrays lie on a mesh of devices: names, sizes, and messages where they don't fit."""

from typing import TypeAlias

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from physcon._checks import require
from physcon._typing import PyTree, Shape

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
        devices = mesh.shape[name] if name else 1
        require(
            n % devices == 0,
            f"a length of axis {k} that {devices} devices (mesh axis {name!r}) divide evenly",
            n,
            f"take {-(-n // devices) * devices} or {max(n // devices, 1) * devices}, or a mesh of "
            "other shape",
        )


def shard(tree: PyTree, mesh: Mesh, spec: P) -> PyTree:
    """Every array of a pytree laid on the mesh by one `jax.sharding.PartitionSpec`; ``P()`` copies
    it to every device. Each process hands over what its own devices hold, no more.

    >>> mesh = jax.make_mesh((1,), ("batch",), devices=jax.devices()[:1])
    >>> shard(jax.numpy.ones((4, 2)), mesh, P("batch")).shape
    (4, 2)
    """
    sharding = NamedSharding(mesh, spec)

    def place(x: jax.Array) -> jax.Array:
        if jax.process_count() == 1:
            return jax.device_put(x, sharding)
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return jax.tree.map(place, tree)
