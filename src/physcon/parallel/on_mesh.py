"""Finite volumes on an unstructured mesh that is divided among devices.

Each device has some of the cells, and copies of the cells around them that it reads.
Before each tendency one all-to-all message exchanges these copies; nothing else is sent
but the largest rate of each time step. A block's own cells are computed from the same
tables in the same order as on one device.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh as Devices
from jax.sharding import PartitionSpec as P

from physcon import fv
from physcon._checks import require
from physcon._mesh import by_device
from physcon._typing import Array, PyTree
from physcon.fv._pointwise import check_pointwise
from physcon.fv.protocols import Divisible, is_implicit
from physcon.fv.unstructured.halo import Halo
from physcon.fv.unstructured.patches import PatchConditions
from physcon.mesh.partition import partition
from physcon.parallel.cell_blocks import OnPatch, blocks, local_tables


class Divided(eqx.Module):
    """A problem on a mesh, cut for the devices of one mesh axis.

    Attributes:
        law, boundary, scheme, source: of the problem on the whole mesh.
        tables: (mesh, tables, faces of patches), with a leading axis of devices.
        send, pick: of the `Halo` of each device.
        own: the cells of each device, ``(D, n)``.
        place: where each cell of the mesh stands in the flattened `own`, ``(c)``.
        axis: name of the mesh axis.
    """

    law: Any
    boundary: PatchConditions
    scheme: fv.Scheme
    source: Any
    tables: PyTree
    send: Array
    pick: Array
    own: Array
    place: Array
    axis: str = eqx.field(static=True)


def divided(
    problem: fv.MeshProblem, mesh: Devices, axes: tuple[str | None, ...]
) -> Divided:
    """Cut a problem for the devices of one mesh axis; not under jit.

    Raises:
        ValueError: axes other than the name of one mesh axis, more devices than cells,
            or an implicit step.
    """
    known = len(axes) == 1 and axes[0] in mesh.axis_names
    require(
        known,
        f"axes with one name of {mesh.axis_names}, which divides the cells",
        axes,
        'pass for example axes=("x",)',
    )
    require(
        not is_implicit(problem.scheme.step),
        "an explicit step where a mesh is divided",
        "an implicit one",
        "run it on one device",
    )
    axis = str(axes[0])
    devices = mesh.shape[axis]
    b = blocks(problem, partition(problem.grid, devices), devices)
    with jax.ensure_compile_time_eval():
        index = [jnp.asarray(x, jnp.int32) for x in (b.send, b.pick, b.own, b.place)]
        tables = jax.tree.map(jnp.asarray, local_tables(problem, b))
    given = problem.law, problem.boundary, problem.scheme, problem.source
    return Divided(*given, tables, *index, axis=axis)


class CellCut:
    """Cut out this device's part of an array over the cells, on its last axis."""

    def __init__(self, own: Array, size: int):
        self.own = own
        self.size = size

    def __call__(self, x: Array, without: int | None = None) -> Array:
        """Return the own cells of `x`; numbers and other arrays as they are."""
        over_cells = jnp.ndim(x) > 0 and x.shape[-1] == self.size
        return x[..., self.own] if over_cells else x


@eqx.filter_jit
def on_devices(
    fn: Callable[..., PyTree],
    given: Divided,
    u: Array,
    numbers: dict[str, Any],
    settings: dict[str, Any],
    mesh: Devices,
    out_specs: PyTree,
) -> PyTree:
    """Call ``fn(problem, u, **numbers, **settings)`` on every block.

    States in the result have the devices' own cells on their last axis.
    """
    boundary = given.boundary
    parts = given.law, boundary.conditions, given.scheme, given.source, numbers
    arrays, static = eqx.partition(parts, eqx.is_array)
    size = given.place.size

    def on_block(u: Array, cut: PyTree, arrays: PyTree) -> PyTree:
        law, conditions, scheme, source, numbers = eqx.combine(arrays, static)
        (grid, tables, patches), send, pick, own = jax.tree.map(lambda x: x[0], cut)
        own_cut = CellCut(own, size)
        if isinstance(source, Divisible):
            source = source.on_block(own_cut)
        elif source is not None:
            check_pointwise("a source", source, u, jnp.zeros((), u.dtype))
        held = tuple(
            _on_block(condition, part, count)
            for condition, part, count in zip(conditions, patches, counts, strict=True)
        )
        problem = fv.MeshProblem(
            law,
            grid,
            replace(
                boundary,
                conditions=held,
                faces=tuple(part.face for part in patches),
                axes=(given.axis,),
            ),
            scheme,
            replace(tables, axes=(given.axis,)),
            source,
            halo=Halo(send, pick, own.shape[0], given.axis),
        )
        return fn(problem, u, **numbers, **settings)

    counts = [faces.shape[0] for faces in boundary.faces]
    cut = (given.tables, given.send, given.pick, given.own)
    in_specs = (P(None, given.axis), P(given.axis), P())
    run = by_device(on_block, mesh, in_specs, out_specs)
    return run(u[:, given.own.reshape(-1)], cut, arrays)


def spread(
    fn: Callable[..., Any],
    problem: fv.MeshProblem,
    u: Array,
    numbers: dict[str, Any],
    settings: dict[str, Any],
    where: tuple[Devices, tuple[str | None, ...], Any],
) -> Any:
    """``fn(problem, u, **numbers, **settings)`` on every block; not under jit.

    The result is a state, or a tuple with the states of its field `u`, in the order of
    the mesh.
    """
    mesh, axes, out_specs = where
    given = divided(problem, mesh, axes)
    found = on_devices(fn, given, u, numbers, settings, mesh, out_specs)
    if isinstance(found, tuple):
        return found._replace(u=found.u[..., given.place])  # type: ignore[attr-defined]
    return found[..., given.place]


def _on_block(condition: Any, part: OnPatch, count: int) -> Any:
    """A condition whose values, one for each face of a patch, are cut to the block."""

    def cut(value: Any) -> Any:
        if callable(value):
            return lambda t: cut(value(t))
        per_face = jnp.ndim(value) == 2 and np.shape(value)[1] == count > 1
        return value[:, part.place] if per_face else value

    return jax.tree.map(cut, condition, is_leaf=callable)
