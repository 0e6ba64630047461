"""Conditions on the boundary patches of a mesh, as states beyond their faces."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._typing import Array, ArrayLike, Bool, Float, Int
from physcon.boundary import Dirichlet, Flux, Neumann, Outflow, Reflective, Robin
from physcon.fv.unstructured.frame import across, at_faces, turned
from physcon.fv.unstructured.stencil import Stencil
from physcon.mesh import Mesh

_KINDS = (Dirichlet, Flux, Neumann, Outflow, Reflective, Robin)
_REMEDY = "use Dirichlet, Neumann, Robin, Flux, Outflow or Reflective of fv"


class PatchConditions(eqx.Module):
    """A condition for every patch of a mesh.

    Derivatives and fluxes are along the outward normal of the domain, since a mesh has
    no axes.

    Attributes:
        conditions: one for each patch, in the order of `Mesh.patches`.
        faces: the faces of each patch.
        axes: names of the axes of devices that divide the cells.
    """

    conditions: tuple[Any, ...]
    faces: tuple[Int[Array, "..."], ...]
    axes: tuple[str, ...] = eqx.field(static=True, default=())

    def at(self, t: ArrayLike) -> "PatchConditions":
        """The same conditions, with functions of time evaluated at `t`."""
        t = jnp.asarray(t, dtype=jnp.result_type(float))
        return jax.tree.map(
            lambda leaf: leaf(t) if callable(leaf) else leaf, self, is_leaf=callable
        )

    def seams(self) -> tuple[str, ...]:
        """Names of mesh axes that divide the cells among devices."""
        return self.axes


def patch_conditions(mesh: Mesh, given: Any) -> PatchConditions:
    """The conditions in the order of the patches.

    Raises:
        ValueError: a patch without a condition, a condition for no patch, or an object
            that is no condition.
    """
    require(
        isinstance(given, Mapping),
        f"conditions by patch: {{name: condition}} with names {mesh.patches}",
        f"a {type(given).__name__}",
        "use for example {name: fv.Outflow()}",
    )
    missing = [name for name in mesh.patches if name not in given]
    unknown = [name for name in given if name not in mesh.patches]
    require(
        not missing and not unknown,
        f"one condition for each of the patches {mesh.patches}",
        f"none for {missing}, and {unknown} besides",
        "name every patch of the mesh once",
    )
    for name, condition in given.items():
        require(
            isinstance(condition, _KINDS),
            f"a condition on {name!r}",
            repr(condition),
            _REMEDY,
        )
    with jax.ensure_compile_time_eval():
        faces = tuple(
            jnp.asarray(mesh.boundary_faces(name), jnp.int32) for name in mesh.patches
        )
    return PatchConditions(tuple(given[name] for name in mesh.patches), faces)


def has_value(mesh: Mesh, given: Mapping[str, Any]) -> Bool[np.ndarray, " f"]:
    """Whether each face lies on a patch with a `Dirichlet` condition."""
    found = np.zeros(mesh.face_count, bool)
    for name, condition in given.items():
        found[mesh.boundary_faces(name)] = isinstance(condition, Dirichlet)
    return found


def on_patch(value: Any, channels: int, faces: int) -> Array:
    """A boundary value as ``(c or 1, faces or 1)``.

    Raises:
        ValueError: a shape other than (), (c,) or (c, faces).
    """
    require(
        value.shape in ((), (1,), (channels,), (channels, faces), (1, faces)),
        f"a boundary value of shape (), ({channels},) or ({channels}, {faces})",
        tuple(value.shape),
        "pass one number, one per channel, or one per channel and face of the patch",
    )
    return value.reshape(value.shape + (1,) * (2 - value.ndim))


def with_outside(
    boundary: PatchConditions,
    law: Any,
    left: Float[Array, "c f"],
    right: Float[Array, "c f"],
    tables: Stencil,
    *,
    primitive: bool = False,
) -> Float[Array, "c f"]:
    """The states beyond all faces; on the boundary they come from its conditions.

    All states are in the frames of the faces. For a hyperbolic law `Dirichlet` is the
    state outside: the Riemann solver decides which part of it enters.

    Args:
        primitive: whether the states are given, and returned, in the primitive
            variables of a law whose `mirror` holds for both. Conditions are given for
            conserved states, so that the faces of their patches are converted.
    """
    for condition, faces in zip(boundary.conditions, boundary.faces, strict=True):
        if isinstance(condition, Outflow | Flux):
            continue
        inner = left[:, faces]
        converted = primitive and not isinstance(condition, Reflective)
        if converted:
            inner = at_faces(law, faces).conservative(inner)
        outer = _outside(condition, law, inner, tables, faces)
        if converted:
            outer = at_faces(law, faces).primitive(outer)
        right = right.at[:, faces].set(outer)
    return right


def _outside(
    condition: Any, law: Any, inner: Array, tables: Stencil, faces: Array
) -> Array:
    require(
        not isinstance(condition, Robin),
        "a condition for a hyperbolic law",
        "Robin",
        "use Dirichlet, Neumann, Flux, Outflow or Reflective",
    )
    here = at_faces(law, faces)
    frame = tables.frame[..., faces]
    if isinstance(condition, Reflective):
        return across(here, frame[0], inner.shape[0]).mirror(inner, 0)
    if isinstance(condition, Dirichlet):
        value = on_patch(condition.value, *inner.shape)
        return turned(here, jnp.broadcast_to(value, inner.shape), frame)
    slope = on_patch(condition.derivative, *inner.shape)
    change = jnp.broadcast_to(slope * tables.gap[None, faces], inner.shape)
    return inner + turned(here, change, frame)


def with_given_fluxes(
    boundary: PatchConditions, flux: Float[Array, "c f"], area: Float[Array, " f"]
) -> Float[Array, "c f"]:
    """The fluxes times an area, replaced on `Flux` patches by the given ones."""
    for condition, faces in zip(boundary.conditions, boundary.faces, strict=True):
        if isinstance(condition, Flux):
            given = on_patch(condition.flux, flux.shape[0], faces.size)
            given = given * area[None, faces]
            shape = (flux.shape[0], faces.size)
            flux = flux.at[:, faces].set(jnp.broadcast_to(given, shape))
    return flux
