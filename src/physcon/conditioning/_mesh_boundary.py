"""Rows for the values and slopes of a field on the boundary patches of a mesh."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._typing import Array, ArrayLike
from physcon.boundary import Dirichlet, Neumann, Outflow, Robin
from physcon.conditioning._law_of import law_of
from physcon.conditioning._mesh_rows import require_known
from physcon.conditioning.constraint import LinearConstraint
from physcon.linear_map import Sparse
from physcon.mesh import Mesh
from physcon.mesh.fit import Neighbours, neighbours, slope_weights, wide_neighbours

#: A condition on a patch; a number is the value of the field there.
Condition = Dirichlet | Neumann | Robin | Outflow | ArrayLike


def mesh_boundary_values(
    mesh: Mesh, boundary: Mapping[str, Condition], noise_std: ArrayLike | None
) -> LinearConstraint:
    """One row for each face of the named patches; slopes are along the outward normal.

    The value and the slope at a face come from the linear fit through its cell and the
    nearest neighbours, so they are exact for linear fields.
    """
    require_known(mesh)
    near = neighbours(mesh)
    column, row, entries, values = [], [], [], []
    count = 0
    for name, condition in boundary.items():
        faces = mesh.boundary_faces(name)
        if isinstance(condition, Outflow):
            continue
        on_value, on_slope, target = _parts(condition, name)
        for place, face in enumerate(faces.tolist()):
            cells, at_face, along = _face_fit(mesh, near, face)
            share_value = _at(on_value, place, faces.size, name)
            share_slope = _at(on_slope, place, faces.size, name)
            entries.append(share_value * at_face + share_slope * along)
            column.append(cells)
            row.append(np.full(cells.size, count + place))
        given = jnp.asarray(target, jnp.result_type(float))
        _require_per_face(given, faces.size, name)
        values.append(jnp.broadcast_to(given, faces.shape))
        count += faces.size
    require(
        count > 0,
        "a condition on some patch with faces",
        f"{dict(boundary)!r}",
        f"pass a condition for one or more of {mesh.patches}",
    )
    operator = Sparse.of(
        jnp.concatenate(entries),
        np.concatenate(row),
        np.concatenate(column),
        (mesh.size,),
        count,
    )
    value = jnp.concatenate(values)
    return law_of(operator, value, noise_std, operator.present(), "the values")


def _parts(condition: Condition, name: str) -> tuple[Array, Array, ArrayLike]:
    """a, b and the target of  a u + b ∂u/∂n = target."""
    one = jnp.ones(())
    zero = jnp.zeros(())
    if isinstance(condition, Dirichlet):
        return one, zero, _number(condition.value, name)
    if isinstance(condition, Neumann):
        return zero, one, _number(condition.derivative, name)
    if isinstance(condition, Robin):
        a = jnp.asarray(_number(condition.a, name))
        b = jnp.asarray(_number(condition.b, name))
        return a, b, _number(condition.value, name)
    require(
        not hasattr(condition, "__dataclass_fields__"),
        f"Dirichlet, Neumann, Robin, Outflow or a number on {name!r}",
        f"{condition!r}",
        "state what the field or its slope is at the patch",
    )
    return one, zero, _number(condition, name)


def _number(value: object, name: str) -> ArrayLike:
    require(
        not callable(value),
        f"a value on {name!r} that does not depend on time",
        "a function of time",
        "evaluate it at the time of the field: Dirichlet(value(t))",
    )
    return value  # type: ignore[return-value]


def _require_per_face(x: Array, faces: int, name: str) -> None:
    require(
        x.shape in ((), (faces,)),
        f"a scalar or one value for each of {faces} faces of {name!r}",
        x.shape,
        "order the values as mesh.boundary_faces(name) does",
    )


def _at(x: Array, place: int, faces: int, name: str) -> Array:
    _require_per_face(x, faces, name)
    return x if x.ndim == 0 else x[place]


def _face_fit(
    mesh: Mesh, near: Neighbours, face: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells, and their weights in the value and in the outward slope at a face."""
    cell = int(np.asarray(mesh.owner)[face])
    arm = np.asarray(mesh.to_owner, float)[face]
    normal = np.asarray(mesh.normal, float)[face]
    around = np.asarray(mesh.faces)[cell]
    normals = np.asarray(mesh.normal, float)[around[around >= 0]]
    kept = near.cell[cell] != cell
    others = near.cell[cell][kept]
    offset = near.offset[cell][kept]
    if not _spans(offset, normals):
        others, offset = wide_neighbours(near, cell)
    require(
        _spans(offset, normals),
        "two or more cells in every direction next to a boundary face",
        f"too few around cell {cell}",
        "refine the mesh there",
    )
    weights = slope_weights(offset)
    to_face = weights @ arm
    along = weights @ normal
    cells = np.concatenate([[cell], others])
    at_face = np.concatenate([[1 - to_face.sum()], to_face])
    return cells, at_face, np.concatenate([[-along.sum()], along])


def _spans(offset: np.ndarray, normals: np.ndarray) -> bool:
    """Whether offsets span all directions that the normals of the cell's faces span."""
    if len(offset) == 0:
        return False
    unit = offset / np.linalg.norm(offset, axis=1)[:, None]
    return _rank(unit) >= _rank(normals)


def _rank(unit: np.ndarray) -> int:
    sizes = np.linalg.svd(unit, compute_uv=False)
    return int((sizes > 0.2 * sizes[0]).sum())
